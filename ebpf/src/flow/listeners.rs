//! Listeners: how many handshakes they turn away.

use crate::{
    atomic,
    flow::{
        held::{Storage, Table},
        storage::Stored,
    },
    kernel::{Sock, TcpSock, offsets::HAS_LISTENERS},
    label::groups::{self, Group},
    maps::{LISTENER_TABLE, LISTENERS, NO_LISTENER},
};
use aya_ebpf::btf_maps::{Array, SkStorage};
use common::{
    map::table::Kept,
    tcp::listener::{ListenerState, since, turned_away},
};

/// A listener that has a state.
pub(crate) type Listener = Stored<ListenerState>;

impl Storage for ListenerState {
    const MAP: &'static SkStorage<Self> = &LISTENERS;
    const TABLE: &'static Table<Self> = &LISTENER_TABLE;
    const NOTHING: &'static Array<Kept<Self>, 1> = &NO_LISTENER;
}

impl Listener {
    /// Adds the handshakes that were turned away since the last time to the group of the served port. The kernel does not say
    /// whose they were, so the subnet is none.
    #[inline(always)]
    pub(crate) fn fold(self, sock: Sock, tcp: TcpSock) {
        // In this order: what is freed meanwhile is counted by the next fold, not twice.
        let Some(drops) = tcp.drops() else { return };
        let Some(queues) = tcp.queues() else { return };
        let counted = self.counted.get();
        let now = turned_away(drops, self.freed.get());
        let more = since(counted, now);
        if more == 0 || !atomic::replace(&self.counted, counted, now) {
            return;
        }
        let slot = groups::slot_of_listener(sock, tcp.local_port());
        if let Some(group) = Group::at(slot) {
            group.add(queues.cause(), more as u64);
        }
    }
}

/// Of a listener, `packets` are freed that the kernel has added to `sk_drops`: they are no handshakes turned away. Of a listener that is met
/// now, what it has counted before includes them.
#[inline(always)]
pub(crate) fn on_freed(sock: Sock, tcp: TcpSock, packets: u32) {
    if !HAS_LISTENERS.is_set() {
        return;
    }
    match Listener::find(sock) {
        Some(listener) => atomic::add_to(&listener.freed, packets as u64),
        None => drop(begin(sock, tcp)),
    }
}

/// The state of a listener, begun now if it is not known yet; `None` when the kernel gives no storage, or nobody looks at listeners.
#[inline(always)]
pub(crate) fn find_or_begin(sock: Sock, tcp: TcpSock) -> Option<Listener> {
    if !HAS_LISTENERS.is_set() {
        return None;
    }
    Listener::find(sock).or_else(|| begin(sock, tcp))
}

/// A socket begins to listen, or is found listening.
#[inline(always)]
pub(crate) fn begin(sock: Sock, tcp: TcpSock) -> Option<Listener> {
    if !HAS_LISTENERS.is_set() {
        return None;
    }
    let listener = Listener::find_or_create(sock)?;
    atomic::replace(&listener.counted, 0, turned_away(tcp.drops().unwrap_or(0), 0));
    Some(listener)
}

/// A listener listens no more. Its storage goes before its socket does, in the way that iterators survive.
#[inline(always)]
pub(crate) fn end(sock: Sock, tcp: TcpSock) {
    if !HAS_LISTENERS.is_set() {
        return;
    }
    if let Some(listener) = Listener::find(sock) {
        listener.fold(sock, tcp);
        Listener::delete(sock);
    }
}
