//! What connections know of the bodies that they send: which is whose, and how much memory all of them hold.

use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Whom a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Shared,
    Own,
}

/// Which body; an older one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BodyId {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) size: usize,
}

#[cfg(test)]
impl BodyId {
    pub(crate) const fn new(kind: Kind, number: u64) -> Self {
        Self { kind, number, size: 1 }
    }
}

/// What bodies hold.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    pub(crate) next: AtomicU64,
    /// Bytes of shared bodies that newer ones have taken the place of, and of bodies for one client each.
    pub(crate) superseded: AtomicUsize,
    pub(crate) own: AtomicUsize,
}
