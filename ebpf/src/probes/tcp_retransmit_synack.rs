//! `tcp_retransmit_synack(const struct sock *sk, const struct request_sock *req)`, 5.10 to 7.2: a listener answers a SYN again.
//! The request has no route yet, so the connection type is unknown.

use crate::{
    devices,
    groups::{self, Group},
    kernel::Sock,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use common::group::{Counter, Role};

#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn tcp_retransmit_synack(context: BtfTracePointContext) -> i32 {
    let Some(request) = Sock::argument(&context, 1) else {
        return 0;
    };
    let slot = groups::slot_of_socket(request, Some(Role::Server), devices::UNKNOWN);
    if let Some(group) = Group::at(slot) {
        group.add(Counter::SynAckRetransmits, 1);
    }
    0
}
