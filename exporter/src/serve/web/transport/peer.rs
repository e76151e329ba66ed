//! Who asks, as far as an address tells: what is bounded for one peer is bounded for one of these.
//! From the address of a connection; to the bounds of connections, logins and requests.

use super::stream::Origin;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Bits of an IPv6 address that one site gets at least: whoever has an address there has all of them.
const IPV6_BITS: u32 = 64;

/// Who shares what one peer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    /// An IPv4 address, or an IPv6 network of 64 bits.
    Address(IpAddr),
    /// All who may open the unix socket.
    UnixSocket,
}

impl Peer {
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let network = address.to_bits() & (u128::MAX << (128 - IPV6_BITS));
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            address @ (IpAddr::V4(_) | IpAddr::V6(_)) => Self::Address(address),
        }
    }

    /// Whether it is on this host.
    pub(crate) fn is_local(self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::UnixSocket => true,
        }
    }
}

impl From<Origin> for Peer {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Address(address) => Self::new(address.ip()),
            Origin::UnixSocket => Self::UnixSocket,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) if !address.is_loopback() => write!(formatter, "{address}/{IPV6_BITS}"),
            Self::Address(address) => address.fmt(formatter),
            Self::UnixSocket => formatter.write_str("the unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_ipv4_address_or_an_ipv6_network() {
        for (address, shown, loopback) in [
            ("192.0.2.1", "192.0.2.1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", false),
            ("127.0.0.9", "127.0.0.9", true),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", false),
            ("fe80::1", "fe80::/64", false),
        ] {
            let peer = Peer::new(address.parse().unwrap());
            assert_eq!((peer.to_string().as_str(), peer.is_local()), (shown, loopback));
        }
        let peer = |address: &str| Peer::new(address.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:0:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }
}
