//! What a drop means to an operator: the shipped table over reason and location. The configuration's rules come first.

use crate::config::{Class, Rule};

/// Reason, location, class; `*` stands for any text. The first match wins, and what matches nothing is an error.
const TABLE: &[(&str, &str, Class)] = &[
    // Without a reason the place has to tell.
    ("NOT_SPECIFIED", "unix_*", Class::Benign),
    ("NOT_SPECIFIED", "netlink_*", Class::Benign),
    ("NOT_SPECIFIED", "nfnetlink_*", Class::Benign),
    ("NOT_SPECIFIED", "packet_*", Class::Benign),
    // Segments that a TIME-WAIT socket has answered; what is wrong with a segment has a reason there.
    ("NOT_SPECIFIED", "tcp_v4_rcv", Class::Benign),
    ("NOT_SPECIFIED", "tcp_v6_rcv", Class::Benign),
    ("NOT_SPECIFIED", "ip6_mc_input", Class::Benign),
    ("NOT_SPECIFIED", "skb_queue_purge*", Class::Benign),
    ("NOT_SPECIFIED", "sk_stream_kill_queues", Class::Benign),
    ("NOT_SPECIFIED", "*_enqueue", Class::Capacity),
    ("NOT_SPECIFIED", "nf_hook_slow*", Class::Policy),
    // The protocol at work: duplicates, leftovers of closed sockets, frames that are not for this host.
    ("SOCKET_CLOSE", "*", Class::Benign),
    ("QUEUE_PURGE", "*", Class::Benign),
    ("UNIX_*", "*", Class::Benign),
    ("OTHERHOST", "*", Class::Benign),
    ("UNICAST_IN_L2_MULTICAST", "*", Class::Benign),
    ("UNHANDLED_PROTO", "*", Class::Benign),
    ("DUP_FRAG", "*", Class::Benign),
    ("TCP_OLD_DATA", "*", Class::Benign),
    ("TCP_OFOMERGE", "*", Class::Benign),
    ("TCP_OLD_ACK", "*", Class::Benign),
    ("TCP_OLD_SEQUENCE", "*", Class::Benign),
    ("TCP_RESET", "*", Class::Benign),
    ("TCP_CLOSE", "*", Class::Benign),
    ("TCP_FASTOPEN", "*", Class::Benign),
    ("TCP_ABORT_ON_DATA", "*", Class::Benign),
    ("TCP_RFC7323_PAWS_ACK", "*", Class::Benign),
    ("PACKET_SOCK_ERROR", "*", Class::Benign),
    ("IPV6_NDISC_NS_OTHERHOST", "*", Class::Benign),
    ("LOCAL_MAC", "*", Class::Benign),
    // Somebody decided it.
    ("NETFILTER_DROP", "*", Class::Policy),
    ("SOCKET_FILTER", "*", Class::Policy),
    ("BPF_CGROUP_EGRESS", "*", Class::Policy),
    ("TC_EGRESS", "*", Class::Policy),
    ("TC_INGRESS", "*", Class::Policy),
    ("XDP", "*", Class::Policy),
    ("XFRM_POLICY", "*", Class::Policy),
    ("SECURITY_HOOK", "*", Class::Policy),
    ("IP_RPFILTER", "*", Class::Policy),
    ("IPV6DISABLED", "*", Class::Policy),
    ("TCP_AUTH_HDR", "*", Class::Policy),
    ("TCP_MD5*", "*", Class::Policy),
    ("TCP_AO*", "*", Class::Policy),
    ("TCP_MINTTL", "*", Class::Policy),
    ("TAP_FILTER", "*", Class::Policy),
    ("TAP_TXFILTER", "*", Class::Policy),
    ("ARP_PVLAN_DISABLE", "*", Class::Policy),
    ("BRIDGE_INGRESS_STP_STATE", "*", Class::Policy),
    ("OVS_DROP_*", "*", Class::Policy),
    // Something was full.
    ("SOCKET_RCVBUFF", "*", Class::Capacity),
    ("SOCKET_BACKLOG", "*", Class::Capacity),
    ("PROTO_MEM", "*", Class::Capacity),
    ("QDISC_*", "*", Class::Capacity),
    ("FQ_*", "*", Class::Capacity),
    ("CAKE_FLOOD", "*", Class::Capacity),
    ("DUALPI2_*", "*", Class::Capacity),
    ("CPU_BACKLOG", "*", Class::Capacity),
    ("FULL_RING", "*", Class::Capacity),
    ("NOMEM", "*", Class::Capacity),
    ("PFMEMALLOC", "*", Class::Capacity),
    ("NEIGH_QUEUEFULL", "*", Class::Capacity),
    ("TCP_LISTEN_OVERFLOW", "*", Class::Capacity),
    ("TCP_ZEROWINDOW", "*", Class::Capacity),
    ("TCP_OFO_QUEUE_PRUNE", "*", Class::Capacity),
    ("TCP_OFO_DROP", "*", Class::Capacity),
    ("*_BACKLOG", "*", Class::Capacity),
    // Hardware, by trap group and trap. An exception goes on to the network stack, which forwards it or says why not.
    ("*_exceptions", "*", Class::Benign),
    ("l2_drops", "port_list_is_empty", Class::Benign),
    ("l2_drops", "port_loopback_filter", Class::Benign),
    ("l2_drops", "vlan_tag_mismatch", Class::Policy),
    ("l2_drops", "ingress_*_filter", Class::Policy),
    ("l2_drops", "locked_port", Class::Policy),
    ("l3_drops", "blackhole_*", Class::Policy),
    ("acl_drops", "*", Class::Policy),
    ("buffer_drops", "*", Class::Capacity),
    // XDP: what a redirect's target said.
    ("ENOSPC", "*", Class::Capacity),
    ("ENOBUFS", "*", Class::Capacity),
    ("ENOMEM", "*", Class::Capacity),
];

/// The configured rules, then the shipped table.
#[derive(Debug)]
pub struct Classes {
    rules: Vec<(Rule, Class)>,
}

impl Classes {
    /// The table with the configuration's rules before it.
    pub fn new(configured: &[(Rule, Class)]) -> Self {
        let shipped = TABLE
            .iter()
            .filter_map(|(reason, location, class)| Some((Rule::shipped(reason, location)?, *class)));
        Self {
            rules: configured.iter().cloned().chain(shipped).collect(),
        }
    }

    /// The class of a drop.
    pub fn of(&self, reason: &str, location: &str) -> Class {
        let rule = self.rules.iter().find(|(rule, _)| rule.matches(reason, location));
        rule.map_or(Class::Error, |(_, class)| *class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn check(config: &str, reason: &str, location: &str, expected: Class) {
        let config = Config::from_yaml(config, "test.yaml").unwrap();
        assert_eq!(
            Classes::new(&config.drops.classes).of(reason, location),
            expected,
            "{reason} at {location}"
        );
    }

    #[test]
    fn the_shipped_table_tells_the_classes_apart() {
        check("", "NETFILTER_DROP", "nft_do_chain", Class::Policy);
        check("", "SOCKET_RCVBUFF", "udp_queue_rcv_one_skb", Class::Capacity);
        check("", "TCP_OLD_DATA", "tcp_data_queue", Class::Benign);
        check("", "UDP_CSUM", "__udp4_lib_rcv", Class::Error);
        check("", "NOT_SPECIFIED", "unix_stream_connect", Class::Benign);
        check("", "NOT_SPECIFIED", "ip_forward", Class::Error);
        check("", "458753", "anywhere", Class::Error);
        check("", "l3_drops", "non_ip", Class::Error);
        check("", "l3_drops", "blackhole_nexthop", Class::Policy);
        check("", "l3_exceptions", "ttl_value_is_too_small", Class::Benign);
        check("", "buffer_drops", "tail_drop", Class::Capacity);
        check("", "XDP_ABORTED", "guard", Class::Error);
        check("", "ENOSPC", "guard", Class::Capacity);
    }

    #[test]
    fn the_configuration_wins() {
        let config = "drops: {classes: [{class: benign, reason: UDP_*, location: '*udp4*'}]}";
        check(config, "UDP_CSUM", "__udp4_lib_rcv", Class::Benign);
        check(config, "UDP_CSUM", "udpv6_rcv", Class::Error);
    }

    #[test]
    fn every_line_of_the_table_is_a_rule() {
        assert_eq!(Classes::new(&[]).rules.len(), TABLE.len());
    }
}
