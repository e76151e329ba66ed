//! What is known of sockets where the kernel lets nobody walk what they store: kept in tables by the sockets' cookies instead, which are
//! walked by the exporter's own list.
//!
//! The kernel gives a removed entry's memory to the next one at once, whoever still reads it. So nothing is removed while somebody
//! walks: hooks mark what has gone then, and the next walk removes it. A hook says on its CPU that it may remove something (`REMOVING`)
//! before it looks whether somebody walks; whoever wants to walk says so before he looks whether a hook may remove something, and waits
//! for those. So one of both sees the other.

use crate::memory::shared::Shared;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Most flows, and most listeners.
pub const MOST_SOCKETS: usize = 1 << 18;

/// Cookies that a walk is given at a time.
pub const MOST_LISTED: u32 = 1 << 14;

/// The value of a table.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Kept<S> {
    /// Where the kernel has the socket; 0 until the entry is whole.
    pub sock: Shared<u64>,
    /// Not zero when the socket has gone.
    pub is_gone: Shared<u32>,
    /// Explicit padding, zero.
    pub padding: u32,
    /// What is known of it.
    pub state: S,
}

/// The single value of the map `WALK`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Walk {
    /// Not zero while somebody walks. Written by user space.
    pub is_under_way: u64,
    /// Cookies in the list. Written by user space.
    pub listed: u64,
    /// Where in the list this run begins. Written by user space.
    pub first: u64,
    /// Where the next run begins. Written by the programs.
    pub next: u64,
}
