//! Drops: a dropped packet as a map key (where, why, what, which way and for which subnet), what decides its class, who reports it, and
//! the notes between hooks that see the same packet.

pub mod capture;
mod count;
pub mod losses;

pub use crate::net::protocol::Protocol;
pub use count::{DropCount, DropCounts, PacketCount};

use crate::{
    closed::{closed_set, indices},
    net::address::SubnetKey,
    text::Text,
    workload::Number,
};
use zerocopy::FromBytes;

/// `ETH_P_*` numbers of `sk_buff.protocol`, in host byte order.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// What the class of a drop is decided by, besides its place and reason: bits of [`DropKey::marks`].
pub mod mark {
    /// Not for this host alone: broadcast, multicast or another host's (`sk_buff.pkt_type`, and where the kernel gives no reason
    /// also a multicast address). Of packets that go out only those with which the network stack itself speaks to a group, over a
    /// device at which nobody is ([`NO_CARRIER`], a tap without a program, an overlay without other hosts), or where the kernel gives no
    /// reason.
    pub const OTHERS: u8 = 1;
    /// Nothing is left of it (`sk_buff.len` is 0). Only where the kernel gives no reason, like the next two.
    pub const EMPTY: u8 = 1 << 1;
    /// A segment with ACK or RST, thus of a connection that was opened before and is closed here, such as data under way when a client
    /// gives up a download, or when a server that still listens closes; or a SYN-ACK that comes again. Only where the reason is that there
    /// is no socket, that a listener cannot use it, or that it is a SYN of an open connection, so that it shares a bit with [`EMPTY`].
    pub const LATE: u8 = EMPTY;
    /// It is shorter than the header of its protocol, if that is TCP.
    pub const CUT: u8 = 1 << 2;
    /// It still holds several segments, or may have held some that went on by themselves (GSO).
    pub const SEGMENTS: u8 = 1 << 3;
    /// Its device is down or has no carrier. Only of packets that a queueing discipline drops.
    pub const NO_CARRIER: u8 = 1 << 4;
    /// A message of ICMPv6 that may be ignored ([`is_ignorable`](super::is_ignorable)). Only where the kernel gives no reason.
    pub const IGNORABLE: u8 = 1 << 5;
    /// The route of the packet says no (`dst_entry.error`): it is of type prohibit or unreachable. Only where the kernel's reason is
    /// that there is no route.
    pub const REFUSED: u8 = 1 << 6;
    /// This kernel's reason also stands for what newer kernels call by another name. Set by user space, which knows the names.
    pub const COARSE: u8 = 1 << 7;
}

/// `sk_buff.pkt_type` by `linux/if_packet.h`, which is the same on every kernel: whom a packet that came in is for.
#[inline(always)]
pub const fn is_for_others(packet_type: u8) -> bool {
    /// `PACKET_BROADCAST`, `PACKET_MULTICAST`, `PACKET_OTHERHOST`, and `PACKET_LOOPBACK`, the own copy of one of the first two.
    const OTHERS: u8 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5;
    OTHERS >> (packet_type & 7) & 1 != 0
}

/// Whether a message of ICMPv6 of this type is discarded without a reason because it tells this host nothing: an advertisement of a
/// neighbor that nobody has asked for (RFC 4861, 7.2.5), a question for a router from a host without an address (4861, 6.2.6), what
/// members of groups say to routers, and informational types that are not known (RFC 4443, 2.4). Advertisements of routers,
/// solicitations of neighbors and redirects are discarded so because they are invalid, and echo requests because they are not answered:
/// there is no route back, no memory, or a limit of rate.
#[inline(always)]
pub const fn is_ignorable(icmpv6_type: u8) -> bool {
    const ROUTER_ADVERTISEMENT: u8 = 134;
    const NEIGHBOR_SOLICITATION: u8 = 135;
    const REDIRECT: u8 = 137;
    // Of the informational types the first; errors have lower ones.
    const ECHO_REQUEST: u8 = 128;
    icmpv6_type > ECHO_REQUEST
        && icmpv6_type != ROUTER_ADVERTISEMENT
        && icmpv6_type != NEIGHBOR_SOLICITATION
        && icmpv6_type != REDIRECT
}

/// `PACKET_OUTGOING` of `sk_buff.pkt_type`: the copy for sniffers of a packet that goes out.
#[inline(always)]
pub const fn is_outgoing_copy(packet_type: u8) -> bool {
    packet_type == 4
}

closed_set! {
    /// Which way a packet went: the value of the `direction` label.
    Direction {
        /// It came in through a device.
        Receive = "receive",
        /// It came from this host.
        Transmit = "transmit",
    }
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Receive => Self::Transmit,
            Self::Transmit => Self::Receive,
        }
    }
}

closed_set! {
    /// Who says that a packet was dropped: the value of the `source` label. The number is also that of the slot that takes
    /// what does not fit into the tables.
    DropSource {
        /// The network stack, of a packet that has an `sk_buff`.
        Software = "software",
        /// A device that hands what it dropped to the kernel, by devlink.
        Hardware = "hardware",
        /// An XDP program or its driver, mostly of a packet without an `sk_buff`.
        Xdp = "xdp",
    }
}

impl DropSource {
    /// Slots of `DROPS` that are given to no key: the rows `other`.
    #[expect(clippy::cast_possible_truncation, reason = "a handful of sources")]
    pub const OTHER_SLOTS: u32 = Self::ALL.len() as u32;

    /// The slot of its row `other`.
    pub const fn other_slot(self) -> u32 {
        self as u32
    }
}

/// What the hooks need not look for in a dropped packet, as bits: labels that nobody is shown cost nothing.
pub mod skip {
    /// The packet's headers: neither [`super::DropKey::protocol`] nor [`super::DropKey::subnet`] is known.
    pub const HEADERS: u8 = 1;
    /// [`super::DropKey::subnet`].
    pub const SUBNET: u8 = 2;
    /// [`super::DropKey::connection`].
    pub const CONNECTION: u8 = 4;
    /// [`super::DropKey::workload`].
    pub const WORKLOAD: u8 = 8;
    /// [`super::DropKey::app_protocol`].
    pub const APP_PROTOCOL: u8 = 16;
    /// Everything.
    pub const ALL: u8 = HEADERS | SUBNET | CONNECTION | WORKLOAD | APP_PROTOCOL;
}

/// The key of the map `DROP_SLOTS`, which has it as [`DropKey::words`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DropKey {
    /// Kernel address that dropped the packet: `location` of the tracepoint `kfree_skb`.
    pub location: u64,
    /// `enum skb_drop_reason` of the running kernel, subsystem in the upper 16 bits; 0 where the kernel gives none.
    pub reason: u32,
    /// Subnet of the remote address: the source on receive, the destination on transmit.
    pub subnet: SubnetKey,
    /// A [`Protocol`].
    pub protocol: u8,
    /// A [`Direction`].
    pub direction: u8,
    /// A [`crate::net::connection::ConnectionType`].
    pub connection: u8,
    /// What was not looked for, bits of [`skip`].
    pub skipped: u8,
    /// What else its class is decided by, bits of [`mark`].
    pub marks: u8,
    /// Number of the application protocol of a TCP or UDP port; 0 for none.
    pub app_protocol: u16,
    /// Whose the packet is.
    pub workload: Number,
}

impl DropKey {
    /// Its length in words.
    pub const WORDS: usize = 5;

    /// The key of these words.
    #[expect(clippy::cast_possible_truncation, reason = "takes words apart")]
    pub const fn from_words([location, a, b, c, d]: [u64; Self::WORDS]) -> Self {
        Self {
            location,
            reason: a as u32,
            subnet: SubnetKey {
                words: [(a >> 32) as u32, b as u32, (b >> 32) as u32, c as u32],
                kind: (c >> 32) as u32 & u16::MAX as u32,
            },
            protocol: d as u8,
            direction: (d >> 8) as u8,
            connection: (d >> 16) as u8,
            skipped: (d >> 24) as u8,
            marks: (d >> 32) as u8,
            app_protocol: (c >> 48) as u16,
            workload: (d >> 48) as Number,
        }
    }

    /// The key in as few words as hold it; a kind of subnet takes half of its number. The hooks put them together from registers: to write
    /// a key byte by byte and to read it as words costs more than to look it up.
    #[inline(always)]
    pub const fn words(&self) -> [u64; Self::WORDS] {
        let Self {
            location,
            reason,
            subnet: SubnetKey { words, kind },
            protocol,
            direction,
            connection,
            skipped,
            marks,
            app_protocol,
            workload,
        } = *self;
        [
            location,
            reason as u64 | (words[0] as u64) << 32,
            words[1] as u64 | (words[2] as u64) << 32,
            words[3] as u64 | (kind as u64) << 32 | (app_protocol as u64) << 48,
            // Bits 40 to 47 are free.
            protocol as u64
                | (direction as u64) << 8
                | (connection as u64) << 16
                | (skipped as u64) << 24
                | (marks as u64) << 32
                | (workload as u64) << 48,
        ]
    }
}

/// The key of the map `NAMED_DROP_SLOTS`: a drop whose place has a name in the kernel. The name itself is part of the key, since
/// its address may come to mean another one. All these packets came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes)]
#[repr(C)]
pub struct NamedDropKey {
    /// Name of the trap or of the XDP program; of the tracepoint where packets have left their program and are sent together.
    pub place: Text<6>,
    /// Name of the trap's group; empty for XDP.
    pub group: Text<4>,
    /// Of XDP: the action (`enum xdp_action`) that failed or does not exist, or the negative error number of a redirect or of a
    /// transmission.
    pub cause: i32,
    /// Subnet of the source address; none for XDP.
    pub subnet: SubnetKey,
    /// A [`Protocol`].
    pub protocol: u8,
    /// A [`crate::net::connection::ConnectionType`].
    pub connection: u8,
    /// A [`DropSource`].
    pub source: u8,
    /// Explicit padding, zero.
    pub padding: [u8; 5],
}

const _: () = assert!(size_of::<NamedDropKey>() == 112 && align_of::<NamedDropKey>() == 8);

/// Where, why and what was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropRow {
    /// By the network stack, at a code address.
    Software(DropKey),
    /// By hardware or XDP, at a place with a name.
    Named(NamedDropKey),
    /// What did not fit into the tables.
    Other(DropSource),
}

/// `enum xdp_action` of `linux/bpf.h`, which is the same on every kernel.
pub mod xdp_action {
    /// Send the packet out of another device.
    pub const REDIRECT: u32 = 4;
    /// Stands for every number that is no action.
    pub const INVALID: u32 = 5;

    /// What to count a failure under: a program can return any number.
    #[inline(always)]
    pub const fn failed(action: u32) -> u32 {
        if action < INVALID { action } else { INVALID }
    }
}

/// `-ENOMEM`
pub const OUT_OF_MEMORY: i32 = -12;

/// The cause of packets that XDP could not send: the error of the whole, or that there was no room for those at its end.
#[inline(always)]
pub const fn unsent(error: i32) -> i32 {
    const ENOSPC: i32 = 28;
    if error < 0 { error } else { -ENOSPC }
}

indices! {
    /// What a note is about: the index into the map `NOTES`.
    NoteKind {
        /// A device whose XDP program failed on a packet that has an `sk_buff`.
        XdpDevice,
        /// A packet that a queueing discipline drops, and why.
        QdiscPacket,
    }
}

/// What another hook said about a packet that `kfree_skb` is about to report on the same CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Note {
    /// Address of the packet or of its device; 0 when there is nothing to say.
    pub about: u64,
    /// A reason that says more than the one of `kfree_skb`; of a device, when it was noted, by the kernel's monotonic clock in nanoseconds.
    pub says: u64,
}

/// Most slots for drops, the rows `other` included.
pub const DROP_SLOTS: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::{DropKey, SubnetKey, is_for_others, is_ignorable};

    #[test]
    fn a_packet_for_this_host_or_from_it_is_not_for_others() {
        let others: std::vec::Vec<u8> = (0..8).filter(|packet_type| is_for_others(*packet_type)).collect();
        assert_eq!(others, [1, 2, 3, 5]);
    }

    #[test]
    fn errors_echo_requests_and_what_may_be_invalid_are_not_ignorable() {
        for icmpv6_type in [129, 132, 133, 136, 139, 143, 255] {
            assert!(is_ignorable(icmpv6_type), "{icmpv6_type}");
        }
        for icmpv6_type in [0, 1, 2, 127, 128, 134, 135, 137] {
            assert!(!is_ignorable(icmpv6_type), "{icmpv6_type}");
        }
    }

    #[test]
    fn a_key_survives_its_words() {
        let key = DropKey {
            location: 0x0102_0304_0506_0708,
            reason: 0x090a_0b0c,
            subnet: SubnetKey {
                words: [0x0d0e_0f10, 0x1112_1314, 0x1516_1718, 0x191a_1b1c],
                kind: 0x1314,
            },
            protocol: 0x21,
            direction: 0x22,
            connection: 0x23,
            skipped: 0x24,
            marks: 0x25,
            app_protocol: 0x1112,
            workload: 0x2627,
        };
        assert_eq!(DropKey::from_words(key.words()), key);
    }
}
