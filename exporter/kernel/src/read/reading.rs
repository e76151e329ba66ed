//! What one reading has, by the numbers of the slots.

use common::{
    drops::{DropCount, DropRow},
    map::lost::{Lost, Misses},
    tcp::{
        accept_queue::{AcceptQueues, ListenerKey},
        group::{GroupCounters, GroupKey},
        samples::Samples,
    },
};
use std::collections::BTreeMap;

/// Accept queues by the labels of their listeners; without a key those that no key had room for.
pub(super) type Listeners = BTreeMap<Option<ListenerKey>, AcceptQueues>;

/// A group, summed over shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReading {
    /// Its labels; `None` is the slot `other`.
    pub key: Option<GroupKey>,
    /// When the slot was given out, in nanoseconds of `CLOCK_BOOTTIME`; 0 for the slot `other`, which is there since the load.
    pub born: u64,
    /// What hooks and folds added up.
    pub counters: GroupCounters,
    /// What this fold sampled.
    pub samples: Samples,
}

/// A row of drops, summed over shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropReading {
    /// Where, why and what.
    pub row: DropRow,
    /// When the slot was given out, in nanoseconds of `CLOCK_BOOTTIME`; 0 for the rows `other`, which are there since the load.
    pub born: u64,
    /// How much.
    pub count: DropCount,
}

/// Everything that was read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// By slot. A slot that was given out but not entered yet is left out.
    pub groups: BTreeMap<u32, GroupReading>,
    /// By slot.
    pub drops: BTreeMap<u32, DropReading>,
    /// Live flows by congestion-control algorithm.
    pub algorithms: BTreeMap<String, u64>,
    /// Accept queues of listeners.
    pub listeners: Listeners,
    /// By [`Lost`].
    pub lost: [u64; Lost::COUNT],
    /// By program.
    pub misses: BTreeMap<&'static str, Misses>,
}
