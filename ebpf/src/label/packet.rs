//! What a packet is: which way it goes, what its headers say, and what else its class is decided by.
#![expect(unsafe_code, reason = "a function that the verifier checks once is exported by name")]

use crate::kernel::{
    Device, SkBuff,
    offsets::{
        REASON_CPU_BACKLOG, REASON_DEV_READY, REASON_IP_INNOROUTES, REASON_IP_OUTNOROUTES, REASON_NO_SOCKET,
        REASON_NO_TX_TARGET, REASON_NOT_SPECIFIED, REASON_QDISC_DROP, REASON_TCP_FLAGS, REASON_TCP_INVALID_SYN,
        REASON_TUNNEL_TXINFO, REASON_XDP,
    },
    words_at,
};
use common::{
    drops::{Direction, Protocol, ethertype, is_for_others, is_ignorable, is_outgoing_copy, mark},
    kernel::verifier::veiled,
    net::{address::Address, connection, extension},
};

/// A [`Protocol`] as a number of which the verifier knows nothing.
pub(crate) type ProtocolNumber = u8;

/// Which way a packet goes that is dropped for `reason`.
#[inline(always)]
pub(crate) fn direction(packet: SkBuff, reason: u32) -> Direction {
    if packet.received_through() != 0 || is_before_the_stack(packet, reason) {
        Direction::Receive
    } else {
        Direction::Transmit
    }
}

/// Whether a packet without `skb_iif` came in all the same: the network stack sets that field only when it takes the packet up.
#[inline(always)]
fn is_before_the_stack(packet: SkBuff, reason: u32) -> bool {
    if REASON_CPU_BACKLOG.is(reason) {
        return true;
    }
    if REASON_QDISC_DROP.is(reason) || packet.is_of_socket() || packet.has_route() {
        return false;
    }
    let Some(device) = packet.nearest_device() else {
        return false;
    };
    let packet_type = packet.packet_type();
    // It has lost socket and route, and a sniffer may have taken the link-layer header off.
    if is_outgoing_copy(packet_type) {
        return false;
    }
    // A socket that is left is that of a tun device, which its packets come from.
    if packet.socket().is_some() || packet.is_behind_link_header() || is_for_others(packet_type) {
        return true;
    }
    // Before a driver has looked at it; or within an XDP program of a veth, which has put the link-layer header back. Whatever else
    // has its headers still, this host sends.
    packet.ethertype() == 0
        || (reason as u64 == REASON_NOT_SPECIFIED.get() || REASON_XDP.is(reason))
            && device.kind() == const { connection::name("veth") }
}

/// What the class of a drop is decided by besides place and reason, bits of [`mark`].
#[inline(always)]
pub(crate) fn marks(packet: SkBuff, reason: u32, direction: Direction, protocol: ProtocolNumber) -> u8 {
    let came_in = matches!(direction, Direction::Receive);
    let others = came_in && is_for_others(packet.packet_type());
    let mut marks = if others { mark::OTHERS } else { 0 };
    if reason as u64 == REASON_NOT_SPECIFIED.get() {
        marks |= marks_of_unspecified(packet, protocol);
        // A device without link-layer addresses says of every packet that it is for this host.
        if (came_in || is_about_groups(protocol)) && is_to_a_group(packet) {
            marks |= mark::OTHERS;
        }
    } else if REASON_QDISC_DROP.is(reason) && packet.device().is_some_and(Device::is_cut_off) {
        marks |= mark::NO_CARRIER;
        if is_said_by_the_stack(packet, protocol) {
            marks |= mark::OTHERS;
        }
    } else if has_nobody(reason) && is_said_by_the_stack(packet, protocol) {
        marks |= mark::OTHERS;
    } else if (REASON_IP_INNOROUTES.is(reason) || REASON_IP_OUTNOROUTES.is(reason)) && packet.is_refused_by_route() {
        marks |= mark::REFUSED;
    } else if protocol == Protocol::Tcp as u8 && has_no_connection(reason) && is_late(packet) {
        marks |= mark::LATE;
    }
    veiled(marks as u32, packet.length() as u64) as u8
}

/// Whether a packet is dropped because there is nobody behind its device: a tap without a program, a bridge without ports, a tunnel that
/// knows no other end.
#[inline(always)]
fn has_nobody(reason: u32) -> bool {
    REASON_DEV_READY.is(reason) || REASON_NO_TX_TARGET.is(reason) || REASON_TUNNEL_TXINFO.is(reason)
}

/// Whether a segment is dropped because there is no connection here that it belongs to: at a port that nobody has, at a listener, or as
/// a SYN where a connection is open already.
#[inline(always)]
fn has_no_connection(reason: u32) -> bool {
    REASON_NO_SOCKET.is(reason) || REASON_TCP_FLAGS.is(reason) || REASON_TCP_INVALID_SYN.is(reason)
}

/// Whether a segment belongs to a connection that was opened before.
#[inline(always)]
fn is_late(packet: SkBuff) -> bool {
    packet.tcp_header().is_some_and(|header| header.ack || header.reset)
}

/// Whether the network stack says by itself with this packet where it is, and whom it looks for.
#[inline(always)]
fn is_said_by_the_stack(packet: SkBuff, protocol: ProtocolNumber) -> bool {
    protocol == Protocol::Arp as u8 || is_about_groups(protocol) && is_to_a_group(packet)
}

/// Whether the network stack speaks with this protocol to groups.
#[inline(always)]
fn is_about_groups(protocol: ProtocolNumber) -> bool {
    protocol == Protocol::Icmpv6 as u8 || protocol == Protocol::Igmp as u8
}

/// Whether a packet goes to a multicast address.
#[inline(always)]
fn is_to_a_group(packet: SkBuff) -> bool {
    let header = packet.network_header();
    let highest = |word| {
        packet
            .words_of::<1>(header, word)
            .map_or(0, |[word]| u32::from_be(word) >> 24)
    };
    match packet.ethertype() {
        ethertype::IPV4 => highest(4) >> 4 == 0xe,
        ethertype::IPV6 => highest(6) == 0xff,
        _ => false,
    }
}

#[inline(always)]
fn marks_of_unspecified(packet: SkBuff, protocol: ProtocolNumber) -> u8 {
    const TCP: u8 = Protocol::Tcp as u8;
    const ICMPV6: u8 = Protocol::Icmpv6 as u8;
    let length = packet.length();
    let of_length = if length == 0 {
        mark::EMPTY
    } else if protocol == TCP && length < 20 {
        mark::CUT
    } else {
        0
    };
    let mut marks = of_length;
    if packet.has_segments() {
        marks |= mark::SEGMENTS;
    }
    if protocol == ICMPV6 && is_ignorable(packet.icmp_type()) {
        marks |= mark::IGNORABLE;
    }
    marks
}

/// Protocol and remote address of a packet; none when it is not IP or its header is not there.
#[inline(always)]
pub(crate) fn protocol_and_remote(packet: SkBuff, direction: Direction) -> (ProtocolNumber, Address) {
    let header = network_header(packet, matches!(direction, Direction::Receive));
    let (protocol, remote) = of_header(packet, header, direction);
    if matches!(direction, Direction::Transmit)
        && remote.family == Address::NONE.family
        && let Some(sock) = packet.socket()
        && sock.is_internet()
    {
        // It has no header yet.
        let protocol = Protocol::of_transport(sock.protocol() as u8) as ProtocolNumber;
        let remote = sock.remote();
        let is_known = remote.words != [0; 4];
        return (protocol, if is_known { remote } else { Address::NONE });
    }
    (protocol, remote)
}

/// Where the network header of a packet begins, which came in or is sent.
#[inline(always)]
pub(crate) fn network_header(packet: SkBuff, came_in: bool) -> Option<u32> {
    if came_in && packet.received_through() == 0 {
        packet.network_header_of_frame()
    } else {
        packet.network_header()
    }
}

/// Protocol and source address of a packet that came in and that the network stack has not taken apart yet.
#[inline(always)]
pub(crate) fn protocol_and_source_of_frame(packet: SkBuff) -> (ProtocolNumber, Address) {
    of_header(packet, packet.network_header_of_frame(), Direction::Receive)
}

#[inline(always)]
fn of_header(packet: SkBuff, header: Option<u32>, direction: Direction) -> (ProtocolNumber, Address) {
    /// Lies behind every packet. The compiler may leave a register as it is where there is no header, which the verifier refuses.
    const NO_HEADER: u32 = u32::MAX;
    let header = Some(header.unwrap_or(NO_HEADER));
    let (protocol, address) = match packet.ethertype() {
        ethertype::IPV4 => ipv4(packet, header, direction),
        ethertype::IPV6 => ipv6(packet, header, direction),
        ethertype::ARP => (Protocol::Arp, Address::NONE),
        _ => (Protocol::Other, Address::NONE),
    };
    // Each kind of header would else be a way of its own through all that follows, on which the verifier of Linux 6.1 checks it
    // again: ten times the work.
    let length = packet.length() as u64;
    let unknown = length << 32 | length;
    let protocol = veiled(protocol as u32, unknown) as ProtocolNumber;
    (protocol, address.map(|number| veiled(number, unknown)))
}

/// Source address of a packet that came in.
#[inline(always)]
pub(crate) fn source(packet: SkBuff) -> Address {
    protocol_and_remote(packet, Direction::Receive).1
}

#[inline(always)]
fn ipv4(packet: SkBuff, header: Option<u32>, direction: Direction) -> (Protocol, Address) {
    match packet.words_of::<5>(header, 0) {
        Some(words) if u32::from_be(words[0]) >> 28 == 4 => {
            let address = match direction {
                Direction::Receive => words[3],
                Direction::Transmit => words[4],
            };
            let transport = (u32::from_be(words[2]) >> 16) as u8;
            (Protocol::of_transport(transport), Address::from_v4(address))
        }
        _ => (Protocol::Ip, Address::NONE),
    }
}

#[inline(always)]
fn ipv6(packet: SkBuff, header: Option<u32>, direction: Direction) -> (Protocol, Address) {
    match packet.words_of::<2>(header, 0) {
        Some(words) if u32::from_be(words[0]) >> 28 == 6 => {
            let first = match direction {
                Direction::Receive => 2,
                Direction::Transmit => 6,
            };
            let address = packet
                .words_of::<4>(header, first)
                .map_or(Address::NONE, Address::from_v6);
            let next = (u32::from_be(words[1]) >> 8) as u8;
            (Protocol::of_transport(transport(packet, header, next)), address)
        }
        _ => (Protocol::Ip, Address::NONE),
    }
}

/// The transport of an IPv6 packet, behind its extension headers.
#[inline(always)]
fn transport(packet: SkBuff, header: Option<u32>, next: u8) -> u8 {
    if !extension::is_extension(next) {
        return next;
    }
    match packet.bounds_from(header, extension::FIXED_HEADER) {
        Some((at, end)) => transport_behind(at, end, next as u32) as u8,
        None => next,
    }
}

/// The transport behind extension headers that begin at `at` and end before `end`; with global linkage so that the verifier checks
/// it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn transport_behind(at: u64, end: u64, next: u32) -> u32 {
    let (mut at, mut next) = (at, next as u8);
    let mut count = 0;
    while count < extension::MOST && extension::is_extension(next) && at + 8 <= end {
        let Some(words) = words_at(at) else { break };
        let (following, length) = extension::step(next, words);
        next = following;
        at += length as u64;
        count += 1;
    }
    next as u32
}
