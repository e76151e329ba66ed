//! What a packet is, by its transport.

use crate::closed::closed_set;

closed_set! {
    /// What a dropped packet is: the value of the `protocol` label.
    Protocol {
        /// Neither IP nor ARP, or the packet says nothing (a Unix socket's, for example).
        Other = "other",
        /// IPv4 or IPv6 with a transport that has no value of its own.
        Ip = "ip",
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// ICMP.
        Icmp = "icmp",
        /// ICMPv6.
        Icmpv6 = "icmpv6",
        /// SCTP.
        Sctp = "sctp",
        /// ARP.
        Arp = "arp",
        /// IGMP.
        Igmp = "igmp",
        /// GRE.
        Gre = "gre",
        /// ESP (IPsec).
        Esp = "esp",
    }
}

impl Protocol {
    /// The transport of an IP packet: `protocol` of IPv4, `nexthdr` of IPv6.
    #[inline(always)]
    pub const fn of_transport(number: u8) -> Self {
        match number {
            1 => Self::Icmp,
            2 => Self::Igmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            47 => Self::Gre,
            50 => Self::Esp,
            58 => Self::Icmpv6,
            132 => Self::Sctp,
            _ => Self::Ip,
        }
    }
}
