//! The remote address of a flow or packet, and the subnet it belongs to.
//!
//! Addresses are kept as the kernel keeps them: 32-bit words in network byte order, so that they can be loaded word by
//! word and handed to a longest-prefix-match trie as they are.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An address of a flow or packet, or none. An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is held as the IPv4 address it stands for.
///
/// A plain structure and no enumeration: the kernel's verifier refuses the uninitialized words that an enumeration's smaller
/// variants leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// In network byte order; IPv4 has only the first.
    pub words: [u32; 4],
    /// [`Address::V4`], [`Address::V6`], or 0 for none.
    pub family: u32,
}

impl Address {
    /// The family of IPv4.
    pub const V4: u32 = 4;
    /// The family of IPv6.
    pub const V6: u32 = 6;
    /// No address.
    pub const NONE: Self = Self {
        words: [0; 4],
        family: 0,
    };

    /// An IPv4 address, in network byte order.
    #[inline(always)]
    pub const fn from_v4(word: u32) -> Self {
        Self {
            words: [word, 0, 0, 0],
            family: Self::V4,
        }
    }

    /// The address of an IPv6 socket or header, in network byte order.
    #[inline(always)]
    pub const fn from_v6(words: [u32; 4]) -> Self {
        if words[0] == 0 && words[1] == 0 && words[2] == 0xffff_u32.to_be() {
            Self::from_v4(words[3])
        } else {
            Self {
                words,
                family: Self::V6,
            }
        }
    }

    /// The address as the standard library has it; `None` for none.
    pub fn ip(self) -> Option<IpAddr> {
        match self.family {
            Self::V4 => Some(Ipv4Addr::from(self.words[0].to_ne_bytes()).into()),
            Self::V6 => {
                // Each word lies in memory as in the packet.
                let words = self.words.map(u32::from_be);
                let bits = words.into_iter().fold(0, |bits, word| bits << 32 | u128::from(word));
                Some(Ipv6Addr::from(bits).into())
            }
            _ => None,
        }
    }

    /// The address with each of its numbers changed.
    #[inline(always)]
    pub fn map(self, change: impl Fn(u32) -> u32) -> Self {
        let Self {
            words: [first, second, third, fourth],
            family,
        } = self;
        Self {
            words: [change(first), change(second), change(third), change(fourth)],
            family: change(family),
        }
    }

    /// The address cut to a prefix of `ipv4` or `ipv6` bits, as a subnet of its own.
    #[inline(always)]
    pub const fn cut(self, ipv4: u32, ipv6: u32) -> SubnetKey {
        let Self { words, family } = self;
        let length = if family == Self::V4 { ipv4 } else { ipv6 };
        SubnetKey {
            words: [
                words[0] & mask(length, 0),
                words[1] & mask(length, 32),
                words[2] & mask(length, 64),
                words[3] & mask(length, 96),
            ],
            // The kinds of cut addresses have the numbers of the families.
            kind: family,
        }
    }
}

/// The part of a prefix of `length` bits that falls into the word which starts at bit `start`.
#[inline(always)]
const fn mask(length: u32, start: u32) -> u32 {
    if length <= start {
        0
    } else if length >= start + 32 {
        u32::MAX
    } else {
        (u32::MAX << (start + 32 - length)).to_be()
    }
}

/// How a subnet was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SubnetKind {
    /// The packet has no IP address.
    None = 0,
    /// A subnet of the configuration; the first word is its number.
    Named = 1,
    /// No subnet of the configuration, which names all such addresses alike.
    Fallback = 2,
    /// An IPv4 address cut to the configured prefix.
    V4 = Address::V4,
    /// An IPv6 address cut to the configured prefix.
    V6 = Address::V6,
}

/// A subnet as part of a map key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SubnetKey {
    /// The cut address in network byte order, or the number of a configured subnet.
    pub words: [u32; 4],
    /// A [`SubnetKind`].
    pub kind: u32,
}

impl SubnetKey {
    /// No IP address at all.
    pub const NONE: Self = Self {
        words: [0; 4],
        kind: SubnetKind::None as u32,
    };
    /// The configured name for addresses that no configured subnet holds.
    pub const FALLBACK: Self = Self {
        words: [0; 4],
        kind: SubnetKind::Fallback as u32,
    };

    /// The configured subnet of this number.
    #[inline(always)]
    pub const fn named(number: u32) -> Self {
        Self {
            words: [number, 0, 0, 0],
            kind: SubnetKind::Named as u32,
        }
    }
}

const _: () = assert!(size_of::<SubnetKey>() == 20);

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> u32 {
        u32::from_ne_bytes(text.parse::<Ipv4Addr>().unwrap().octets())
    }

    fn v6(text: &str) -> [u32; 4] {
        let octets = text.parse::<Ipv6Addr>().unwrap().octets();
        core::array::from_fn(|i| u32::from_ne_bytes(octets[4 * i..4 * i + 4].try_into().unwrap()))
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(
            Address::from_v6(v6("::ffff:10.1.2.3")),
            Address::from_v4(v4("10.1.2.3"))
        );
        for address in ["::10.1.2.3", "1::ffff:10.1.2.3"] {
            let expected = Address {
                words: v6(address),
                family: Address::V6,
            };
            assert_eq!(Address::from_v6(v6(address)), expected);
        }
    }

    #[test]
    fn an_address_survives() {
        assert_eq!(Address::from_v4(v4("10.1.2.3")).ip(), "10.1.2.3".parse().ok());
        assert_eq!(Address::from_v6(v6("fd00:20::1:2")).ip(), "fd00:20::1:2".parse().ok());
        assert_eq!(Address::NONE.ip(), None);
    }

    fn check_v4(address: &str, prefix: u32, expected: &str) {
        assert_eq!(Address::from_v4(v4(address)).cut(prefix, 0).words[0], v4(expected));
    }

    fn check_v6(address: &str, prefix: u32, expected: &str) {
        assert_eq!(Address::from_v6(v6(address)).cut(0, prefix).words, v6(expected));
    }

    #[test]
    fn addresses_are_cut_to_their_prefix() {
        check_v4("10.1.2.255", 24, "10.1.2.0");
        check_v4("10.1.2.255", 31, "10.1.2.254");
        check_v4("10.1.2.255", 32, "10.1.2.255");
        check_v4("255.1.2.3", 1, "128.0.0.0");
        check_v6("2001:db8:1234:5678::1", 48, "2001:db8:1234::");
        check_v6("2001:db8:1234:5678::1", 64, "2001:db8:1234:5678::");
        check_v6("2001:db8:1234:5678::1", 128, "2001:db8:1234:5678::1");
        check_v6("ffff::1", 3, "e000::");
    }
}
