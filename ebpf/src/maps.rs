//! Every map: key, value, who writes, who reads, what happens when it is full.
//!
//! Sizes given here are placeholders where user space sets them before loading.

use crate::nested::task_storage::TaskStorage;
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray, PerfEventByteArray, RingBuf, SkStorage},
    macros::btf_map,
};
use common::{
    drops::{
        DropCounts, NamedDropKey, Note,
        capture::{Draft, SITES, Site, SiteState, queue},
    },
    kernel::tracepoints::{Run, Tracepoint},
    map::{
        lost::Lost,
        recent::{RECENT, Recent},
        settings::Settings,
    },
    tcp::{
        event::Event,
        flow::FlowState,
        group::{ALGORITHMS as ALGORITHM_COUNT, AlgorithmCount, GroupCounters, Samples},
        listener::ListenerState,
        record::FlowRecord,
    },
};

/// Most prefixes of one family. Memory is taken for those in use only.
const SUBNETS: usize = 1 << 20;

/// Socket -> state of its flow. Written by hooks and the fold, walked by the iterators. When the kernel gives no storage:
/// [`Lost::FlowsUntracked`].
#[btf_map]
pub(crate) static FLOWS: SkStorage<FlowState> = SkStorage::new();

/// Socket -> state of its listener, from when it listens or is first seen until it listens no more. Written by hooks and
/// `fold_listeners`, walked by `fold_listeners`. When the kernel gives no storage, the listener turns away uncounted.
#[btf_map]
pub(crate) static LISTENERS: SkStorage<ListenerState> = SkStorage::new();

/// Slot -> counters of the group, per CPU. Written by hooks and the fold, read by user space. As large as the number of
/// slots, so never full.
#[btf_map]
pub(crate) static GROUPS: PerCpuArray<GroupCounters, 2> = PerCpuArray::new();

/// Slot -> what the fold saw of the group's live flows. Written by the fold, read by user space. As large as `GROUPS`.
#[btf_map]
pub(crate) static SAMPLES: Array<Samples, 2> = Array::new();

/// Labels ([`common::tcp::group::GroupKey`]) -> slot. Written by hooks once per label set, read by hooks and user space. When full: slot `other` and
/// [`Lost::GroupOverflow`].
#[btf_map]
pub(crate) static GROUP_SLOTS: HashMap<[u64; 3], u32, 2> = HashMap::new();

/// Labels of a drop ([`common::drops::DropKey`]) -> slot. Written and read by `kfree_skb`, read by user space. When full: slot `other` and
/// [`Lost::DropOverflow`].
#[btf_map]
pub(crate) static DROP_SLOTS: HashMap<[u64; 5], u32, 2> = HashMap::new();

/// Hash of the labels of a flow -> the slot that such labels had last, per CPU. Written and read by hooks.
#[btf_map]
pub(crate) static RECENT_GROUPS: PerCpuArray<Recent<[u64; 3]>, { RECENT as usize }> = PerCpuArray::new();

/// Hash of the labels of a drop -> the slot that such labels had last, per CPU. Written and read by `kfree_skb`.
#[btf_map]
pub(crate) static RECENT_DROPS: PerCpuArray<Recent<[u64; 5]>, { RECENT as usize }> = PerCpuArray::new();

/// Labels of a drop by hardware or XDP -> slot. Written and read by their hooks, read by user space. When full: slot `other` of
/// the source and [`Lost::DropOverflow`].
#[btf_map]
pub(crate) static NAMED_DROP_SLOTS: HashMap<NamedDropKey, u32, 2> = HashMap::new();

/// [`crate::drops::notes::About`] -> what the next run of `kfree_skb` on this CPU has to know. Written by the hooks that see a packet
/// before `kfree_skb` does, taken by it.
#[btf_map]
pub(crate) static NOTES: PerCpuArray<Note, 2> = PerCpuArray::new();

/// Slot -> drops, per CPU. Written by all hooks on drops, read by user space. As large as the number of slots.
#[btf_map]
pub(crate) static DROPS: PerCpuArray<DropCounts, 2> = PerCpuArray::new();

/// CPU -> the buffer of dropped packets for `capture`. Written by `kfree_skb`, read by user space. When full: `tail_drops` of
/// the site.
#[btf_map]
pub(crate) static CAPTURE_PACKETS: PerfEventByteArray = PerfEventByteArray::new();

/// [`Run`] -> the event that is being prepared, per CPU. Written and read by `kfree_skb`.
#[btf_map]
pub(crate) static CAPTURE_DRAFTS: PerCpuArray<Draft, { Run::COUNT }> = PerCpuArray::new();

/// Site -> whether a filter refuses it, and how many packets found the queue full. Written by `kfree_skb` and user space. When
/// full, the packets count in `CAPTURE_QUEUE`.
#[btf_map]
pub(crate) static CAPTURE_SITES: HashMap<Site, SiteState, SITES, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// [`queue`] -> count. Written by `kfree_skb` and user space, each their own words.
#[btf_map]
pub(crate) static CAPTURE_QUEUE: Array<u64, { queue::WORDS as usize }> = Array::new();

/// Table ([`crate::label::slots::Table`]) -> slots given out. Written by hooks; user space sets apart the rows `other` of drops.
#[btf_map]
pub(crate) static SLOTS_USED: Array<u64, 2> = Array::new();

/// [`Lost`] -> count, per CPU. Written by hooks, read by user space.
#[btf_map]
pub(crate) static LOST: PerCpuArray<u64, { Lost::COUNT }> = PerCpuArray::new();

/// Entry -> live flows of a congestion-control algorithm; [`AlgorithmCount`] says which one is whose. Written by the fold, read by
/// user space. When full the algorithm is not shown.
#[btf_map]
pub(crate) static ALGORITHMS: Array<AlgorithmCount, { ALGORITHM_COUNT as usize }> = Array::new();

/// 0 -> the record that the dump is writing, per CPU: it is too large for the stack. Written and read by the dump, which user
/// space runs once at a time.
#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<FlowRecord, 1> = PerCpuArray::new();

/// Events of flows, in the order in which they happened on each CPU. Written by hooks when `trace` runs, read by user space. When
/// full: `EVENTS_LOST`. As small as can be when nobody reads.
#[btf_map]
pub(crate) static EVENTS: RingBuf<Event, 4096> = RingBuf::new();

/// 0 -> events that found no room in `EVENTS`, per CPU. Written by hooks, read by user space.
#[btf_map]
pub(crate) static EVENTS_LOST: PerCpuArray<u64, 1> = PerCpuArray::new();

/// [`Tracepoint`] -> the kernel's number of its first program; the last entry is scratch. Written by user space before
/// `find_programs` runs, which reads it.
#[btf_map]
pub(crate) static PROGRAM_IDS: Array<u64, { Tracepoint::COUNT + 1 }> = Array::new();

/// [`Tracepoint`] -> how far the word by which the kernel knows that the first program is at work on a CPU lies from `HERE` on that
/// CPU; 0 while that is not known. Written by `find_programs`, read by the programs that take over.
#[btf_map]
pub(crate) static DISTANCES: Array<u64, { Tracepoint::COUNT }> = Array::new();

/// 0 -> for each [`Tracepoint`] the address of that word on this CPU; 0 until it has been needed there, or while it is not known.
/// Each entry is written and read by the program that takes over on its tracepoint alone.
#[btf_map]
pub(crate) static HERE: PerCpuArray<[u64; Tracepoint::COUNT], 1> = PerCpuArray::new();

/// [`Tracepoint`] -> events that its second program took over, per CPU, less those for which the first ran after all. Written by
/// both, read by user space.
#[btf_map]
pub(crate) static TAKEN_OVER: PerCpuArray<u64, { Tracepoint::COUNT }> = PerCpuArray::new();

/// Task -> by [`Tracepoint`], not zero when the second program took over the event that the task is in. Written and read by the
/// programs where a task can lose its CPU meanwhile. When the kernel gives no storage, the event is not taken over: it is lost, and
/// counted as such.
#[btf_map]
pub(crate) static TASK_NOTES: TaskStorage<[u32; Tracepoint::COUNT]> = TaskStorage::new();

/// 0 -> number of the running fold. Written by user space before each fold.
#[btf_map]
pub(crate) static EPOCH: Array<u64, 1> = Array::new();

/// 0 -> settings. Written by user space, last of all that a configuration changes.
#[btf_map]
pub(crate) static SETTINGS: Array<Settings, 1> = Array::new();

/// TCP port in host byte order -> number of the application protocol, 0 for none. Written by user space.
#[btf_map]
pub(crate) static PORTS: Array<u16, { 1 << 16 }> = Array::new();

/// IPv4 prefix -> number of the configured subnet. Written by user space.
#[btf_map]
pub(crate) static SUBNETS_V4: LpmTrie<u32, u32, SUBNETS> = LpmTrie::new();

/// IPv6 prefix -> number of the configured subnet. Written by user space.
#[btf_map]
pub(crate) static SUBNETS_V6: LpmTrie<[u32; 4], u32, SUBNETS> = LpmTrie::new();
