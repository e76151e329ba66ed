//! Tables that give out slots: small numbers for wide keys.

/// A table that gives out slots: the index into the map `SLOTS_USED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Table {
    /// `GROUP_SLOTS`
    Groups = 0,
    /// `DROP_SLOTS` and `NAMED_DROP_SLOTS`
    Drops = 1,
}

impl Table {
    /// Number of tables.
    pub const COUNT: usize = 2;
}
