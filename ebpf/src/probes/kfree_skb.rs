//! `kfree_skb(struct sk_buff *skb, void *location, enum skb_drop_reason reason)`, 5.10 to 7.2; without `reason` before 5.17; `struct sock
//! *rx_sk` follows from 6.11 on. A packet is dropped.

use crate::{
    atomic,
    drops::{
        self,
        capture::{self, Owner},
        losses::{self, Dropped},
        notes,
    },
    flow::{listeners, state::Flow},
    kernel::{
        SkBuff, Sock, TcpSock, is_given,
        offsets::{
            HAS_DROP_REASON, HAS_LOSSES, HAS_PACKETS, HAS_RECEIVING_SOCKET, HAS_WORKLOADS, NAMES_RECEIVING_SOCKET,
            REASON_NOT_SPECIFIED, REASON_TCP_CSUM, REASON_TCP_FLAGS,
        },
    },
    label::{
        devices,
        groups::{self, Group},
        packet, ports, workloads,
    },
    maps::SETTINGS,
    nested::programs,
};
use aya_ebpf::{EbpfContext as _, programs::BtfTracePointContext};
use common::{
    drops::{Direction, DropKey, Protocol, skip},
    kernel::tracepoints::Run,
    net::address::SubnetKey,
    tcp::{
        group::{Counter, Role},
        state,
    },
    workload::{Number, number::UNRESOLVED},
};
use core::{ffi::c_void, hint::black_box};

programs!(KfreeSkb, "kfree_skb", kfree_skb, kfree_skb_nested, on_event, Run);

#[inline(always)]
fn on_event(context: &BtfTracePointContext, run: Run) {
    let Some(packet) = SkBuff::argument(context, 0) else {
        return;
    };
    let location = context.arg(1);
    let said = if HAS_DROP_REASON.is_set() { context.arg(2) } else { 0 };
    let Some(reason) = notes::reason_of(packet, said) else {
        return;
    };
    // By what `kfree_skb` says: that a queue has dropped it, whatever the queue says besides.
    let direction = packet::direction(packet, said);
    if HAS_PACKETS.is_set() {
        capture::send(packet, location, reason, said, direction, owner(context), run);
        return;
    }
    if packet.received_through() == 0 {
        count_for_flow(packet);
    } else if HAS_RECEIVING_SOCKET.is_set() {
        count_for_listener(context, packet, said);
    }
    let workload = if HAS_WORKLOADS.is_set() {
        black_box(workload(context.as_ptr())) as Number
    } else {
        UNRESOLVED
    };
    let mut key = key(packet, location, reason, said, direction, workload);
    if key.skipped & skip::APP_PROTOCOL == 0 {
        key.app_protocol = black_box(app_protocol(context.as_ptr(), direction as u32)) as u16;
    }
    let slot = drops::count(&key, packet.length(), run);
    if HAS_LOSSES.is_set() {
        let dropped = Dropped {
            slot,
            reason: said,
            direction,
        };
        losses::remember(context.as_ptr(), dropped, run);
    }
}

/// Under which labels a packet is counted for `reason`, but for its application protocol; `said` is that of `kfree_skb`.
#[inline(always)]
fn key(packet: SkBuff, location: u64, reason: u32, said: u32, direction: Direction, workload: Number) -> DropKey {
    let skipped = skipped();
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
        marks: packet::marks(packet, said, direction, protocol),
        app_protocol: 0,
        workload,
    }
}

/// Whose a packet is, if anybody wants to know. A function of its own: where it is not called, nothing of it is in the way of the verifier
/// of Linux 6.1, which refuses what the compiler would leave half written otherwise.
#[inline(never)]
fn workload(context: *mut c_void) -> u32 {
    let context = BtfTracePointContext::new(context);
    let Some(packet) = SkBuff::argument(&context, 0) else {
        return UNRESOLVED as u32;
    };
    if skipped() & skip::WORKLOAD != 0 {
        return UNRESOLVED as u32;
    }
    let number = if let Some(sock) = workloads::sender(packet) {
        workloads::of_socket(sock)
    } else if let Some(receiver) = receiver(&context) {
        workloads::of_socket(receiver)
    } else {
        workloads::of_namespace(packet)
    };
    black_box(number as u32)
}

/// Whose a packet is that is captured.
#[inline(always)]
fn owner(context: &BtfTracePointContext) -> Owner {
    if !HAS_WORKLOADS.is_set() {
        return Owner {
            workload: UNRESOLVED,
            cgroup: 0,
        };
    }
    Owner {
        workload: black_box(workload(context.as_ptr())) as Number,
        cgroup: black_box(cgroup(context.as_ptr())),
    }
}

/// The cgroup of the socket that a packet has, or was for; 0 where that is not known.
#[inline(never)]
fn cgroup(context: *mut c_void) -> u64 {
    let context = BtfTracePointContext::new(context);
    let Some(packet) = SkBuff::argument(&context, 0) else {
        return 0;
    };
    if let Some(sock) = workloads::sender(packet) {
        return black_box(workloads::cgroup_of_any(sock));
    }
    if let Some(receiver) = receiver(&context) {
        return black_box(workloads::cgroup_of_any(receiver));
    }
    0
}

/// The socket that a packet was for, if the kernel names it. The verifier of Linux 6.11 to 6.12.16 and 6.13 to 6.13.4 takes this argument
/// for a socket though it may be NULL, and deletes checks for NULL.
#[inline(always)]
fn receiver(context: &BtfTracePointContext) -> Option<Sock> {
    if NAMES_RECEIVING_SOCKET.is_set() && is_given(context, 3) {
        Sock::argument(context, 3)
    } else {
        None
    }
}

/// The application protocol of a packet. A function of its own for the same reason.
#[inline(never)]
fn app_protocol(context: *mut c_void, direction: u32) -> u32 {
    let context = BtfTracePointContext::new(context);
    let Some(packet) = SkBuff::argument(&context, 0) else {
        return 0;
    };
    ports::app_protocol(packet, direction == Direction::Receive as u32) as u32
}

/// What nobody wants to know of drops.
#[inline(always)]
fn skipped() -> u8 {
    SETTINGS.get(0).map_or(0, |settings| settings.skipped_of_drops as u8)
}

/// Counts a packet that a local flow sent for that flow; of a handshake for the group that the flow would belong to.
#[inline(always)]
fn count_for_flow(packet: SkBuff) {
    let Some(sock) = packet.socket() else { return };
    // Other protocols number their states differently. A request is no full socket, which alone has a protocol.
    let is_tcp = || sock.is_internet() && sock.is_of_tcp();
    let (slot, segments) = match (Flow::find(sock), sock.state()) {
        (Some(flow), _) if flow.is_established() => {
            let segments = packet.segments();
            // Who drops does not hold the socket's lock.
            atomic::add_to(&flow.locally_dropped, segments);
            (flow.slot.get(), segments)
        }
        (_, state::SYN_SENT) if is_tcp() => (groups::slot_of_flow(sock, Role::Client), 1),
        (None, state::SYN_RECV) if !is_tcp() => return,
        (None, state::NEW_SYN_RECV | state::SYN_RECV) if sock.is_internet() => {
            (groups::slot_of_socket(sock, Role::Server, devices::UNKNOWN), 1)
        }
        _ => return,
    };
    if let Some(group) = Group::at(slot) {
        group.add(Counter::LocallyDroppedSegments, segments as u64);
    }
}

/// Where the packet was for a listener: it is no handshake that the listener turned away, though the kernel counts it with them;
/// a reset ends a handshake that is not over.
#[inline(always)]
fn count_for_listener(context: &BtfTracePointContext, packet: SkBuff, reason: u32) {
    // The verifier of some kernels takes it for a socket though it may be NULL: as a number it is looked at with care.
    let Some(tcp) = TcpSock::at(context.arg::<u64>(3)) else {
        return;
    };
    if tcp.as_sock().state() != state::LISTEN {
        return;
    }
    let Some(header) = packet.tcp_header() else { return };
    let reason = reason as u64;
    if reason == REASON_TCP_CSUM.get() || (reason == REASON_TCP_FLAGS.get() && header.ack) {
        // These the kernel frees without adding to `sk_drops`.
        return;
    }
    let Some(sock) = Sock::argument(context, 3) else { return };
    listeners::on_freed(sock, tcp, packet.segments());
    if !header.reset || reason != REASON_NOT_SPECIFIED.get() {
        return;
    }
    let slot = groups::slot_of_packet_for(packet, Role::Server, workloads::of_full_socket(sock));
    if let Some(group) = Group::at(slot) {
        group.add(Counter::ResetsReceived, 1);
    }
}
