//! Listeners: how many handshakes they turn away.
#![expect(
    unsafe_code,
    reason = "calls the helpers that aya-ebpf offers for socket-address programs only, and changes map values"
)]

use crate::{
    atomic,
    kernel::{Sock, TcpSock},
    label::{
        devices,
        groups::{self, Group},
    },
    maps::LISTENERS,
};
use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
};
use common::tcp::listener::{ListenerState, since, turned_away};
use core::{
    ffi::c_void,
    ptr::{from_ref, null_mut, read_volatile},
};

/// The state of a listener in its socket's storage.
#[derive(Clone, Copy)]
pub(crate) struct Listener(*mut ListenerState);

impl Listener {
    /// The state behind a pointer that an iterator or a helper gave; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn from_pointer(pointer: *mut ListenerState) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// Counts a packet that the kernel has added to `sk_drops` though it is no handshake turned away.
    #[inline(always)]
    pub(crate) fn on_freed(self, packets: u32) {
        // SAFETY: a member of the state.
        unsafe { atomic::add(&raw mut (*self.0).freed, packets as u64) };
    }

    /// Adds the handshakes that were turned away since the last time to the group of the served port. The kernel does not say
    /// whose they were, so the subnet is none.
    #[inline(always)]
    pub(crate) fn fold(self, tcp: TcpSock) {
        // In this order: what is freed meanwhile is counted by the next fold, not twice.
        let Some(drops) = tcp.drops() else { return };
        let Some(queues) = tcp.queues() else { return };
        // SAFETY: members of the state.
        let (counted, now) = unsafe {
            let counted = read_volatile(&raw const (*self.0).counted);
            (counted, turned_away(drops, read_volatile(&raw const (*self.0).freed)))
        };
        let more = since(counted, now);
        // SAFETY: as above.
        if more == 0 || !unsafe { atomic::replace(&raw mut (*self.0).counted, counted, now) } {
            return;
        }
        let slot = groups::slot_of_port(tcp.local_port(), devices::UNKNOWN);
        if let Some(group) = Group::at(slot) {
            group.add(queues.cause(), more as u64);
        }
    }
}

#[inline(always)]
fn storage(sock: Sock, flags: u32) -> Option<Listener> {
    let map: *mut c_void = from_ref(&LISTENERS).cast_mut().cast();
    // SAFETY: the helper checks the socket, the verifier its type.
    let state = unsafe { bpf_sk_storage_get(map, sock.as_ptr().cast_mut().cast(), null_mut(), flags as u64) };
    Listener::from_pointer(state.cast())
}

/// The state of a listener, begun now if it is not known yet; `None` when the kernel gives no storage.
#[inline(always)]
pub(crate) fn find_or_begin(sock: Sock, tcp: TcpSock) -> Option<Listener> {
    storage(sock, 0).or_else(|| begin(sock, tcp))
}

/// A socket begins to listen, or is found listening.
#[inline(always)]
pub(crate) fn begin(sock: Sock, tcp: TcpSock) -> Option<Listener> {
    let listener = storage(sock, BPF_SK_STORAGE_GET_F_CREATE)?;
    // SAFETY: a member of the state.
    unsafe {
        atomic::replace(
            &raw mut (*listener.0).counted,
            0,
            turned_away(tcp.drops().unwrap_or(0), 0),
        )
    };
    Some(listener)
}

/// A listener listens no more. Its storage goes before its socket does, in the way that iterators survive.
#[inline(always)]
pub(crate) fn end(sock: Sock, tcp: TcpSock) {
    let Some(listener) = storage(sock, 0) else { return };
    listener.fold(tcp);
    let map: *mut c_void = from_ref(&LISTENERS).cast_mut().cast();
    // SAFETY: as in `storage`.
    unsafe { bpf_sk_storage_delete(map, sock.as_ptr().cast_mut().cast()) };
}
