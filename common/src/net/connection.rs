//! The connection type of a network device: what carries a flow or a packet.
//!
//! Decided from fields of `struct net_device`, never from a lookup in user space, so that it also holds for devices of
//! network namespaces that the exporter cannot see.

use crate::{
    closed::closed_set,
    text::{Text, named},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Length of `net_device.name` and of the longest `rtnl_link_ops.kind` we compare, in bytes (`IFNAMSIZ`).
pub const NAME_LENGTH: usize = 16;

/// A device name or link kind, NUL-padded, as two little-endian words: two comparisons instead of a loop.
pub type Name = Text<2>;

/// Packs at most 16 bytes of a name; longer input is cut.
pub const fn name(text: &str) -> Name {
    named(text)
}

/// A name as it lies in the kernel's memory, without what follows its NUL.
#[inline(always)]
pub const fn until_nul([first, second]: Name) -> Name {
    match kept(first) {
        u64::MAX => [first, second & kept(second)],
        mask => [first & mask, 0],
    }
}

/// The bytes of a word before its first NUL, as a mask.
#[inline(always)]
const fn kept(word: u64) -> u64 {
    const LOWEST_BITS: u64 = 0x0101_0101_0101_0101;
    // The highest bit of each byte that is zero; above the first such byte also of others.
    let zeros = word.wrapping_sub(LOWEST_BITS) & !word & LOWEST_BITS << 7;
    if zeros == 0 {
        return u64::MAX;
    }
    let first = zeros & zeros.wrapping_neg();
    (first >> 7) - 1
}

closed_set! {
    /// What carries a flow: the value of the `connection_type` label.
    ConnectionType {
        /// No route device was known, or its kind says nothing.
        Unknown = "unknown",
        /// Ethernet or InfiniBand, and what bundles it: VLAN, bond, team, and a bridge with such a port.
        Wired = "wired",
        /// A device with a wireless pointer (`net_device.ieee80211_ptr`) or an IEEE 802.11 type.
        Wifi = "wifi",
        /// A mobile-broadband modem (`wwan`, `rmnet`).
        Cell = "cell",
        /// The loopback device.
        Loopback = "loopback",
        /// An encapsulating device: WireGuard, TUN/TAP, VXLAN, GRE, IP-in-IP and their kin.
        Tunnel = "tunnel",
        /// A software device without a wire behind it: veth, dummy, macvlan, ipvlan and their kin.
        Virtual = "virtual",
    }
}

/// `ARPHRD_*` numbers of `net_device.type` (include/uapi/linux/if_arp.h).
mod arphrd {
    pub(crate) const ETHER: u16 = 1;
    pub(crate) const INFINIBAND: u16 = 32;
    pub(crate) const PPP: u16 = 512;
    pub(crate) const RAWIP: u16 = 519;
    pub(crate) const TUNNEL: u16 = 768;
    pub(crate) const TUNNEL6: u16 = 769;
    pub(crate) const LOOPBACK: u16 = 772;
    pub(crate) const SIT: u16 = 776;
    pub(crate) const IPGRE: u16 = 778;
    pub(crate) const IEEE80211: u16 = 801;
    pub(crate) const IEEE80211_RADIOTAP: u16 = 803;
    pub(crate) const IP6GRE: u16 = 823;
    pub(crate) const NONE: u16 = 0xfffe;
}

/// `IFF_LOOPBACK` of `net_device.flags`.
const IFF_LOOPBACK: u32 = 1 << 3;

/// What `struct net_device` says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device {
    /// `net_device.type`, an `ARPHRD_*` number.
    pub hardware_type: u16,
    /// `net_device.flags`, `IFF_*` bits.
    pub flags: u32,
    /// `net_device.ieee80211_ptr` is not NULL.
    pub wireless: bool,
    /// `net_device.rtnl_link_ops->kind`; all zero for a device without link operations (hardware).
    pub kind: Name,
}

/// Classifies a device.
#[inline(always)]
pub const fn connection_type(device: &Device) -> ConnectionType {
    if device.hardware_type == arphrd::LOOPBACK || device.flags & IFF_LOOPBACK != 0 {
        return ConnectionType::Loopback;
    }
    if device.wireless
        || (device.hardware_type >= arphrd::IEEE80211 && device.hardware_type <= arphrd::IEEE80211_RADIOTAP)
    {
        return ConnectionType::Wifi;
    }
    if device.kind[0] != 0 {
        let by_kind = connection_type_of_kind(device.kind);
        if !matches!(by_kind, ConnectionType::Unknown) {
            return by_kind;
        }
    }
    match device.hardware_type {
        // A kind that is not in the table, on Ethernet framing: a software device of some sort.
        arphrd::ETHER if device.kind[0] != 0 => ConnectionType::Virtual,
        arphrd::ETHER | arphrd::INFINIBAND => ConnectionType::Wired,
        arphrd::RAWIP => ConnectionType::Cell,
        arphrd::PPP
        | arphrd::TUNNEL
        | arphrd::TUNNEL6
        | arphrd::SIT
        | arphrd::IPGRE
        | arphrd::IP6GRE
        | arphrd::NONE => ConnectionType::Tunnel,
        _ => ConnectionType::Unknown,
    }
}

/// Whether a port of this [`ConnectionType`] makes its bridge more than a switch within this host. A tunnel's port, most often the
/// TAP device of a virtual machine, does not. By number, and without a table, so that the verifier follows.
#[inline(always)]
pub const fn leads_out(port: u32) -> bool {
    const WIRED: u32 = ConnectionType::Wired as u32;
    const WIFI: u32 = ConnectionType::Wifi as u32;
    const CELL: u32 = ConnectionType::Cell as u32;
    matches!(port, WIRED | WIFI | CELL)
}

macro_rules! kinds {
    ($($connection:ident: $($kind:literal)+;)+) => {
        /// The link kinds (`ip link add … type KIND`) whose meaning is known.
        #[inline(always)]
        const fn connection_type_of_kind(kind: Name) -> ConnectionType {
            $($(
                const { assert!($kind.len() <= NAME_LENGTH) };
                if same(kind, const { name($kind) }) {
                    return ConnectionType::$connection;
                }
            )+)+
            ConnectionType::Unknown
        }

        /// The same table for tests.
        #[cfg(test)]
        const KINDS: &[(&str, ConnectionType)] = &[$($(($kind, ConnectionType::$connection),)+)+];
    };
}

kinds! {
    Wired: "vlan" "bond" "team" "bridge" "hsr";
    Cell: "wwan" "rmnet";
    Tunnel: "wireguard" "tun" "vxlan" "geneve" "gre" "gretap" "ip6gre" "ip6gretap" "erspan" "ip6erspan" "ipip" "sit"
        "ip6tnl" "vti" "vti6" "xfrm" "ppp" "gtp" "bareudp" "ovpn" "amt" "macsec";
    Virtual: "veth" "dummy" "ifb" "macvlan" "macvtap" "ipvlan" "ipvtap" "netkit" "vrf" "netdevsim" "nlmon" "openvswitch";
}

#[inline(always)]
const fn same(a: Name, b: Name) -> bool {
    a[0] == b[0] && a[1] == b[1]
}

/// A device-name pattern of the configuration, as a masked comparison: `?` stands for one character, a `*` at the end
/// for any rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct NamePattern {
    mask: Name,
    value: Name,
}

impl NamePattern {
    /// Compiles a pattern; `None` when it is empty, longer than a device name can be (15 characters), not ASCII, or has
    /// a `*` before its end.
    pub fn new(pattern: &str) -> Option<Self> {
        let (text, open) = match pattern.strip_suffix('*') {
            Some(text) => (text, true),
            None => (pattern, false),
        };
        if pattern.is_empty() || text.len() >= NAME_LENGTH || !text.is_ascii() || text.contains(['*', '\0', '/']) {
            return None;
        }
        let mut compiled = Self::default();
        for i in 0..NAME_LENGTH {
            let (mask, value) = match text.as_bytes().get(i) {
                Some(b'?') => (0, 0),
                Some(byte) => (0xff, *byte),
                None if open => (0, 0),
                None => (0xff, 0),
            };
            compiled.mask[i / 8] |= mask << (8 * (i % 8));
            compiled.value[i / 8] |= u64::from(value) << (8 * (i % 8));
        }
        Some(compiled)
    }

    /// Whether a device of this name matches.
    #[inline(always)]
    pub const fn matches(&self, name: Name) -> bool {
        name[0] & self.mask[0] == self.value[0] && name[1] & self.mask[1] == self.value[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(hardware_type: u16, kind: &str) -> Device {
        Device {
            hardware_type,
            kind: name(kind),
            ..Device::default()
        }
    }

    #[test]
    fn a_name_ends_at_its_nul() {
        for (memory, expected) in [
            ("veth\0\u{1}garbage", "veth"),
            ("\0veth", ""),
            ("12345678\0\u{7f}", "12345678"),
            ("1234567\0abc", "1234567"),
            ("123456789\0abcdef", "123456789"),
            ("sixteen letters.", "sixteen letters."),
        ] {
            assert_eq!(until_nul(name(memory)), name(expected), "{memory:?}");
        }
        assert_eq!(until_nul([0xffff_ff00_8001_ff81, 1]), [0x8001_ff81, 0]);
    }

    #[test]
    fn hardware_without_a_kind_is_told_by_its_type() {
        assert_eq!(connection_type(&device(1, "")), ConnectionType::Wired);
        assert_eq!(connection_type(&device(32, "")), ConnectionType::Wired);
        assert_eq!(connection_type(&device(519, "")), ConnectionType::Cell);
        assert_eq!(connection_type(&device(772, "")), ConnectionType::Loopback);
        assert_eq!(connection_type(&device(803, "")), ConnectionType::Wifi);
        assert_eq!(connection_type(&device(9999, "")), ConnectionType::Unknown);
    }

    #[test]
    fn every_kind_of_the_table_is_found_on_ethernet_framing() {
        for (kind, expected) in KINDS {
            assert_eq!(connection_type(&device(1, kind)), *expected, "{kind}");
        }
        assert_eq!(connection_type(&device(1, "brand-new")), ConnectionType::Virtual);
        assert_eq!(connection_type(&device(0xfffe, "brand-new")), ConnectionType::Tunnel);
    }

    #[test]
    fn ports_to_the_outside_are_those_with_a_medium() {
        let out = ConnectionType::ALL.into_iter().filter(|port| leads_out(*port as u32));
        let expected = [ConnectionType::Wired, ConnectionType::Wifi, ConnectionType::Cell];
        assert_eq!(out.collect::<std::vec::Vec<_>>(), expected);
    }

    #[test]
    fn a_wireless_pointer_wins_over_ethernet() {
        let wireless = Device {
            wireless: true,
            ..device(1, "")
        };
        assert_eq!(connection_type(&wireless), ConnectionType::Wifi);
    }

    #[test]
    fn numbers_and_label_values_agree() {
        for (number, connection) in ConnectionType::ALL.into_iter().enumerate() {
            assert_eq!(ConnectionType::from_number(u8::try_from(number).unwrap()), connection);
        }
        assert_eq!(ConnectionType::from_number(200), ConnectionType::Unknown);
    }

    fn check(pattern: &str, device: &str, expected: bool) {
        let compiled = NamePattern::new(pattern).unwrap();
        assert_eq!(compiled.matches(name(device)), expected, "{pattern} against {device}");
    }

    #[test]
    fn patterns_match_as_a_shell_would() {
        check("eth0", "eth0", true);
        check("eth0", "eth01", false);
        check("eth0.*", "eth0.100", true);
        check("eth0.*", "eth1.100", false);
        check("bond*", "bond", true);
        check("enp?s0", "enp3s0", true);
        check("enp?s0", "enp33s0", false);
        check("*", "anything", true);
        check("fifteen-letters", "fifteen-letters", true);
    }

    #[test]
    fn patterns_that_could_not_match_as_written_are_refused() {
        for pattern in ["", "a*b", "sixteen-letters!", "käse", "a/b"] {
            assert_eq!(NamePattern::new(pattern), None, "{pattern}");
        }
    }
}
