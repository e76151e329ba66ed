//! `kfree_skb(struct sk_buff *skb, void *location, enum skb_drop_reason reason)`, 6.1 to 7.2; without `reason` before 5.17; `struct sock
//! *rx_sk` follows from 6.12 on. A packet is dropped.

use crate::{
    capture, devices, drops,
    groups::{self, Group},
    kernel::SkBuff,
    notes,
    offsets::{HAS_DROP_REASON, HAS_PACKETS},
    packet, storage,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use common::{
    drops::{Direction, DropKey},
    group::Counter,
};

#[btf_tracepoint(function = "kfree_skb")]
fn kfree_skb(context: BtfTracePointContext) -> i32 {
    let Some(packet) = SkBuff::argument(&context, 0) else {
        return 0;
    };
    let location = context.arg(1);
    let reason = if HAS_DROP_REASON.is_set() { context.arg(2) } else { 0 };
    let Some(reason) = notes::reason_of(packet, reason) else {
        return 0;
    };
    let direction = if packet.received_through() == 0 {
        Direction::Transmit
    } else {
        Direction::Receive
    };
    if HAS_PACKETS.is_set() {
        capture::send(packet, location, reason, direction);
        return 0;
    }
    if matches!(direction, Direction::Transmit) {
        count_for_flow(packet);
    }
    let (protocol, remote) = packet::protocol_and_remote(packet, direction);
    let connection = match direction {
        Direction::Receive => devices::of_received(packet),
        Direction::Transmit => devices::of_transmitted(packet),
    };
    let key = DropKey {
        location,
        reason,
        subnet: groups::subnet_of(remote),
        protocol,
        direction: direction as u8,
        connection,
        padding: [0; 5],
    };
    drops::count(&key, packet.length());
    0
}

/// Counts a packet that a local flow sent for that flow.
#[inline(always)]
fn count_for_flow(packet: SkBuff) {
    if let Some(sock) = packet.socket()
        && let Some(flow) = storage::find(sock)
        && flow.is_established()
        && let Some(group) = Group::at(flow.state().slot)
    {
        let segments = packet.segments();
        flow.state().locally_dropped += segments;
        group.add(Counter::LocallyDroppedSegments, segments as u64);
    }
}
