//! The state of a flow in its socket's storage: there from the first SYN (as client) or the end of the handshake until the socket
//! is gone.

use crate::{
    atomic,
    flow::{
        held::{Storage, Table},
        storage::Stored,
    },
    kernel::Sock,
    maps::{FLOW_TABLE, FLOWS, NO_FLOW},
};
use aya_ebpf::btf_maps::{Array, SkStorage};
use common::{
    map::table::Kept,
    tcp::{
        flow::{CLOSED, ESTABLISHED, FlowState},
        state,
    },
};

/// A flow that has a state.
pub(crate) type Flow = Stored<FlowState>;

impl Storage for FlowState {
    const MAP: &'static SkStorage<Self> = &FLOWS;
    const TABLE: &'static Table<Self> = &FLOW_TABLE;
    const NOTHING: &'static Array<Kept<Self>, 1> = &NO_FLOW;
}

impl Flow {
    /// Makes a filled-in state visible to the collecting iterator, which looks at the flags first: the exchange is a barrier.
    #[inline(always)]
    pub(crate) fn establish(self, flags: u32) {
        atomic::replace(&self.flags, 0, flags);
    }

    /// Ends an established flow; false when it has been ended by now. Two may try: a hook, and the iterator that meets a flow whose
    /// end no hook saw.
    #[inline(always)]
    pub(crate) fn end(self) -> bool {
        let flags = self.flags.get();
        flags & ESTABLISHED != 0 && atomic::replace(&self.flags, flags, CLOSED)
    }

    /// Whether the flow belongs to a group: it is established, or was until it was closed.
    #[inline(always)]
    pub(crate) fn has_slot(self) -> bool {
        self.flags.get() != 0
    }

    /// As [`Self::is_established`], for an iterator: it has no lock, and must not read a state from before it was filled in.
    #[inline(always)]
    pub(crate) fn is_visible(self) -> bool {
        atomic::read_first(&self.flags) & ESTABLISHED != 0
    }

    /// Whether a dump shows it: it is established, or its SYN has no answer yet. What the state of the latter holds was filled in before
    /// the SYN was sent; a number that is read too early is 0.
    #[inline(always)]
    pub(crate) fn is_shown(self, sock: Sock) -> bool {
        let flags = atomic::read_first(&self.flags);
        flags & ESTABLISHED != 0 || (flags == 0 && sock.state() == state::SYN_SENT)
    }

    /// Whether the handshake is over and the connection is not.
    #[inline(always)]
    pub(crate) fn is_established(self) -> bool {
        self.flags.get() & ESTABLISHED != 0
    }
}
