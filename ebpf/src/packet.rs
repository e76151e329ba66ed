//! What a packet's headers say.

use crate::kernel::SkBuff;
use common::{
    address::Address,
    drops::{Direction, Protocol, ethertype},
    verifier::veiled,
};

/// A [`Protocol`] as a number of which the verifier knows nothing.
pub(crate) type ProtocolNumber = u8;

/// Protocol and remote address of a packet; none when it is not IP or its header is not there.
#[inline(always)]
pub(crate) fn protocol_and_remote(packet: SkBuff, direction: Direction) -> (ProtocolNumber, Address) {
    of_header(packet, packet.network_header(), direction)
}

/// Protocol and source address of a packet that came in and that the network stack has not taken apart yet.
#[inline(always)]
pub(crate) fn protocol_and_source_of_frame(packet: SkBuff) -> (ProtocolNumber, Address) {
    of_header(packet, packet.network_header_of_frame(), Direction::Receive)
}

#[inline(always)]
fn of_header(packet: SkBuff, header: Option<u32>, direction: Direction) -> (ProtocolNumber, Address) {
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
            let transport = (u32::from_be(words[1]) >> 8) as u8;
            (Protocol::of_transport(transport), address)
        }
        _ => (Protocol::Ip, Address::NONE),
    }
}
