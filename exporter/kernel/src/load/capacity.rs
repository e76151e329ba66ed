//! How many slots fit into the memory that the configuration allows.

use common::{
    drops::{DropCounts, DropKey, DropSource, NamedDropKey},
    map::{capacity::Capacity, slots::Slot},
    tcp::group::{GroupCounters, GroupKey, Samples},
};

/// Divides `memory` bytes of kernel memory among the tables: an eighth for drops, the rest for groups.
pub(crate) fn of_memory(memory: u64, cpus: usize) -> Capacity {
    /// What the kernel adds to an entry of a preallocated hash (`struct htab_elem` and its bucket).
    const ADDED: usize = 56;
    const HASH_ENTRY: usize = ADDED + size_of::<Slot>();
    let group = cpus * size_of::<GroupCounters>() + size_of::<Samples>() + size_of::<GroupKey>() + HASH_ENTRY;
    // A slot has a key in one of two tables, which are both as large as the number of slots.
    let drop = cpus * size_of::<DropCounts>() + size_of::<DropKey>() + size_of::<NamedDropKey>() + 2 * HASH_ENTRY;
    let slots = |bytes: u64, each: usize, least: u32, most: u32| {
        u32::try_from(bytes / each as u64).unwrap_or(most).clamp(least, most)
    };
    Capacity {
        groups: slots(memory / 8 * 7, group, 2, 1 << 20),
        drops: slots(memory / 8, drop, DropSource::OTHER_SLOTS + 1, common::drops::DROP_SLOTS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_divided_among_the_tables() {
        let capacity = of_memory(32 << 20, 2);
        assert_eq!(capacity.drops, common::drops::DROP_SLOTS);
        assert!((4000..8000).contains(&capacity.groups), "{capacity:?}");
        assert_eq!(of_memory(1, 2), Capacity { groups: 2, drops: 4 });
    }
}
