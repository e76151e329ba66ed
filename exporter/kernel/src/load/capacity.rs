//! How many slots fit into the memory that the configuration allows.

use common::{
    drops::{DROP_SLOTS, DropCounts, DropKey, DropSource, NamedDropKey},
    map::{
        capacity::Capacity,
        shards::{Shards, stride},
        slots::Slot,
    },
    tcp::{
        accept_queue::Peaks,
        group::{GroupCounters, GroupKey},
        samples::Samples,
    },
};

/// Divides `memory` bytes of kernel memory among the tables: at most a seventeenth for drops, which need no more than [`DROP_SLOTS`];
/// the rest for groups.
pub fn of_memory(memory: u64, shards: Shards) -> Capacity {
    let (group, drop) = (bytes_of_group(shards.count()), bytes_of_drop(shards.count()));
    let slots = |bytes: u64, each: usize, least: u32, most: u32| {
        let fitting = u32::try_from(bytes / each as u64).unwrap_or(most);
        whole_strides(fitting).clamp(least, most)
    };
    let drops = slots(memory / 17, drop, DropSource::OTHER_SLOTS + 1, DROP_SLOTS);
    let rest = memory.saturating_sub(u64::from(drops) * drop as u64);
    Capacity {
        groups: slots(rest, group, 2, 1 << 20),
        drops,
    }
}

/// What the kernel adds to a key in a preallocated hash, in bytes: `struct htab_elem`, and at most two buckets; and the value.
const HASH_ENTRY: usize = 48 + 2 * 16 + size_of::<Slot>();

/// What a slot for a group takes at most where counters have so many copies, in bytes.
pub const fn bytes_of_group(copies: u32) -> usize {
    let of_flows = copies as usize * size_of::<GroupCounters>() + size_of::<Samples>() + size_of::<Peaks>();
    of_flows + size_of::<GroupKey>() + HASH_ENTRY
}

/// The same for a slot for drops. It has a key in one of two tables, which are both as large as the number of slots.
pub const fn bytes_of_drop(copies: u32) -> usize {
    copies as usize * size_of::<DropCounts>() + 8 * DropKey::WORDS + size_of::<NamedDropKey>() + 2 * HASH_ENTRY
}

/// So many slots, or some fewer, so that shards lie next to each other; of a few slots none is given up for that.
const fn whole_strides(slots: u32) -> u32 {
    const FEW: u32 = 64;
    let whole = stride(slots);
    if slots < FEW || whole == slots {
        slots
    } else {
        whole - stride(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tables take of the default.
    const MEMORY: u64 = 32 << 20;

    fn of_machine(possible: u32, online: u32) -> Capacity {
        of_memory(MEMORY, Shards::of_machine(possible, online))
    }

    #[test]
    fn the_default_holds_a_thousand_label_sets_on_any_machine() {
        for possible in [1, 2, 4, 8, 15, 16, 17, 32, 64, 128, 512, 8192] {
            for online in [1, 2, 4, 15, 16, 17, 48, 64, 128, 512, 8192] {
                if online <= possible {
                    let capacity = of_machine(possible, online);
                    // One slot is that of `other`.
                    assert!(capacity.groups > 1000, "{online} of {possible}: {capacity:?}");
                    assert!(capacity.drops >= 2000, "{online} of {possible}: {capacity:?}");
                }
            }
        }
    }

    #[test]
    fn processors_that_are_not_there_cost_one_shard() {
        let with_one_more = of_memory(MEMORY, Shards::of_machine(3, 3));
        for possible in [17, 64, 128, 512] {
            assert_eq!(of_machine(possible, 2), with_one_more, "{possible}");
        }
        assert_eq!(of_machine(512, 512), of_machine(16, 16));
    }

    #[test]
    fn tables_fill_the_memory_and_no_more() {
        for (possible, online) in [(1, 1), (2, 2), (16, 16), (128, 2), (128, 128), (512, 512)] {
            let shards = Shards::of_machine(possible, online);
            let copies = u64::from(shards.count());
            let Capacity { groups, drops } = of_memory(MEMORY, shards);
            let hash = |slots: u32, key: usize| {
                let entry = 48 + key + size_of::<Slot>();
                u64::from(slots) * entry as u64 + u64::from(slots.next_power_of_two()) * 16
            };
            let array = |slots: u32, value: usize| u64::from(stride(slots)) * value as u64;
            let taken = copies * array(groups, size_of::<GroupCounters>())
                + array(groups, size_of::<Samples>() + size_of::<Peaks>())
                + hash(groups, size_of::<GroupKey>())
                + copies * array(drops, size_of::<DropCounts>())
                + hash(drops, 8 * DropKey::WORDS)
                + hash(drops, size_of::<NamedDropKey>());
            assert!(
                taken <= MEMORY && taken > MEMORY / 100 * 97,
                "{online} of {possible}: {taken}"
            );
        }
    }

    #[test]
    fn the_least_memory_holds_the_least_tables() {
        let shards = Shards::of_machine(2, 2);
        assert_eq!(of_memory(1, shards), Capacity { groups: 2, drops: 4 });
    }
}
