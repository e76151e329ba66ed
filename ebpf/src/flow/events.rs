//! Events for `trace`: written into a ring buffer when somebody reads it. Else none of this is in the programs that run.
#![expect(unsafe_code, reason = "fills in memory of a ring buffer through a raw pointer")]

use crate::{
    atomic,
    flow::record,
    kernel::{Sock, TcpSock, offsets::HAS_EVENTS},
    maps::{EVENTS, EVENTS_LOST},
};
use common::tcp::{event::EventKind, flow::FlowState};

/// Tells what has just happened to a flow, by the socket that the hook was given: the kernel gives no cookie of one that `tcp` has
/// been made of by its address alone. What finds no room in the ring buffer is counted.
#[inline(always)]
pub(crate) fn emit(kind: EventKind, sock: Sock, tcp: TcpSock, flow: &FlowState) {
    if !HAS_EVENTS.is_set() {
        return;
    }
    let Some(mut entry) = EVENTS.reserve(0) else {
        if let Some(lost) = EVENTS_LOST.get_ptr_mut(0) {
            // SAFETY: a word of a map value.
            unsafe { atomic::add(lost, 1) };
        }
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: memory of the ring buffer that is this program's until it is submitted. Every member is written.
    unsafe {
        (&raw mut (*event).kind).write_volatile(kind as u32);
        (&raw mut (*event).reserved).write_volatile(0);
        record::fill(&raw mut (*event).record, sock, sock.cookie(), tcp, flow);
    }
    entry.submit(0);
}
