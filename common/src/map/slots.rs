//! Tables that give out slots: small numbers for wide keys.

use crate::closed::indices;
use zerocopy::FromBytes;

indices! {
    /// A table that gives out slots: the index into the map `SLOTS_USED`.
    Table {
        /// `GROUP_SLOTS`
        Groups,
        /// `DROP_SLOTS` and `NAMED_DROP_SLOTS`
        Drops,
    }
}

/// A slot that was given out: the value of the maps `GROUP_SLOTS`, `DROP_SLOTS` and `NAMED_DROP_SLOTS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Slot {
    /// When it was given out, in nanoseconds of `CLOCK_BOOTTIME`: before anything was counted in it.
    pub born: u64,
    /// Its number.
    pub number: u32,
    /// Explicit padding, zero.
    pub padding: u32,
}

const _: () = assert!(size_of::<Slot>() == 16);
