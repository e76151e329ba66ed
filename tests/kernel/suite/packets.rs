//! Packets and frames that no socket would send, as bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use tests::net::packet::checksum;

/// A hardware address.
pub(crate) type Hardware = [u8; 6];

/// Types of Ethernet's.
pub(crate) mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const LLDP: u16 = 0x88cc;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const PPPOE: u16 = 0x8863;
    pub(crate) const EXPERIMENTAL: u16 = 0x88b5;
}

/// Protocols of IPv4 and next headers of IPv6.
pub(crate) mod protocol {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const IGMP: u8 = 2;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const DESTINATION: u8 = 60;
}

/// Everybody on the link.
pub(crate) const BROADCAST: Hardware = [0xff; 6];

/// The hardware address of a host of a pair.
pub(crate) const fn hardware(host: u8) -> Hardware {
    [2, 0, 0, 0, 0, host]
}

/// The hardware address of an IPv4 group.
pub(crate) fn group_v4(group: Ipv4Addr) -> Hardware {
    let [_, b, c, d] = group.octets();
    [0x01, 0, 0x5e, b & 0x7f, c, d]
}

/// The hardware address of an IPv6 group.
pub(crate) fn group_v6(group: Ipv6Addr) -> Hardware {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// A frame of Ethernet.
pub(crate) fn ethernet(to: Hardware, from: Hardware, ethertype: u16, content: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ethertype.to_be_bytes(), content].concat()
}

/// A frame of IEEE 802.3 with LLC: the same two service access points, and an unnumbered information.
pub(crate) fn llc(to: Hardware, from: Hardware, point: u8, content: &[u8]) -> Vec<u8> {
    let content = [&[point, point, 3], content].concat();
    let length = short(content.len());
    let mut frame = [&to[..], &from, &length, &content].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An IPv4 packet; `lifetime` is its TTL.
pub(crate) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, lifetime: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(short(20 + content.len()));
    packet.extend([0, 0, 0x40, 0, lifetime, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(content);
    packet
}

/// An IPv6 packet; `lifetime` is its hop limit.
pub(crate) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, lifetime: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(short(content.len()));
    packet.extend([next, lifetime]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(content);
    packet
}

/// A UDP datagram over IPv4, without a checksum.
pub(crate) fn udp_v4(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    [
        &from.to_be_bytes()[..],
        &to.to_be_bytes(),
        &short(8 + payload.len()),
        &[0, 0],
        payload,
    ]
    .concat()
}

/// A UDP datagram over IPv6.
pub(crate) fn udp_v6((source, from): (Ipv6Addr, u16), (destination, to): (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp_v4(from, to, payload);
    seal(&mut datagram, 6, source, destination, protocol::UDP);
    datagram
}

/// A message of ICMPv6.
pub(crate) fn icmp_v6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0], content].concat();
    seal(&mut message, 2, from, to, protocol::ICMPV6);
    message
}

/// A bare SYN over IPv6.
pub(crate) fn syn_v6((source, from): (Ipv6Addr, u16), (destination, to): (Ipv6Addr, u16)) -> Vec<u8> {
    let mut segment = syn(from, to);
    seal(&mut segment, 16, source, destination, protocol::TCP);
    segment
}

/// A bare SYN, without a checksum.
fn syn(from: u16, to: u16) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x10, 0, 0, 0, 0, 0]].concat()
}

/// Puts the checksum of an upper layer of IPv6 where it belongs.
fn seal(content: &mut [u8], at: usize, from: Ipv6Addr, to: Ipv6Addr, next: u8) {
    let pseudo = [
        &from.octets()[..],
        &to.octets(),
        &[0, 0],
        &short(content.len()),
        &[0, 0, 0, next],
    ]
    .concat();
    let sum = checksum(&[&pseudo, &*content].concat());
    content[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// An extension header of eight bytes that pads, and says what is next.
pub(crate) const fn padding(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

/// What is sent here is short.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
