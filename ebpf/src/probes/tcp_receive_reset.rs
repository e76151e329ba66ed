//! `tcp_receive_reset(struct sock *sk)`, 5.10 to 7.2: a valid reset came in, and the socket is still in the state that it ends. The socket
//! is locked.

use crate::{
    flow::state::Flow,
    kernel::{Sock, TcpSock, jiffies, offsets::JIFFY_NANOSECONDS},
    label::groups::{self, Group},
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::tcp::{
    group::{Counter, Role},
    is_in_use, state,
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
        if sock.state() == state::ESTABLISHED && ends_use(sock) {
            group.add(Counter::ResetsInUse, 1);
        }
    }
}

/// Whether data has just gone or come.
#[inline(always)]
fn ends_use(sock: Sock) -> bool {
    let Some(tcp) = sock.tcp() else { return false };
    let now = jiffies() as u32;
    let is_recent = |last: Option<u32>| last.is_some_and(|last| is_in_use(now, last, JIFFY_NANOSECONDS.get()));
    is_recent(tcp.last_sent()) || is_recent(tcp.last_received())
}
