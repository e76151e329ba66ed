//! `tcp_send_reset(const struct sock *sk, const struct sk_buff *skb)`, 5.10 to 7.2; `const enum sk_rst_reason reason` follows from 6.12
//! on. `skb` is NULL for an active reset; `sk` is NULL, from 6.12 on, for a reset that belongs to no socket, and may be a
//! listener or a time-wait socket.

use crate::{
    flow::state::Flow,
    kernel::{SkBuff, Sock, is_given},
    label::{
        groups::{self, Group},
        workloads,
    },
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::tcp::{
    group::{Counter, OTHER_SLOT, Role},
    state,
};

programs!(
    TcpSendReset,
    "tcp_send_reset",
    tcp_send_reset,
    tcp_send_reset_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let sock = if is_given(context, 0) {
        Sock::argument(context, 0)
    } else {
        None
    };
    let packet = if is_given(context, 1) {
        SkBuff::argument(context, 1)
    } else {
        None
    };
    let slot = slot_of(sock, packet);
    if let Some(group) = Group::at(slot) {
        group.add(Counter::ResetsTransmitted, 1);
    }
}

#[inline(always)]
fn slot_of(sock: Option<Sock>, packet: Option<SkBuff>) -> u32 {
    if let Some(sock) = sock {
        if let Some(flow) = Flow::find(sock)
            && flow.has_slot()
        {
            return flow.slot.get();
        }
        if let Some(tcp) = sock.tcp()
            && (packet.is_none() || state::is_connected(sock.state()))
        {
            return groups::slot_of_flow(sock, tcp.role());
        }
    }
    let Some(packet) = packet else { return OTHER_SLOT };
    match sock {
        // A listener, for example.
        Some(sock) => groups::slot_of_packet_for(packet, Role::Unknown, workloads::of_socket(sock)),
        None => groups::slot_of_packet(packet, Role::Unknown),
    }
}
