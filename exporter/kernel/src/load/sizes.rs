//! How large the maps are on this machine, and what programs are told of that.

use super::{capacity, processors::Processors, unneeded};
use crate::plan::Plan;
use aya::EbpfLoader;
use common::{
    kernel::fields::fact,
    map::{
        capacity::Capacity,
        catalog::{
            DROP_SLOTS, DROPS, FLOW_TABLE, GROUP_SLOTS, GROUPS, LISTENER_TABLE, LISTENERS, NAMED_DROP_SLOTS, PEAKS,
            RECENT_DROPS, RECENT_GROUPS, SAMPLES, WALK_LIST,
        },
        shards::{self, Shards},
    },
    memory::recent,
};

/// Most listeners that are kept in a table.
const MOST_LISTENERS: u32 = 1 << 14;

/// The sizes of maps that depend on memory and CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Slots of the tables.
    pub(super) capacity: Capacity,
    /// Copies of their counters.
    pub(super) shards: Shards,
    /// Entries of `RECENT_GROUPS` and of `RECENT_DROPS` on a CPU.
    recent: u32,
}

impl Sizes {
    /// What fits into `memory` bytes. Tests may want one shard for all CPUs.
    pub(super) fn new(memory: u64, processors: Processors, has_one_shard: bool) -> Self {
        let shards = if has_one_shard {
            Shards::ONE
        } else {
            processors.shards()
        };
        Self {
            capacity: capacity::of_memory(memory, shards),
            shards,
            recent: recent::entries(processors.possible),
        }
    }

    /// What the programs have to know, by the names of their globals.
    pub(super) fn facts(self) -> [(&'static str, u64); 8] {
        let Self {
            capacity: Capacity { groups, drops },
            shards: Shards { own, shared, spread },
            recent,
        } = self;
        [
            (fact::GROUP_CAPACITY, groups),
            (fact::DROP_CAPACITY, drops),
            (fact::GROUP_STRIDE, shards::stride(groups)),
            (fact::DROP_STRIDE, shards::stride(drops)),
            (fact::SHARDS_OWN, own),
            (fact::SHARDS_SHARED, shared),
            (fact::SHARDS_SPREAD, spread),
            (fact::RECENT_MASK, recent - 1),
        ]
        .map(|(fact, number)| (fact, u64::from(number)))
    }

    /// Gives the maps their numbers of entries. Those that nobody needs by the plan are as small as can be.
    pub(super) fn set(self, loader: &mut EbpfLoader<'_>, plan: &Plan) {
        let Self {
            capacity: Capacity { groups, drops },
            shards,
            recent,
        } = self;
        let copies = shards.count();
        for (map, entries) in [
            (GROUPS.name(), copies * shards::stride(groups)),
            (SAMPLES.name(), groups),
            (PEAKS.name(), groups),
            (GROUP_SLOTS.name(), groups),
            (DROPS.name(), copies * shards::stride(drops)),
            (DROP_SLOTS.name(), drops),
            (NAMED_DROP_SLOTS.name(), drops),
            (RECENT_GROUPS.name(), recent),
            (RECENT_DROPS.name(), recent),
        ] {
            loader.map_max_entries(map, entries);
        }
        if plan.keeps_tables {
            loader.map_max_entries(LISTENER_TABLE.name(), MOST_LISTENERS);
        } else {
            shrink(loader, &[FLOW_TABLE.name(), LISTENER_TABLE.name(), WALK_LIST.name()]);
        }
        // They are made all the same, for a moment. What is stored with sockets has no number of entries.
        let mut unneeded = unneeded::maps(plan);
        unneeded.retain(|map| *map != LISTENERS.name());
        shrink(loader, &unneeded);
    }
}

/// Makes maps as small as can be.
fn shrink(loader: &mut EbpfLoader<'_>, maps: &[&'static str]) {
    for map in maps {
        loader.map_max_entries(map, 1);
    }
}
