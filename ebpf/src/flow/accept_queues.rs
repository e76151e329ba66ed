//! Accept queues: what a collection sees of those of listeners, and how full connections found them before that.
#![expect(
    unsafe_code,
    reason = "reaches values of maps through raw pointers, and exports functions by name"
)]

use crate::{
    atomic,
    kernel::{Sock, TcpSock, offsets::HAS_LISTENERS},
    label::{groups, workloads},
    maps::{ACCEPT_QUEUES, EPOCH, PEAKS},
};
use aya_ebpf::bindings::BPF_NOEXIST;
use common::tcp::{
    accept_queue::{AcceptQueues, ListenerKey, OTHER_LISTENERS, fullness, peak},
    state,
};
use core::ptr::read_volatile;

/// How often a peak that lost a race is tried again. Each time, another connection has found the queue at least as full as was read.
const TRIES: u32 = 8;

/// Adds a listener to what this collection sees.
#[inline(always)]
pub(crate) fn sample(sock: Sock, tcp: TcpSock) {
    let (Some(waiting), Some(limit)) = (tcp.ack_backlog(), tcp.max_ack_backlog()) else {
        return;
    };
    if sock.state() != state::LISTEN {
        return;
    }
    let key = ListenerKey {
        protocol: groups::protocol_of(tcp.local_port()),
        workload: workloads::of_shown_socket(sock),
    };
    add_accept_queue(key.number(), waiting, limit);
}

/// Adds a queue to those with the same labels. With global linkage: the verifier checks it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn add_accept_queue(key: u64, waiting: u32, limit: u32) -> u32 {
    let epoch = EPOCH.get(0).copied().unwrap_or(0);
    let Some(seen) = entry(key).or_else(|| entry(OTHER_LISTENERS)) else {
        return 0;
    };
    // SAFETY: a map value that only the collecting iterator writes. User space runs it once at a time, and reads the map afterwards.
    unsafe { (*seen).add(epoch, waiting, limit) };
    0
}

#[inline(always)]
fn entry(key: u64) -> Option<*mut AcceptQueues> {
    if let Some(entry) = ACCEPT_QUEUES.get_ptr_mut(key) {
        return Some(entry);
    }
    let _made = ACCEPT_QUEUES.insert(key, AcceptQueues::default(), BPF_NOEXIST as u64);
    ACCEPT_QUEUES.get_ptr_mut(key)
}

/// The connection of a listener is established: its socket is a copy of the listener, made just before the connection went into the
/// queue. Whether the queue was that full is for the connection's group to remember until the next collection.
#[inline(always)]
pub(crate) fn on_connection(tcp: TcpSock, slot: u32) {
    if !HAS_LISTENERS.is_set() {
        return;
    }
    if let (Some(waiting), Some(limit)) = (tcp.ack_backlog(), tcp.max_ack_backlog()) {
        keep_peak(slot, fullness(waiting.saturating_add(1), limit));
    }
}

/// Keeps the fullness of a queue if it is the largest since the last collection. With global linkage: the verifier checks it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn keep_peak(slot: u32, fullness: u32) -> u32 {
    let epoch = EPOCH.get(0).copied().unwrap_or(0);
    let Some(peaks) = PEAKS.get_ptr_mut(slot) else {
        return 0;
    };
    // SAFETY: a map value; the element is one of it.
    let Some(place) = (unsafe { atomic::element(peaks, (epoch & 1) as usize) }) else {
        return 0;
    };
    let new = peak(epoch, fullness);
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: a word of a map value, which all write atomically.
        unsafe {
            let old = read_volatile(place);
            if old >= new || atomic::replace_at(place, old, new) {
                return 0;
            }
        }
        tries += 1;
    }
    0
}
