//! Rules about dropped packets, by class, reason and place. What a rule about connections has explained is left out before.

use super::rule::{Floor, Reads, Rule};
use crate::findings::{
    Whose,
    seen::{Beside, Site},
};

const FLOOR: Floor = Floor { rate: 1.0, share: 0.0 };
const CAPACITY: &str = "capacity";
const ERROR: &str = "error";
/// The word of packets on their way out.
pub const TRANSMIT: &str = "transmit";

/// A rule about packets of a class that find something full.
const fn full(name: &'static str, says: &'static str, next: &'static str, is_it: fn(&Site) -> bool) -> Rule {
    Rule {
        name,
        whose: Whose::Here,
        floor: FLOOR,
        says,
        next,
        runbook: "TcpvitalsCapacityDrops",
        reads: Reads::Sites(is_it),
    }
}

/// A rule about packets that are wrong, or that nobody can use.
const fn wrong(name: &'static str, says: &'static str, next: &'static str, is_it: fn(&Site) -> bool) -> Rule {
    Rule {
        name,
        whose: Whose::Here,
        floor: FLOOR,
        says,
        next,
        runbook: "TcpvitalsWorkloadDrops",
        reads: Reads::Sites(is_it),
    }
}

/// A rule about what the host says beside the drop sites, where `devices.enabled` lets it be read.
const fn of_host(name: &'static str, says: &'static str, next: &'static str, read: fn(&Beside) -> u64) -> Rule {
    Rule {
        name,
        whose: Whose::Here,
        floor: FLOOR,
        says,
        next,
        runbook: "TcpvitalsCapacityDrops",
        reads: Reads::Host(read),
    }
}

pub(super) const CONNTRACK_FULL: Rule = of_host(
    "conntrack_full",
    "connection tracking is full: {rate} packets a second are dropped",
    "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
    |beside| beside.conntrack_full,
);

pub(super) const DEVICE_LOSS: Rule = of_host(
    "device_loss",
    "devices lose {rate} packets a second before the kernel has them",
    "ethtool -S DEVICE; ethtool -g DEVICE; tcpvitals_device_dropped_packets_total says which, and why",
    |beside| beside.lost_by_devices,
);

pub(super) const SOCKET_BUFFER_FULL: Rule = full(
    "socket_buffer_full",
    "a program here reads too slowly: {rate} packets a second find its receive buffer full",
    "ss -uamp: Recv-Q and the d of skmem; then the program, or net.core.rmem_max",
    |site| {
        let is_buffer = [
            "SOCKET_RCVBUFF",
            "PROTO_MEM",
            "TCP_OFO_QUEUE_PRUNE",
            "TCP_ZEROWINDOW",
            "TCP_INVALID_END_SEQUENCE",
        ];
        site.class == CAPACITY && is_buffer.contains(&site.reason.as_str())
    },
);

pub(super) const BACKLOG_FULL: Rule = full(
    "backlog_full",
    "packets come faster than this host takes them: {rate} a second find a backlog full",
    "cat /proc/net/softnet_stat; sysctl net.core.netdev_max_backlog; spread the load by RPS",
    |site| site.class == CAPACITY && ["CPU_BACKLOG", "SOCKET_BACKLOG"].contains(&site.reason.as_str()),
);

pub(super) const RING_FULL: Rule = full(
    "ring_full",
    "a ring of a device is full: {rate} packets a second are dropped",
    "ethtool -g DEVICE; ethtool -S DEVICE; what reads the other end of a veth or tap?",
    |site| {
        let is_ring = site.reason == "FULL_RING" || site.location.starts_with("veth_xmit");
        site.class == CAPACITY && is_ring
    },
);

pub(super) const NO_MEMORY: Rule = full(
    "no_memory",
    "the kernel has no memory for packets: {rate} a second are dropped",
    "dmesg; free -m; cat /proc/net/sockstat beside sysctl net.ipv4.tcp_mem",
    |site| site.class == CAPACITY && (site.reason.contains("NOMEM") || site.reason == "PFMEMALLOC"),
);

pub(super) const QUEUE_FULL: Rule = full(
    "queue_full",
    "a queue of a device is full: {rate} packets a second are dropped",
    "tc -s qdisc show",
    |site| {
        // Some queueing disciplines have reasons of their own.
        let is_reason = |begin: &&str| site.reason.starts_with(begin);
        let is_queue = ["QDISC", "FQ_", "CAKE_", "DUALPI2_"].iter().any(is_reason);
        site.class == CAPACITY && (is_queue || site.location.ends_with("_enqueue"))
    },
);

pub(super) const OTHER_CAPACITY: Rule = full(
    "other_capacity",
    "something of this host is full: {rate} packets a second are dropped",
    "tcpvitals drops --class capacity",
    |site| site.class == CAPACITY,
);

pub(super) const CHECKSUM: Rule = wrong(
    "checksum",
    "{rate} packets a second come with a wrong checksum",
    "ethtool -k DEVICE; a damaged cable or card, or a tunnel that computes none",
    |site| site.class == ERROR && site.reason.ends_with("CSUM"),
);

pub(super) const NO_ROUTE_FOR_PACKETS: Rule = wrong(
    "packets_without_route",
    "this host has no route for {rate} packets a second",
    "ip route get ADDRESS; ip rule; is forwarding meant?",
    |site| {
        let is_route = ["IP_OUTNOROUTES", "IP_INNOROUTES", "IP_INADDRERRORS"];
        site.class == ERROR && is_route.contains(&site.reason.as_str())
    },
);

pub(super) const NO_NEIGHBOR: Rule = wrong(
    "no_neighbor",
    "{rate} packets a second find no neighbor: the next hop does not answer to ARP or neighbor discovery",
    "ip route get ADDRESS: is the gateway right? ip neigh: is it, or the host, there and in this VLAN?",
    |site| site.class == ERROR && site.reason.starts_with("NEIGH"),
);

pub(super) const NO_LISTENER: Rule = wrong(
    "no_listener",
    "{rate} packets a second come for a port that nobody has",
    "ss -lntu; who sends: tcpvitals capture -w drops.pcapng --reason NO_SOCKET",
    |site| site.class == ERROR && site.reason == "NO_SOCKET",
);

/// A segment that was held back on the way comes after its retransmission, and the timestamps of both tell.
pub(super) const OLD_TIMESTAMPS: Rule = Rule {
    whose: Whose::Network,
    ..wrong(
        "old_timestamps",
        "{rate} segments a second come after newer ones and are refused by their timestamps (PAWS)",
        "look for several paths of one flow (bonds, ECMP), and for a NAT that gives one address to several hosts; nstat -az 'TcpExtPAWS*'",
        |site| site.class == ERROR && site.reason.contains("PAWS"),
    )
};

pub(super) const OTHER_ERROR: Rule = wrong(
    "other_error",
    "{rate} packets a second are dropped as wrong",
    "tcpvitals drops --class error",
    |site| site.class == ERROR,
);
