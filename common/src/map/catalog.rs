//! Every map: its kind, number of entries, key and value; who writes, who reads, what happens when it is full. The programs define
//! the maps by these rows, and the exporter reaches a map by the constant of its row alone: neither can mistake a type, and a map
//! that is not as its row says is refused at load.
//!
//! Where user space sets the number of entries before loading, the one here is a placeholder. Maps that no program of a plan reaches are
//! given back to the kernel before the first is loaded.

use crate::{
    drops::{
        DropCounts, DropKey, NamedDropKey, Note, NoteKind,
        capture::{Draft, SITES, Site, SiteState, queue},
        losses::{Loss, MOST_LOSSES, Search},
    },
    kernel::tracepoints::{Run, Tracepoint},
    map::{
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
use core::marker::PhantomData;

/// A map, by its name.
pub struct Map<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Map<K, V> {}

impl<K, V> Map<K, V> {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    /// The name of its definition.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

/// The value of a map that holds one for each CPU.
#[derive(Clone, Copy, Debug)]
pub struct PerCpu<V>(PhantomData<V>);

/// The value of a map in shards ([`crate::map::shards`]): one for each slot in each of them.
#[derive(Clone, Copy, Debug)]
pub struct Sharded<V>(PhantomData<V>);

/// The key of a trie: a prefix, as the kernel wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Prefix<K> {
    /// Length in bits.
    pub length: u32,
    /// The bits, in network byte order.
    pub bits: K,
}

/// What a prefix is of.
pub trait IsPrefix {
    /// The type of its bits.
    type Bits;
}

impl<K> IsPrefix for Prefix<K> {
    type Bits = K;
}

/// What a map must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The name of its definition.
    pub name: &'static str,
    /// Bytes of a key.
    pub key: usize,
    /// Bytes of a value, on one CPU.
    pub value: usize,
    /// Whether there is a value for each CPU.
    pub per_cpu: bool,
}

/// Most label sets of listeners. Memory is taken for those in use only.
pub const ACCEPT_QUEUES_MOST: usize = 1 << 12;

/// Most prefixes of one family. Memory is taken for those in use only.
pub const SUBNETS: usize = 1 << 20;

/// `BPF_F_NO_PREALLOC`: memory is taken for entries in use only.
pub const NO_PREALLOC: usize = 1;

/// `BPF_F_MMAPABLE`: the memory of an array can be mapped.
pub const MAPPABLE: usize = 1 << 10;

/// Calls `$callback!` with every map: documentation, `NAME: Kind[entries, flags] Key => Value;`.
#[macro_export]
macro_rules! kernel_maps {
    ($callback:ident) => {
        $callback! {
            /// Socket -> state of its flow. Written by hooks and the fold, walked by the iterators. When the kernel gives no storage:
            /// [`Lost::FlowsUntracked`].
            FLOWS: SkStorage[] i32 => FlowState;
            /// Socket -> state of its listener, from when it listens or is first seen until it listens no more. Written by hooks and
            /// `fold_listeners`, walked by `fold_listeners`. When the kernel gives no storage, the listener turns away uncounted.
            LISTENERS: SkStorage[] i32 => ListenerState;
            /// Cookie of a socket -> state of its flow, where the kernel does not let `FLOWS` be walked. Written by hooks and the fold,
            /// keys read by user space. When full: [`Lost::FlowsUntracked`]. As small as can be elsewhere, as the four next ones.
            FLOW_TABLE: HashMap[{ MOST_SOCKETS }, { NO_PREALLOC }] u64 => Kept<FlowState>;
            /// Cookie of a socket -> state of its listener, likewise. When full, the listener turns away uncounted.
            LISTENER_TABLE: HashMap[{ MOST_SOCKETS }, { NO_PREALLOC }] u64 => Kept<ListenerState>;
            /// 0 -> nothing: what entries of `FLOW_TABLE` are made from. Never written.
            NO_FLOW: Array[1] u32 => Kept<FlowState>;
            /// 0 -> nothing: what entries of `LISTENER_TABLE` are made from. Never written.
            NO_LISTENER: Array[1] u32 => Kept<ListenerState>;
            /// Place in a list -> cookie of a socket to be walked over. Written by user space before a run of the iterators.
            WALK_LIST: Array[{ MOST_LISTED as usize }] u32 => u64;
            /// 0 -> how far a walk is. Written by user space and the iterators.
            WALK: Array[1] u32 => Walk;
            /// 0 -> hooks on this CPU that may remove a socket from a table, per CPU. Written by hooks, read by user space.
            REMOVING: PerCpuArray[1] u32 => u64;
            /// Slot -> counters of the group, in shards. Written by hooks and the fold, read by user space. As large as the number of
            /// slots times that of shards, so never full.
            GROUPS: ShardedArray[2] u32 => GroupCounters;
            /// Slot -> what the fold saw of the group's live flows. Written by the fold, read by user space. As large as the
            /// number of slots.
            SAMPLES: Array[2] u32 => Samples;
            /// [`ListenerKey::number`](crate::tcp::accept_queue::ListenerKey::number) -> what a collection sees of such listeners. Written
            /// by `sample_listeners`, read by user space. When full, listeners count in the entry of
            /// [`OTHER_LISTENERS`](crate::tcp::accept_queue::OTHER_LISTENERS), which user space makes before the first.
            ACCEPT_QUEUES: HashMap[{ ACCEPT_QUEUES_MOST }, { NO_PREALLOC }] u64 => AcceptQueues;
            /// Slot -> how full the group's connections found the accept queue that they went into. Written by hooks, read by user
            /// space. As large as the number of slots, and as small as can be where nobody looks at listeners.
            PEAKS: Array[2] u32 => Peaks;
            /// Labels ([`GroupKey::words`]) -> slot. Written by hooks once per label set, read by hooks and user space. When full: slot
            /// `other` and [`Lost::GroupOverflow`].
            GROUP_SLOTS: HashMap[2] [u64; GroupKey::WORDS] => Slot;
            /// Labels of a drop ([`DropKey::words`]) -> slot. Written and read by `kfree_skb`, read by user space. When full: slot
            /// `other` and [`Lost::DropOverflow`].
            DROP_SLOTS: HashMap[2] [u64; DropKey::WORDS] => Slot;
            /// Hash of the labels of a flow -> the slot that such labels had last, per CPU. Written and read by hooks. Smaller where
            /// CPUs are many.
            RECENT_GROUPS: PerCpuArray[{ RECENT as usize }] u32 => Recent<[u64; GroupKey::WORDS]>;
            /// Hash of the labels of a drop -> the slot that such labels had last, per CPU. Written and read by `kfree_skb`. Smaller
            /// where CPUs are many.
            RECENT_DROPS: PerCpuArray[{ RECENT as usize }] u32 => Recent<[u64; DropKey::WORDS]>;
            /// Labels of a drop by hardware or XDP -> slot. Written and read by their hooks, read by user space. When full: slot `other`
            /// of the source and [`Lost::DropOverflow`].
            NAMED_DROP_SLOTS: HashMap[2] NamedDropKey => Slot;
            /// [`NoteKind`] -> what the next run of `kfree_skb` on this CPU has to know. Written by the hooks that see a packet before
            /// `kfree_skb` does, taken by it.
            NOTES: PerCpuArray[{ NoteKind::COUNT }] u32 => Note;
            /// Slot -> drops, in shards. Written by all hooks on drops, read by user space. As large as the number of slots times that
            /// of shards.
            DROPS: ShardedArray[2] u32 => DropCounts;
            /// Place in the ring -> a range of TCP's data that was dropped. Written by `kfree_skb`, read by `tcp_retransmit_skb`. Always
            /// full: what is forgotten for a new one counts as [`Lost::LossesForgotten`].
            LOSSES: Array[{ MOST_LOSSES as usize }] u32 => Loss;
            /// Chain -> number of its newest range; 0 for none. Written by `kfree_skb`, read by `tcp_retransmit_skb`.
            LOSS_CHAINS: Array[{ MOST_LOSSES as usize }] u32 => u64;
            /// 0 -> ranges that were ever written down. Written by `kfree_skb`.
            LOSS_COUNT: Array[1] u32 => u64;
            /// [`Run`] -> the range that is being written, per CPU. Written and read by `kfree_skb`.
            LOSS_DRAFTS: PerCpuArray[{ Run::COUNT }] u32 => Loss;
            /// [`Run`] -> what is being looked for, per CPU. Written and read by `tcp_retransmit_skb`.
            LOSS_SEARCHES: PerCpuArray[{ Run::COUNT }] u32 => Search;
            /// CPU -> the buffer of dropped packets for `capture`. Written by `kfree_skb`, read by user space. When full: `tail_drops` of
            /// the site.
            CAPTURE_PACKETS: PerfEventByteArray[] u32 => u32;
            /// [`Run`] -> the event that is being prepared, per CPU. Written and read by `kfree_skb`. As small as can be when nobody
            /// reads.
            CAPTURE_DRAFTS: PerCpuArray[{ Run::COUNT }] u32 => Draft;
            /// Site -> whether a filter refuses it, and how many packets found the queue full. Written by `kfree_skb` and user space.
            /// When full, the packets count in `CAPTURE_QUEUE`.
            CAPTURE_SITES: HashMap[{ SITES }, { NO_PREALLOC }] Site => SiteState;
            /// [`queue`] -> count. Written by `kfree_skb` and user space, each their own words.
            CAPTURE_QUEUE: Array[{ queue::WORDS as usize }] u32 => u64;
            /// [`Table`] -> slots given out. Written by hooks; user space sets apart the rows `other` of drops.
            SLOTS_USED: Array[{ Table::COUNT }] u32 => u64;
            /// [`Lost`] -> count, per CPU. Written by hooks, read by user space.
            LOST: PerCpuArray[{ Lost::COUNT }] u32 => u64;
            /// Entry -> live flows of a congestion-control algorithm; [`AlgorithmCount`] says which one is whose. Written by the fold,
            /// read by user space. When full the algorithm is not shown.
            ALGORITHMS: Array[{ MOST_ALGORITHMS as usize }] u32 => AlgorithmCount;
            /// 0 -> the record that the dump is writing: it is too large for the stack. Written and read by the dump, which user space
            /// runs once at a time.
            SCRATCH: Array[1] u32 => FlowRecord;
            /// Events of flows, in the order in which they happened on each CPU. Written by hooks when `trace` runs, read by user space.
            /// When full: `EVENTS_LOST`. As small as can be when nobody reads.
            EVENTS: RingBuf[4096] () => Event;
            /// 0 -> events that found no room in `EVENTS`, per CPU. Written by hooks, read by user space.
            EVENTS_LOST: PerCpuArray[1] u32 => u64;
            /// [`Tracepoint`] -> the kernel's number of its first program; the last entry is scratch. Written by user space before
            /// `find_programs` runs, which reads it.
            PROGRAM_IDS: Array[{ Tracepoint::COUNT + 1 }] u32 => u64;
            /// [`Tracepoint`] -> how far the word by which the kernel knows that the first program is at work on a CPU lies from `HERE`
            /// on that CPU; 0 while that is not known. Written by `find_programs`, read by the programs that take over.
            DISTANCES: Array[{ Tracepoint::COUNT }] u32 => u64;
            /// 0 -> for each [`Tracepoint`] the address of that word on this CPU; 0 until it has been needed there, or while it is not
            /// known. Each entry is written and read by the program that takes over on its tracepoint alone.
            HERE: PerCpuArray[1] u32 => [u64; Tracepoint::COUNT];
            /// [`Tracepoint`] -> events that its second program took over, per CPU, less those for which the first ran after all.
            /// Written by both, read by user space.
            TAKEN_OVER: PerCpuArray[{ Tracepoint::COUNT }] u32 => u64;
            /// Task -> by [`Tracepoint`], not zero when the second program took over the event that the task is in. Written and read by
            /// the programs where a task can lose its CPU meanwhile. When the kernel gives no storage, the event is not taken over: it
            /// is lost, and counted as such.
            TASK_NOTES: TaskStorage[] i32 => [u32; Tracepoint::COUNT];
            /// `kernfs_node.id` of a cgroup -> whose its sockets are. An entry is made when the cgroup is or when its first socket is
            /// met, and goes when the last socket of the cgroup has gone. Made and deleted by hooks, filled in by user space. When full:
            /// [`Lost::CgroupsUntracked`].
            CGROUPS: HashMap[{ MOST_CGROUPS }, { NO_PREALLOC }] u64 => CgroupState;
            /// Cgroups that user space has not seen yet. Written by hooks, read by user space. When full:
            /// [`Lost::CgroupsUntracked`], and the next socket tries again.
            CGROUP_BIRTHS: RingBuf[4096] () => CgroupBirth;
            /// `net.net_cookie` of a network namespace -> whose the sockets in it are. Written and read by hooks. When full, the one that
            /// was not asked for longest is forgotten.
            NETWORKS: LruHashMap[{ MOST_NETWORKS }] u64 => Number;
            /// 0 -> `net.net_cookie` of the first network namespace; 0 until it was needed. Written and read by hooks.
            INITIAL_NETWORK: Array[1] u32 => u64;
            /// 0 -> number of the running fold. Written by user space before each fold.
            EPOCH: Array[1] u32 => u64;
            /// 0 -> settings. Written by user space, last of all that a configuration changes.
            SETTINGS: Array[1] u32 => Settings;
            /// TCP port in host byte order -> number of the application protocol, 0 for none. Written by user space.
            PORTS: Array[{ 1 << 16 }] u32 => u16;
            /// IPv4 prefix -> number of the configured subnet. Written by user space.
            SUBNETS_V4: LpmTrie[{ SUBNETS }] Prefix<u32> => u32;
            /// IPv6 prefix -> number of the configured subnet. Written by user space.
            SUBNETS_V6: LpmTrie[{ SUBNETS }] Prefix<[u32; 4]> => u32;
        }
    };
}

/// The constant's type, and the layout that the kernel shows, by the kind of map.
macro_rules! of_kind {
    (PerCpuArray, $key:ty, $value:ty) => { Map<$key, PerCpu<$value>> };
    (ShardedArray, $key:ty, $value:ty) => { Map<$key, Sharded<$value>> };
    ($kind:ident, $key:ty, $value:ty) => { Map<$key, $value> };
    (layout PerCpuArray, $name:expr, $key:ty, $value:ty) => { Layout::of::<$key, $value>($name, true) };
    // What it holds is not said to the kernel.
    (layout RingBuf, $name:expr, $key:ty, $value:ty) => { Layout::of::<(), ()>($name, false) };
    (layout $kind:ident, $name:expr, $key:ty, $value:ty) => { Layout::of::<$key, $value>($name, false) };
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident: $kind:ident[$($size:tt)*] $key:ty => $value:ty;)+) => {
        $(
            $(#[$doc])*
            pub const $name: of_kind!($kind, $key, $value) = Map::new(stringify!($name));
            // Entries and flags are for the programs alone.
            const _: &[usize] = &[$($size)*];
        )+

        /// What every map must be like.
        pub const LAYOUTS: &[Layout] = &[$(of_kind!(layout $kind, stringify!($name), $key, $value),)+];
    };
}

impl Layout {
    const fn of<K, V>(name: &'static str, per_cpu: bool) -> Self {
        // The kernel gives the values of all CPUs at distances of whole words.
        assert!(!per_cpu || size_of::<V>().is_multiple_of(8));
        Self {
            name,
            key: size_of::<K>(),
            value: size_of::<V>(),
            per_cpu,
        }
    }
}

kernel_maps!(rows);
