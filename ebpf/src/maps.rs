//! The maps, as [`common::map::catalog`] has them.

pub(crate) mod lost;
mod task_storage;

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, PerfEventByteArray, RingBuf, SkStorage},
    macros::btf_map,
};
use common::{
    drops::{
        DropCounts, DropKey, NamedDropKey, Note, NoteKind,
        capture::{Draft, SITES, Site, SiteState, queue},
        losses::{Loss, MOST_LOSSES, Search},
    },
    kernel::tracepoints::{Run, Tracepoint},
    map::{
        catalog::{ACCEPT_QUEUES_MOST, IsPrefix, MAPPABLE, NO_PREALLOC, Prefix, SUBNETS},
        lost::Lost,
        settings::Settings,
        slots::{Slot, Table},
        table::{Kept, MOST_LISTED, MOST_SOCKETS, Walk},
    },
    memory::recent::{RECENT, Recent},
    tcp::{
        accept_queue::{AcceptQueues, Peaks},
        event::Event,
        flow::FlowState,
        group::{GroupCounters, GroupKey},
        listener::ListenerState,
        record::FlowRecord,
        samples::{AlgorithmCount, MOST_ALGORITHMS, Samples},
    },
    workload::{CgroupBirth, CgroupState, MOST_CGROUPS, MOST_NETWORKS, Number},
};
use task_storage::TaskStorage;

/// The type of a map of some kind.
macro_rules! of_kind {
    (Array[$($size:tt)*] $key:ty => $value:ty) => { Array<$value, $($size)*> };
    (ShardedArray[$($size:tt)*] $key:ty => $value:ty) => { Array<$value, $($size)*, { MAPPABLE }> };
    (PerCpuArray[$($size:tt)*] $key:ty => $value:ty) => { PerCpuArray<$value, $($size)*> };
    (HashMap[$($size:tt)*] $key:ty => $value:ty) => { HashMap<$key, $value, $($size)*> };
    (LruHashMap[$($size:tt)*] $key:ty => $value:ty) => { LruHashMap<$key, $value, $($size)*> };
    (LpmTrie[$($size:tt)*] $key:ty => $value:ty) => { LpmTrie<<$key as IsPrefix>::Bits, $value, $($size)*> };
    (RingBuf[$($size:tt)*] $key:ty => $value:ty) => { RingBuf<$value, $($size)*> };
    (SkStorage[] $key:ty => $value:ty) => { SkStorage<$value> };
    (TaskStorage[] $key:ty => $value:ty) => { TaskStorage<$value> };
    (PerfEventByteArray[] $key:ty => $value:ty) => { PerfEventByteArray };
}

macro_rules! definitions {
    ($($(#[$doc:meta])* $name:ident: $kind:ident[$($size:tt)*] $key:ty => $value:ty;)+) => {
        $(
            $(#[$doc])*
            #[btf_map]
            pub(crate) static $name: of_kind!($kind[$($size)*] $key => $value) =
                <of_kind!($kind[$($size)*] $key => $value)>::new();
        )+
    };
}

common::kernel_maps!(definitions);
