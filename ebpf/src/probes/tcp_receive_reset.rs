//! `tcp_receive_reset(struct sock *sk)`, 5.10 to 7.2: a valid reset came in. The socket is locked.

use crate::{
    flow::state::Flow,
    kernel::{Sock, TcpSock},
    label::groups::{self, Group},
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::tcp::{
    group::{Counter, Role},
    state,
};

programs!(
    TcpReceiveReset,
    "tcp_receive_reset",
    tcp_receive_reset,
    tcp_receive_reset_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let Some(sock) = Sock::argument(context, 0) else {
        return;
    };
    let slot = match Flow::find(sock) {
        Some(flow) if flow.is_established() => flow.slot.get(),
        _ if sock.state() == state::SYN_SENT => groups::slot_of_flow(sock, Role::Client),
        // Only a client has storage before its handshake is over; a server's socket in this state has Fast Open.
        Some(_) if sock.state() == state::SYN_RECV => groups::slot_of_flow(sock, Role::Client),
        None if sock.state() == state::SYN_RECV => groups::slot_of_flow(sock, Role::Server),
        _ => groups::slot_of_flow(sock, sock.tcp().map_or(Role::Unknown, TcpSock::role)),
    };
    if let Some(group) = Group::at(slot) {
        group.add(Counter::ResetsReceived, 1);
    }
}
