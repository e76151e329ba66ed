//! How many slots the tables have, of groups and of drops.

/// How many slots the tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Slots for groups, the slot `other` included.
    pub groups: u32,
    /// Slots for drops, the rows `other` included.
    pub drops: u32,
}
