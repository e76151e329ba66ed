//! `tcp_receive_reset(struct sock *sk)`, 5.10 to 7.2: a valid reset came in. The socket is locked.

use crate::{
    flow::storage,
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
    let slot = match storage::find(sock) {
        Some(flow) if flow.is_established() => flow.state().slot,
        _ if sock.state() == state::SYN_SENT => groups::slot_of_flow(sock, Some(Role::Client)),
        // Only a client has storage before its handshake is over; a server's socket in this state has Fast Open.
        Some(_) if sock.state() == state::SYN_RECV => groups::slot_of_flow(sock, Some(Role::Client)),
        None if sock.state() == state::SYN_RECV => groups::slot_of_flow(sock, Some(Role::Server)),
        _ => groups::slot_of_flow(sock, sock.tcp().and_then(TcpSock::role)),
    };
    if let Some(group) = Group::at(slot) {
        group.add(Counter::ResetsReceived, 1);
    }
}
