//! Adoption: a flow whose opening was not seen begins to count.

use crate::{
    flow::{fold, state::Flow},
    kernel::{Sock, TcpSock},
    label::groups::SlotAssignment,
};
use common::tcp::{
    flow::{ADOPTED, ESTABLISHED},
    group::Role,
    state,
};

/// The flow of a connected socket: found, or adopted with its counters from now on when it is older than the exporter.
#[inline(always)]
pub(crate) fn find_or_adopt(sock: Sock, tcp: TcpSock) -> Option<Flow> {
    if let Some(flow) = Flow::find(sock) {
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

/// Begins the state of a flow. Which end opened it, its socket tells.
#[inline(always)]
pub(crate) fn adopt(sock: Sock, tcp: TcpSock) -> Option<Flow> {
    adopt_as(sock, tcp, tcp.role())
}

/// The same for a flow whose role the caller knows; without one the ports tell it.
#[inline(always)]
pub(crate) fn adopt_as(sock: Sock, tcp: TcpSock, role: Role) -> Option<Flow> {
    let flow = Flow::find_or_create(sock)?;
    SlotAssignment::of_flow(sock, role).assign_to(&flow);
    // A client that is known since its SYN has been counted from zero.
    let known = if flow.started.get() == 0 {
        fold::begin(&flow, tcp);
        ADOPTED
    } else {
        fold::begin_retransmissions(&flow, tcp);
        0
    };
    flow.establish(ESTABLISHED | known);
    Some(flow)
}
