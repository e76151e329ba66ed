//! `tcp_receive_reset(struct sock *sk)`, 5.10 to 7.2: a valid reset came in. The socket is locked.

use crate::{
    groups::{self, Group},
    kernel::Sock,
    storage,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use common::{
    group::{Counter, Role},
    tcp::state,
};

#[btf_tracepoint(function = "tcp_receive_reset")]
fn tcp_receive_reset(context: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::argument(&context, 0) else {
        return 0;
    };
    let slot = match storage::find(sock) {
        Some(flow) if flow.is_established() => flow.state().slot,
        _ if sock.state() == state::SYN_SENT => groups::slot_of_flow(sock, Some(Role::Client)),
        _ => groups::slot_of_flow(sock, None),
    };
    if let Some(group) = Group::at(slot) {
        group.add(Counter::ResetsReceived, 1);
    }
    0
}
