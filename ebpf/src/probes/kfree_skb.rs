//! `kfree_skb(struct sk_buff *skb, void *location, enum skb_drop_reason reason)`, 6.1 to 7.2; without `reason` before 5.17; `struct sock
//! *rx_sk` follows from 6.12 on. A packet is dropped.

use crate::{
    capture, devices, drops,
    groups::{self, Group},
    kernel::SkBuff,
    maps::SETTINGS,
    nested::programs,
    notes,
    offsets::{HAS_DROP_REASON, HAS_PACKETS},
    packet, storage,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    address::SubnetKey,
    drops::{Direction, DropKey, Protocol, skip},
    group::Counter,
    tracepoints::Run,
};

programs!(KfreeSkb, "kfree_skb", kfree_skb, kfree_skb_nested, first, nested);

#[inline(always)]
fn first(context: &BtfTracePointContext) {
    on_event(context, Run::First);
}

#[inline(always)]
fn nested(context: &BtfTracePointContext) {
    on_event(context, Run::Nested);
}

#[inline(always)]
fn on_event(context: &BtfTracePointContext, run: Run) {
    let Some(packet) = SkBuff::argument(context, 0) else {
        return;
    };
    let location = context.arg(1);
    let reason = if HAS_DROP_REASON.is_set() { context.arg(2) } else { 0 };
    let Some(reason) = notes::reason_of(packet, reason) else {
        return;
    };
    let direction = packet::direction(packet, reason);
    if HAS_PACKETS.is_set() {
        capture::send(packet, location, reason, direction, run);
        return;
    }
    if packet.received_through() == 0 {
        count_for_flow(packet);
    }
    drops::count(&key(packet, location, reason, direction), packet.length(), run);
}

/// Under which labels a packet is counted.
#[inline(always)]
fn key(packet: SkBuff, location: u64, reason: u32, direction: Direction) -> DropKey {
    let skipped = SETTINGS.get(0).map_or(0, |settings| settings.skipped_of_drops as u8);
    let (protocol, subnet) = if skipped & skip::HEADERS != 0 {
        (Protocol::Other as u8, SubnetKey::NONE)
    } else {
        let (protocol, remote) = packet::protocol_and_remote(packet, direction);
        let subnet = if skipped & skip::SUBNET != 0 {
            SubnetKey::NONE
        } else {
            groups::subnet_of(remote)
        };
        (protocol, subnet)
    };
    let connection = if skipped & skip::CONNECTION != 0 {
        devices::UNKNOWN
    } else {
        match direction {
            Direction::Receive => devices::of_received(packet),
            Direction::Transmit => devices::of_transmitted(packet),
        }
    };
    DropKey {
        location,
        reason,
        subnet,
        protocol,
        direction: direction as u8,
        connection,
        skipped,
        marks: packet::marks(packet, reason, direction, protocol),
        padding: [0; 3],
    }
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
        flow.add_locally_dropped(segments);
        group.add(Counter::LocallyDroppedSegments, segments as u64);
    }
}
