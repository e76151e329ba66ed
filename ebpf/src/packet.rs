//! What a packet's headers say.

use crate::kernel::SkBuff;
use common::{
    address::Address,
    drops::{Direction, Protocol, ethertype},
};

/// Protocol and remote address of a packet; none when it is not IP or its header is not there.
#[inline(always)]
pub(crate) fn protocol_and_remote(packet: SkBuff, direction: Direction) -> (Protocol, Address) {
    match packet.ethertype() {
        ethertype::IPV4 => ipv4(packet, direction),
        ethertype::IPV6 => ipv6(packet, direction),
        ethertype::ARP => (Protocol::Arp, Address::NONE),
        _ => (Protocol::Other, Address::NONE),
    }
}

/// Source address of a packet that came in.
#[inline(always)]
pub(crate) fn source(packet: SkBuff) -> Address {
    protocol_and_remote(packet, Direction::Receive).1
}

#[inline(always)]
fn ipv4(packet: SkBuff, direction: Direction) -> (Protocol, Address) {
    match packet.network_words::<5>(0) {
        Some(header) if u32::from_be(header[0]) >> 28 == 4 => {
            let address = match direction {
                Direction::Receive => header[3],
                Direction::Transmit => header[4],
            };
            let transport = (u32::from_be(header[2]) >> 16) as u8;
            (Protocol::of_transport(transport), Address::from_v4(address))
        }
        _ => (Protocol::Ip, Address::NONE),
    }
}

#[inline(always)]
fn ipv6(packet: SkBuff, direction: Direction) -> (Protocol, Address) {
    match packet.network_words::<2>(0) {
        Some(header) if u32::from_be(header[0]) >> 28 == 6 => {
            let first = match direction {
                Direction::Receive => 2,
                Direction::Transmit => 6,
            };
            let address = packet.network_words::<4>(first).map_or(Address::NONE, Address::from_v6);
            let transport = (u32::from_be(header[1]) >> 8) as u8;
            (Protocol::of_transport(transport), address)
        }
        _ => (Protocol::Ip, Address::NONE),
    }
}
