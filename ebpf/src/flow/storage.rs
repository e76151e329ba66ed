//! Socket storage: the state of a flow, found, created or adopted.
#![expect(
    unsafe_code,
    reason = "calls the helpers that aya-ebpf offers for socket-address programs only"
)]

use crate::{
    atomic,
    flow::fold,
    kernel::{Sock, TcpSock},
    label::groups::Place,
    maps::FLOWS,
};
use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
};
use common::tcp::{
    flow::{ADOPTED, CLOSED, ESTABLISHED, FlowState},
    group::Role,
    state,
};
use core::{
    ffi::c_void,
    ptr::{from_ref, null_mut},
};

/// The state of a flow in its socket's storage: there from the first SYN (as client) or the end of the handshake until the
/// socket is gone.
#[derive(Clone, Copy)]
pub(crate) struct Flow(*mut FlowState);

impl Flow {
    /// The state behind a pointer that an iterator was given; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn from_pointer(pointer: *mut FlowState) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// For the fold, which shares the snapshots with other CPUs.
    #[inline(always)]
    pub(crate) const fn as_ptr(self) -> *mut FlowState {
        self.0
    }

    /// The state, for a hook that holds the socket's lock. Hooks leave the snapshots to the fold.
    #[inline(always)]
    pub(crate) fn state<'a>(self) -> &'a mut FlowState {
        // SAFETY: the verifier has checked the pointer; storage outlives the program's run.
        unsafe { &mut *self.0 }
    }

    /// Makes a filled-in state visible to the collecting iterator, which looks at the flags first: the exchange is a barrier.
    #[inline(always)]
    pub(crate) fn establish(self, flags: u32) {
        // SAFETY: a member of the state.
        unsafe { atomic::replace(&raw mut (*self.0).flags, 0, flags) };
    }

    /// Counts segments that this host dropped. Who drops does not hold the socket's lock.
    #[inline(always)]
    pub(crate) fn add_locally_dropped(self, segments: u32) {
        // SAFETY: a member of the state.
        unsafe { atomic::add(&raw mut (*self.0).locally_dropped, segments) };
    }

    /// Ends a flow whose end was not seen; false when it has been ended by now.
    #[inline(always)]
    pub(crate) fn end(self) -> bool {
        let flags = self.state().flags;
        // SAFETY: a member of the state.
        flags & ESTABLISHED != 0 && unsafe { atomic::replace(&raw mut (*self.0).flags, flags, CLOSED) }
    }

    /// Whether the flow belongs to a group: it is established, or was until it was closed.
    #[inline(always)]
    pub(crate) fn has_slot(self) -> bool {
        self.state().flags != 0
    }

    /// As [`Self::is_established`], for an iterator: it has no lock, and must not read a state from before it was filled in.
    #[inline(always)]
    pub(crate) fn is_visible(self) -> bool {
        // SAFETY: a member of the state.
        unsafe { atomic::read_first(&raw mut (*self.0).flags) & ESTABLISHED != 0 }
    }

    /// Whether the handshake is over and the connection is not.
    #[inline(always)]
    pub(crate) fn is_established(self) -> bool {
        self.state().flags & ESTABLISHED != 0
    }
}

#[inline(always)]
fn flows() -> *mut c_void {
    from_ref(&FLOWS).cast_mut().cast()
}

/// The flow of a socket, if it has one.
#[inline(always)]
pub(crate) fn find(sock: Sock) -> Option<Flow> {
    // SAFETY: the helper checks the socket, the verifier its type.
    Flow::from_pointer(unsafe { bpf_sk_storage_get(flows(), sock.as_ptr().cast_mut().cast(), null_mut(), 0) }.cast())
}

/// The flow of a socket, created with everything zero if it has none; `None` when the kernel gives no storage.
#[inline(always)]
pub(crate) fn create(sock: Sock) -> Option<Flow> {
    // SAFETY: as above.
    Flow::from_pointer(
        unsafe {
            bpf_sk_storage_get(
                flows(),
                sock.as_ptr().cast_mut().cast(),
                null_mut(),
                BPF_SK_STORAGE_GET_F_CREATE as u64,
            )
        }
        .cast(),
    )
}

/// Forgets the flow of a socket.
#[inline(always)]
pub(crate) fn delete(sock: Sock) {
    // SAFETY: as above. A socket without storage is no error worth knowing.
    unsafe { bpf_sk_storage_delete(flows(), sock.as_ptr().cast_mut().cast()) };
}

/// The flow of a connected socket: found, or adopted with its counters from now on when it is older than the exporter.
#[inline(always)]
pub(crate) fn find_or_adopt(sock: Sock, tcp: TcpSock) -> Option<Flow> {
    if let Some(flow) = find(sock) {
        if flow.is_established() {
            return Some(flow);
        }
        if flow.has_slot() {
            return None;
        }
        // A client has storage from its SYN on: here the end of its handshake was not seen.
    }
    if !state::is_connected(sock.state()) {
        return None;
    }
    adopt(sock, tcp)
}

/// Begins the state of a flow whose opening was not seen. Which end opened it, its socket tells.
#[inline(always)]
pub(crate) fn adopt(sock: Sock, tcp: TcpSock) -> Option<Flow> {
    adopt_as(sock, tcp, tcp.role())
}

/// The same for a flow whose role the caller knows; without one the ports tell it.
#[inline(always)]
pub(crate) fn adopt_as(sock: Sock, tcp: TcpSock, role: Option<Role>) -> Option<Flow> {
    let flow = create(sock)?;
    let state = flow.state();
    Place::of_flow(sock, role).take(state);
    // A client that is known since its SYN has been counted from zero.
    let known = if state.started == 0 {
        fold::begin(state, tcp);
        ADOPTED
    } else {
        fold::begin_retransmissions(state, tcp);
        0
    };
    flow.establish(ESTABLISHED | known);
    Some(flow)
}
