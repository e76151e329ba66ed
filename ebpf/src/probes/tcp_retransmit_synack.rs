//! `tcp_retransmit_synack(const struct sock *sk, const struct request_sock *req)`, 5.10 to 7.2: a listener answers a SYN again.
//! The request has no route yet, so the connection type is unknown.

use crate::{
    flow::listeners,
    kernel::Sock,
    label::groups::{self, Group},
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::tcp::{group::Counter, state};

programs!(
    TcpRetransmitSynack,
    "tcp_retransmit_synack",
    tcp_retransmit_synack,
    tcp_retransmit_synack_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let (Some(sock), Some(request)) = (Sock::argument(context, 0), Sock::argument(context, 1)) else {
        return;
    };
    // Else it is the connection itself, of Fast Open.
    if sock.state() == state::LISTEN
        && let Some(tcp) = sock.known_tcp()
    {
        listeners::find_or_begin(sock, tcp);
    }
    let slot = groups::slot_of_request(request, sock);
    if let Some(group) = Group::at(slot) {
        group.add(Counter::SynAckRetransmits, 1);
    }
}
