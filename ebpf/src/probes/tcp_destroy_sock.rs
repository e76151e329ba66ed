//! `tcp_destroy_sock(struct sock *sk)`, 5.10 to 7.2: TCP has no more use for a socket. It is locked.
//!
//! What `connect()` refuses for want of a route changes no state and has no event: the socket still shows it when it goes.
//!
//! What is kept in tables goes with the socket here. Storage is deleted here only where the kernel needs it: since 7.0 a socket that goes
//! takes its storage with it without telling an iterator that stands on it. `bpf_selem_unlink_nofail()` clears `selem->local_storage`,
//! which `__bpf_sk_storage_map_seq_show()` follows unchecked, and the machine stops (seen on 7.2.12). Storage that was deleted before that
//! keeps the pointer until no iterator can have it.

use crate::{
    flow::{listeners::Listener, state::Flow},
    kernel::{Sock, offsets::KEEPS_TABLES},
    label::groups::{self, Group},
    nested::programs,
    probes::inet_sock_set_state,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use common::{
    net::address::Address,
    tcp::{ConnectFailure, flow::Fold, group::Counter},
};

programs!(
    TcpDestroySock,
    "tcp_destroy_sock",
    tcp_destroy_sock,
    tcp_destroy_sock_nested,
    on_event
);

/// Counts the connection that never was: once for a socket, however often it was tried.
#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let Some(sock) = Sock::argument(context, 0) else {
        return;
    };
    let Some(tcp) = sock.full_tcp() else { return };
    let (remote, port) = tcp.unrouted();
    if remote.family == Address::NONE.family {
        return;
    }
    if let Some(group) = Group::at(groups::slot_of_attempt(sock, remote, port)) {
        group.add(Counter::of_failure(ConnectFailure::NoRoute), 1);
    }
}

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn delete_storage(context: BtfTracePointContext) -> i32 {
    delete(&context);
    0
}

/// The same once more, for what the kernel kept the first from doing: those kernels can take the CPU from a program, and skip it there
/// until it is back.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn delete_storage_again(context: BtfTracePointContext) -> i32 {
    delete(&context);
    0
}

#[inline(always)]
fn delete(context: &BtfTracePointContext) {
    if let Some(sock) = Sock::argument(context, 0) {
        // The end of an established flow comes before its socket goes: this one nobody saw.
        if let Some(flow) = Flow::find(sock)
            && flow.is_established()
            && let Some(tcp) = sock.full_tcp()
        {
            inet_sock_set_state::close(flow, tcp, Fold::Late);
        }
        Flow::delete(sock);
        // Storage of a listener goes when it listens no more, and with its socket.
        if KEEPS_TABLES.is_set() {
            Listener::delete(sock);
        }
    }
}
