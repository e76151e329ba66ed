//! `bpf_iter_bpf_sk_storage_map(struct bpf_iter_meta *meta, struct bpf_map *map, struct sock *sk, void *value)`, 5.10 to 7.2: every live
//! flow, in all network namespaces. The socket is not locked.
//!
//! The fold writes nothing to the iterator's file: a program whose output does not fit is run again for the same flow,
//! which would count it twice. The dump does nothing but write, and so never counts.
#![expect(
    unsafe_code,
    reason = "the entry of an iterator, whose context aya-ebpf does not know"
)]

use crate::{
    flow::{accept_queues, ahead, fold, listeners::Listener, record, retransmissions, state::Flow},
    kernel::{Sock, TcpSock, offsets::JIFFY_NANOSECONDS},
    label::groups::{Group, SlotAssignment},
    maps::{ALGORITHMS, EPOCH, SAMPLES, SCRATCH},
    probes::inet_sock_set_state,
};
use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use common::{
    histogram::{Histogram, TIME_BUCKETS, rate_bucket, size_bucket, time_bucket},
    memory::recent::place,
    net::connection::Name,
    tcp::{
        INFINITE_SSTHRESH,
        flow::{FlowState, Fold},
        record::FlowRecord,
        samples::{AlgorithmCount, MOST_ALGORITHMS, Samples},
        state,
    },
};

/// `struct bpf_iter__bpf_sk_storage_map`: every member is 8 bytes long.
#[repr(C)]
struct Context {
    meta: *const Meta,
    map: *const u8,
    sk: *const u8,
    value: *mut u8,
}

/// `struct bpf_iter_meta`, as far as it is used.
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
extern "C" fn fold_flows(context: *const Context) -> i32 {
    // SAFETY: the kernel calls with such a context, and user space binds the program to the map `FLOWS`; both pointers are NULL at
    // the end of the walk.
    let (sock, flow) = unsafe {
        (
            Sock::from_pointer((*context).sk),
            Flow::from_pointer((*context).value.cast()),
        )
    };
    let (Some(sock), Some(flow)) = (sock, flow) else {
        return 0;
    };
    let Some(tcp) = sock.known_tcp() else { return 0 };
    ahead::fetch(&flow);
    if flow.is_visible() {
        visit(sock, tcp, flow, || true);
    }
    0
}

/// Folds a live flow and samples it. `is_there` says whether what was read of the socket is still its own. A flow that a hook ends meanwhile
/// is folded by the hook: what is read afterwards may be of a socket that was disconnected, or of another one.
#[inline(always)]
pub(super) fn visit(sock: Sock, tcp: TcpSock, flow: Flow, is_there: impl Fn() -> bool) {
    // The hook sees the end before the socket's state shows it: this end nobody saw.
    if sock.state() == state::CLOSE {
        heal(flow, tcp, is_there);
        return;
    }
    if let Some(group) = Group::at(flow.slot.get()) {
        fold::fold(flow, tcp, group, Fold::Live, || flow.is_visible() && is_there());
    }
    // What it did until now stays where it was counted; from now on it counts by the new configuration.
    if let Some(assignment) = SlotAssignment::anew(sock, &flow) {
        assignment.assign_to(&flow);
    }
    let slot = flow.slot.get();
    let epoch = EPOCH.get(0).copied().unwrap_or(0);
    if let Some(samples) = SAMPLES.get_ptr_mut(slot) {
        // SAFETY: a map value that only the folding program writes. User space runs it once at a time, and reads the map afterwards.
        sample(unsafe { &mut *samples }, epoch, &flow, tcp);
    }
    if let Some(name) = tcp.algorithm() {
        count_algorithm(name, epoch);
    }
}

/// Counts the end of a flow that no hook saw.
#[inline(always)]
fn heal(flow: Flow, tcp: TcpSock, is_there: impl Fn() -> bool) {
    let (flags, started) = (flow.flags.get(), flow.started.get());
    if !flow.end() {
        return;
    }
    if let Some(group) = Group::at(flow.slot.get()) {
        if is_there() {
            retransmissions::find_kind_of_the_past(flow, tcp);
        }
        fold::fold(flow, tcp, group, Fold::Late, is_there);
        inet_sock_set_state::count_end(group, flags, started);
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
extern "C" fn fold_listeners(context: *const Context) -> i32 {
    // SAFETY: as above, but user space binds this program to the map `LISTENERS`.
    let (sock, listener) = unsafe {
        (
            Sock::from_pointer((*context).sk),
            Listener::from_pointer((*context).value.cast()),
        )
    };
    let (Some(sock), Some(listener)) = (sock, listener) else {
        return 0;
    };
    let Some(tcp) = sock.known_tcp() else { return 0 };
    listener.fold(sock, tcp);
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
extern "C" fn sample_listeners(context: *const Context) -> i32 {
    // SAFETY: as for `fold_listeners`.
    let sock = unsafe { Sock::from_pointer((*context).sk) };
    if let Some(sock) = sock
        && let Some(tcp) = sock.known_tcp()
    {
        accept_queues::sample(sock, tcp);
    }
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
extern "C" fn dump_flows(context: *const Context) -> i32 {
    // SAFETY: as for `fold_flows`.
    let (sock, flow) = unsafe {
        (
            Sock::from_pointer((*context).sk),
            Flow::from_pointer((*context).value.cast()),
        )
    };
    let (Some(sock), Some(flow)) = (sock, flow) else {
        return 0;
    };
    let Some(tcp) = sock.known_tcp() else { return 0 };
    if !flow.is_shown(sock) {
        return 0;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a map value that only this program uses; user space runs it once at a time. The kernel gives every run a
    // file; what does not fit into it is written once more by another run.
    unsafe {
        record::fill(scratch, sock, sock.cookie(), tcp, &flow);
        // It may have ended meanwhile, and the socket be another one.
        if !flow.is_shown(sock) {
            return 0;
        }
        bpf_seq_write((*(*context).meta).seq, scratch.cast(), size_of::<FlowRecord>() as u32);
    }
    0
}

/// Samples what the flow looks like now.
#[inline(always)]
fn sample(samples: &mut Samples, epoch: u64, flow: &FlowState, tcp: TcpSock) {
    samples.begin(epoch);
    samples.live += 1;
    let rto = tcp.icsk_rto().unwrap_or(0);
    let smoothed = tcp.smoothed_rtt();
    // The flow's own extremes are kept where every acknowledgment is seen; elsewhere the smoothed value is all there is.
    let (rtt_min, rtt_max, rto_min, rto_max) = if flow.rtt_count.get() != 0 {
        (
            flow.rtt_min.get(),
            flow.rtt_max.get(),
            flow.rto_min.get(),
            flow.rto_max.get(),
        )
    } else {
        let smoothed = smoothed.unwrap_or(0);
        (smoothed, smoothed, rto, rto)
    };
    extend(&mut samples.rtt_min, &mut samples.rtt_max, rtt_min, rtt_max);
    extend(&mut samples.rto_min, &mut samples.rto_max, rto_min, rto_max);
    if let Some(micros) = smoothed {
        add_time(&mut samples.smoothed_rtt, micros as u64, micros as u64);
    }
    if rto != 0 {
        let micros = rto as u64 * (JIFFY_NANOSECONDS.get() / 1000);
        add_time(&mut samples.rto, rto as u64, micros);
    }
    if let Some(window) = tcp.snd_cwnd() {
        add_size(&mut samples.congestion_window, window);
    }
    if let Some(threshold) = tcp.snd_ssthresh()
        && threshold < INFINITE_SSTHRESH
    {
        add_size(&mut samples.slow_start_threshold, threshold);
    }
    if let Some(mss) = tcp.mss_cache() {
        add_size(&mut samples.mss, mss);
    }
    sample_path(samples, tcp);
}

/// Samples what the path and the ends allow.
#[inline(always)]
fn sample_path(samples: &mut Samples, tcp: TcpSock) {
    samples.peer_zero_windows += (tcp.snd_wnd() == Some(0)) as u32;
    samples.own_zero_windows += (tcp.rcv_wnd() == Some(0)) as u32;
    narrow(&mut samples.path_mtu_min, tcp.path_mtu().unwrap_or(0));
    narrow(&mut samples.peer_mss_min, tcp.peer_mss().unwrap_or(0) as u32);
    if let Some(rate) = tcp.delivery_rate() {
        samples.delivery_rate.sum += rate;
        if let Some(bucket) = samples.delivery_rate.buckets.get_mut(rate_bucket(rate)) {
            *bucket += 1;
        }
    }
}

/// Keeps the smaller value; 0 is none.
#[inline(always)]
fn narrow(least: &mut u32, value: u32) {
    if value != 0 && (*least == 0 || value < *least) {
        *least = value;
    }
}

/// Widens a range; 0 is no value.
#[inline(always)]
fn extend(least: &mut u32, most: &mut u32, low: u32, high: u32) {
    narrow(least, low);
    if high > *most {
        *most = high;
    }
}

#[inline(always)]
fn add_time(histogram: &mut Histogram<TIME_BUCKETS>, value: u64, micros: u64) {
    histogram.sum += value;
    if let Some(bucket) = histogram.buckets.get_mut(time_bucket(micros, TIME_BUCKETS)) {
        *bucket += 1;
    }
}

#[inline(always)]
fn add_size<const N: usize>(histogram: &mut Histogram<N>, size: u32) {
    histogram.sum += size as u64;
    if let Some(bucket) = histogram.buckets.get_mut(size_bucket(size)) {
        *bucket += 1;
    }
}

#[inline(always)]
fn count_algorithm(name: Name, epoch: u64) {
    let first = place(name);
    let mut step = 0;
    // A full table leaves the algorithm out.
    while step < MOST_ALGORITHMS {
        let Some(count) = ALGORITHMS.get_ptr_mut((first + step) % MOST_ALGORITHMS) else {
            return;
        };
        // SAFETY: as for the samples.
        let count = unsafe { &mut *count };
        if count.epoch != epoch {
            *count = AlgorithmCount { name, epoch, live: 1 };
            return;
        }
        if count.name == name {
            count.live += 1;
            return;
        }
        step += 1;
    }
}
