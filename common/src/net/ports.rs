//! Where in a packet the ports of TCP and UDP lie, and which of them is this host's.

use super::{extension::NO_NEXT_HEADER, protocol::Protocol};

/// Whether a transport begins with two ports.
#[inline(always)]
pub const fn has_ports(transport: u8) -> bool {
    matches!(Protocol::of_transport(transport), Protocol::Tcp | Protocol::Udp)
}

/// The length of an IPv4 header in bytes, and the transport behind it: of the first three words, in network byte order. A fragment other
/// than the first has no transport's header.
#[inline(always)]
pub const fn behind_ipv4(words: [u32; 3]) -> (u32, u8) {
    const OFFSET: u32 = 0x1fff;
    let (first, second) = (u32::from_be(words[0]), u32::from_be(words[1]));
    let [_, transport, ..] = u32::from_be(words[2]).to_be_bytes();
    if first >> 28 != 4 || second & OFFSET != 0 {
        return (0, NO_NEXT_HEADER);
    }
    ((first >> 24 & 0xf) * 4, transport)
}

/// What follows the fixed header of IPv6, of its first two words in network byte order.
#[inline(always)]
pub const fn next_of_ipv6(words: [u32; 2]) -> u8 {
    if u32::from_be(words[0]) >> 28 != 6 {
        return NO_NEXT_HEADER;
    }
    let [_, _, next, _] = u32::from_be(words[1]).to_be_bytes();
    next
}

/// This host's port and the remote one, of source and destination as they stand in the packet.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
pub const fn local_and_remote(pair: u32, came_in: bool) -> (u16, u16) {
    let (source, destination) = ((pair >> 16) as u16, pair as u16);
    if came_in {
        (destination, source)
    } else {
        (source, destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn words<const N: usize>(words: [u32; N]) -> [u32; N] {
        let mut words = words;
        let mut i = 0;
        while i < N {
            words[i] = words[i].to_be();
            i += 1;
        }
        words
    }

    #[test]
    fn ports_are_behind_the_options_of_the_first_fragment() {
        let check = |first, second, third, expected| {
            assert_eq!(
                behind_ipv4(words([first, second, third])),
                expected,
                "{first:x} {second:x} {third:x}"
            );
        };
        check(0x4500_0028, 0x1234_4000, 0x4011_0000, (20, 17));
        check(0x4700_0028, 0x1234_2000, 0x4006_0000, (28, 6));
        check(0x4500_0028, 0x1234_2001, 0x4011_0000, (0, NO_NEXT_HEADER));
        check(0x6500_0028, 0x1234_4000, 0x4011_0000, (0, NO_NEXT_HEADER));
        assert_eq!(next_of_ipv6(words([0x6000_0000, 0x0014_1140])), 17);
        assert_eq!(next_of_ipv6(words([0x4000_0000, 0x0014_1140])), NO_NEXT_HEADER);
        assert!(has_ports(17) && has_ports(6) && !has_ports(1) && !has_ports(NO_NEXT_HEADER));
    }

    #[test]
    fn what_came_in_was_for_the_destination() {
        assert_eq!(local_and_remote(0xd431_01bb, true), (443, 0xd431));
        assert_eq!(local_and_remote(0xd431_01bb, false), (0xd431, 443));
    }
}
