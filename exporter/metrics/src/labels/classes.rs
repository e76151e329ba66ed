//! What a drop means to an operator: the shipped table over reason, location and marks. The configuration's rules come first.

use common::drops::mark;
use tcpvitals_config::{Class, Rule};

/// What is no packet by itself: reason, location, and [`mark`]s that it must have.
const PARTS: &[(&str, &str, u8)] = &[
    // Fragments of a datagram that was put together, and segments that the card or the stack has joined: they go with it.
    ("*", "skb_release_data", 0),
    ("*", "___pskb_trim", 0),
    // What was cut into segments, each of which went on or was counted.
    ("NOT_SPECIFIED", "tbf_*", mark::SEGMENTS),
    ("NOT_SPECIFIED", "nfqnl_enqueue_packet", mark::SEGMENTS),
    // The same before IPsec encrypts it; some compilers make one function of both.
    ("NOT_SPECIFIED", "xfrm_output", mark::SEGMENTS),
    ("NOT_SPECIFIED", "xfrm_output_gso", mark::SEGMENTS),
    // A device's queue tries out whether it gets memory when it is made, and gives back what it has when it goes.
    ("NOT_SPECIFIED", "netif_napi_add*", 0),
    ("NOT_SPECIFIED", "napi_get_frags_check", 0),
    ("NOT_SPECIFIED", "*netif_napi_del*", 0),
];

/// Reasons that newer kernels have split, and the name of what they have split off.
const SPLIT: &[(&str, &str)] = &[
    ("TCP_INVALID_SEQUENCE", "TCP_OLD_SEQUENCE"),
    ("TCP_RFC7323_PAWS", "TCP_RFC7323_PAWS_ACK"),
    // Without reasons of their own for what is wrong with messages of ICMPv6.
    ("NOT_SPECIFIED", "IPV6_NDISC_BAD_OPTIONS"),
];

/// Reason, location, [`mark`]s that the packet must have, class; `*` stands for any text. The first match wins, and what matches
/// nothing is an error. A kernel without reasons specifies none.
const TABLE: &[(&str, &str, u8, Class)] = &[
    // Without a reason the place has to tell. First what somebody decided: an XDP program, one behind a queue of the filter, one on
    // a route or on a socket.
    ("NOT_SPECIFIED", "do_xdp_generic", 0, Class::Policy),
    ("NOT_SPECIFIED", "netif_receive_generic_xdp", 0, Class::Policy),
    ("NOT_SPECIFIED", "veth_xdp_rcv*", 0, Class::Policy),
    ("NOT_SPECIFIED", "veth_poll", 0, Class::Policy),
    ("NOT_SPECIFIED", "cpu_map_bpf_prog_run*", 0, Class::Policy),
    ("NOT_SPECIFIED", "nf_queue*", 0, Class::Policy),
    ("NOT_SPECIFIED", "nfqnl_*", 0, Class::Policy),
    ("NOT_SPECIFIED", "nf_reinject", 0, Class::Policy),
    ("NOT_SPECIFIED", "nf_hook_slow*", 0, Class::Policy),
    ("NOT_SPECIFIED", "run_lwt_bpf*", 0, Class::Policy),
    ("NOT_SPECIFIED", "input_action_end_bpf", 0, Class::Policy),
    // A route that says no: of type blackhole, prohibit or unreachable. Over IPv6 the last two are for the kernel as if there were no
    // route.
    ("IP_INNOROUTES", "*", mark::REFUSED, Class::Policy),
    ("IP_OUTNOROUTES", "*", mark::REFUSED, Class::Policy),
    ("NOT_SPECIFIED", "ip_error", 0, Class::Policy),
    ("NOT_SPECIFIED", "dst_discard*", 0, Class::Policy),
    // What ends a stream has no data: TCP has used it.
    ("NOT_SPECIFIED", "sk_psock_*", mark::EMPTY, Class::Benign),
    // What a program has redirected to another socket, after it was sent there.
    ("NOT_SPECIFIED", "sk_psock_backlog", 0, Class::Benign),
    ("NOT_SPECIFIED", "sk_psock_verdict_*", 0, Class::Policy),
    ("NOT_SPECIFIED", "sk_psock_strp_read*", 0, Class::Policy),
    // Something was full.
    ("NOT_SPECIFIED", "veth_xmit*", 0, Class::Capacity),
    ("NOT_SPECIFIED", "gro_cells_receive", 0, Class::Capacity),
    ("NOT_SPECIFIED", "*_enqueue", 0, Class::Capacity),
    // Cut off within the header of TCP.
    ("NOT_SPECIFIED", "tcp_v4_rcv", mark::CUT, Class::Error),
    ("NOT_SPECIFIED", "tcp_v6_rcv", mark::CUT, Class::Error),
    // Segments that a TIME-WAIT socket has answered, and those without data that a closing connection has used. What is wrong with
    // a whole segment has a reason there.
    ("NOT_SPECIFIED", "tcp_v4_rcv", 0, Class::Benign),
    ("NOT_SPECIFIED", "tcp_v6_rcv", 0, Class::Benign),
    ("NOT_SPECIFIED", "tcp_rcv_state_process", 0, Class::Benign),
    // Segments that older kernels answer with a reset: data for a connection that is closed here, or for none of those of a listener.
    ("NOT_SPECIFIED", "tcp_v4_do_rcv", 0, Class::Benign),
    ("NOT_SPECIFIED", "tcp_v6_do_rcv", 0, Class::Benign),
    ("NOT_SPECIFIED", "*mptcp_*", 0, Class::Benign),
    // Older kernels free each message of ICMPv6 so that they have used: errors for a socket, questions and answers of neighbors.
    ("NOT_SPECIFIED", "icmpv6_rcv", mark::COARSE, Class::Benign),
    // An advertisement of a neighbor that nobody has asked for, what members of groups tell routers, and their like. What else is
    // discarded there is invalid, whomever it was for.
    ("NOT_SPECIFIED", "icmpv6_rcv", mark::IGNORABLE, Class::Benign),
    ("NOT_SPECIFIED", "icmpv6_rcv", 0, Class::Error),
    // Leftovers of what is closed.
    ("NOT_SPECIFIED", "unix_*", 0, Class::Benign),
    ("NOT_SPECIFIED", "netlink_*", 0, Class::Benign),
    ("NOT_SPECIFIED", "nfnetlink_*", 0, Class::Benign),
    ("NOT_SPECIFIED", "packet_*", 0, Class::Benign),
    ("NOT_SPECIFIED", "tpacket_*", 0, Class::Benign),
    // Records of TLS that the kernel has decrypted, and those that nobody has read.
    ("NOT_SPECIFIED", "tls_decrypt_async_wait", 0, Class::Benign),
    ("NOT_SPECIFIED", "tls_sw_release_resources_rx", 0, Class::Benign),
    ("NOT_SPECIFIED", "*_destruct*", 0, Class::Benign),
    ("NOT_SPECIFIED", "*_queue_purge*", 0, Class::Benign),
    ("NOT_SPECIFIED", "*_kill_queues", 0, Class::Benign),
    // Messages that the kernel wrote and has read: a rule of VRF, and records of audit, which counts itself what it loses.
    ("NOT_SPECIFIED", "vrf_fib_rule*", 0, Class::Benign),
    ("NOT_SPECIFIED", "kauditd_*", 0, Class::Benign),
    // Messages that an application has read (SCTP), and what opens connections between guest and host, grants room to them and is left of
    // them (vsock).
    ("NOT_SPECIFIED", "sctp_ulpevent_free", 0, Class::Benign),
    ("NOT_SPECIFIED", "virtio_transport_*", 0, Class::Benign),
    // With these a peer of IPsec keeps the entry of a NAT alive: RFC 3948 2.3.
    ("NOT_SPECIFIED", "*xfrm4_udp_encap_rcv", 0, Class::Benign),
    ("NOT_SPECIFIED", "*xfrm6_udp_encap_rcv", 0, Class::Benign),
    // What an application has collected for one datagram, and given up.
    ("NOT_SPECIFIED", "*_flush_pending_frames*", 0, Class::Benign),
    ("NOT_SPECIFIED", "tcp_disconnect", 0, Class::Benign),
    ("NOT_SPECIFIED", "*_ptr_free", 0, Class::Benign),
    ("NOT_SPECIFIED", "*__skb_array_destroy_skb", 0, Class::Benign),
    // Link protocols without a bridge or a program, and multicast without a member.
    ("NOT_SPECIFIED", "stp_*", 0, Class::Benign),
    ("NOT_SPECIFIED", "llc_*", 0, Class::Benign),
    ("NOT_SPECIFIED", "snap_rcv", 0, Class::Benign),
    ("NOT_SPECIFIED", "ip6_mc_input", 0, Class::Benign),
    // Not for this host: there is no member, no listener, no port to pass it on to.
    ("NOT_SPECIFIED", "*", mark::OTHERS, Class::Benign),
    ("NO_SOCKET", "*", mark::OTHERS, Class::Benign),
    ("NO_TX_TARGET", "*", mark::OTHERS, Class::Benign),
    ("TUNNEL_TXINFO", "*", mark::OTHERS, Class::Benign),
    ("IP_NOPROTO", "*", mark::OTHERS, Class::Benign),
    ("IP_INADDRERRORS", "*", mark::OTHERS, Class::Benign),
    ("IP_INNOROUTES", "*", mark::OTHERS, Class::Benign),
    ("IP_INVALID_DEST", "*", mark::OTHERS, Class::Benign),
    ("INVALID_PROTO", "*", mark::OTHERS, Class::Benign),
    // Of a connection that was closed here, by a program that wanted no more of it, be there a listener or not. Its sender gets a reset.
    ("NO_SOCKET", "*", mark::LATE, Class::Benign),
    ("TCP_FLAGS", "*", mark::LATE, Class::Benign),
    // The answer to a SYN comes again.
    ("TCP_INVALID_SYN", "*", mark::LATE, Class::Benign),
    // An answer to a ping, besides the copy that a raw socket has got.
    ("NO_SOCKET", "ping_rcv", 0, Class::Benign),
    ("NO_SOCKET", "icmp_rcv", 0, Class::Benign),
    ("NO_SOCKET", "icmpv6_rcv", 0, Class::Benign),
    // Not of the version that the frame announces.
    ("UNHANDLED_PROTO", "ip6_rcv_core*", 0, Class::Error),
    // An option of IPv6 without which a packet must not be used: RFC 8200 4.2.
    ("UNHANDLED_PROTO", "icmpv6_param_prob*", 0, Class::Error),
    ("UNHANDLED_PROTO", "ip6_tlvopt_unknown*", 0, Class::Error),
    ("UNHANDLED_PROTO", "ip6_parse_tlv*", 0, Class::Error),
    // What waited for the handshake with a peer of WireGuard that does not answer.
    ("QUEUE_PURGE", "wg_packet_purge_staged_packets", 0, Class::Error),
    // The protocol at work: duplicates, leftovers of closed sockets, frames that are not for this host.
    ("SOCKET_CLOSE", "*", 0, Class::Benign),
    ("QUEUE_PURGE", "*", 0, Class::Benign),
    ("UNIX_*", "*", 0, Class::Benign),
    ("OTHERHOST", "*", 0, Class::Benign),
    ("UNICAST_IN_L2_MULTICAST", "*", 0, Class::Benign),
    ("UNHANDLED_PROTO", "*", 0, Class::Benign),
    ("DUP_FRAG", "*", 0, Class::Benign),
    ("TCP_OLD_DATA", "*", 0, Class::Benign),
    ("TCP_OFOMERGE", "*", 0, Class::Benign),
    ("TCP_INVALID_SEQUENCE", "*", mark::COARSE, Class::Benign),
    ("TCP_RFC7323_PAWS", "*", mark::COARSE, Class::Benign),
    ("TCP_OLD_ACK", "*", 0, Class::Benign),
    ("TCP_OLD_SEQUENCE", "*", 0, Class::Benign),
    ("TCP_RESET", "*", 0, Class::Benign),
    ("TCP_CLOSE", "*", 0, Class::Benign),
    ("TCP_FASTOPEN", "*", 0, Class::Benign),
    ("TCP_ABORT_ON_DATA", "*", 0, Class::Benign),
    ("TCP_RFC7323_PAWS_ACK", "*", 0, Class::Benign),
    ("PACKET_SOCK_ERROR", "*", 0, Class::Benign),
    ("IPV6_NDISC_NS_OTHERHOST", "*", 0, Class::Benign),
    ("LOCAL_MAC", "*", 0, Class::Benign),
    ("MAC_IEEE_MAC_CONTROL", "*", 0, Class::Benign),
    // Somebody decided it.
    ("NETFILTER_DROP", "*", 0, Class::Policy),
    ("SOCKET_FILTER", "*", 0, Class::Policy),
    ("BPF_CGROUP_EGRESS", "*", 0, Class::Policy),
    ("TC_EGRESS", "*", 0, Class::Policy),
    ("TC_INGRESS", "*", 0, Class::Policy),
    ("XDP", "*", 0, Class::Policy),
    ("XFRM_POLICY", "*", 0, Class::Policy),
    ("SECURITY_HOOK", "*", 0, Class::Policy),
    ("IP_RPFILTER", "*", 0, Class::Policy),
    ("IPV6DISABLED", "*", 0, Class::Policy),
    ("TCP_AUTH_HDR", "*", 0, Class::Policy),
    ("TCP_MD5*", "*", 0, Class::Policy),
    ("TCP_AO*", "*", 0, Class::Policy),
    ("TCP_MINTTL", "*", 0, Class::Policy),
    ("TAP_FILTER", "*", 0, Class::Policy),
    ("TAP_TXFILTER", "*", 0, Class::Policy),
    ("ARP_PVLAN_DISABLE", "*", 0, Class::Policy),
    ("BRIDGE_INGRESS_STP_STATE", "*", 0, Class::Policy),
    ("OVS_DROP_*", "*", 0, Class::Policy),
    // Something was full.
    ("SOCKET_RCVBUFF", "*", 0, Class::Capacity),
    ("SOCKET_BACKLOG", "*", 0, Class::Capacity),
    ("PROTO_MEM", "*", 0, Class::Capacity),
    // No queue is too short where no cable is plugged in. What the stack says by itself to a group, it says again once there is one.
    ("QDISC_DROP", "*", mark::OTHERS | mark::NO_CARRIER, Class::Benign),
    ("DEV_READY", "*", mark::OTHERS, Class::Benign),
    ("QDISC_DROP", "*", mark::NO_CARRIER, Class::Error),
    ("QDISC_*", "*", 0, Class::Capacity),
    ("FQ_*", "*", 0, Class::Capacity),
    ("CAKE_FLOOD", "*", 0, Class::Capacity),
    ("DUALPI2_*", "*", 0, Class::Capacity),
    ("CPU_BACKLOG", "*", 0, Class::Capacity),
    ("FULL_RING", "*", 0, Class::Capacity),
    ("NOMEM", "*", 0, Class::Capacity),
    ("PFMEMALLOC", "*", 0, Class::Capacity),
    ("NEIGH_QUEUEFULL", "*", 0, Class::Capacity),
    ("TCP_LISTEN_OVERFLOW", "*", 0, Class::Capacity),
    ("TCP_ZEROWINDOW", "*", 0, Class::Capacity),
    // Beyond the window of a program that has not read what came before.
    ("TCP_INVALID_END_SEQUENCE", "*", 0, Class::Capacity),
    ("TCP_OFO_QUEUE_PRUNE", "*", 0, Class::Capacity),
    ("TCP_OFO_DROP", "*", 0, Class::Capacity),
    ("*_BACKLOG", "*", 0, Class::Capacity),
    // Hardware, by trap group and trap. An exception goes on to the network stack, which forwards it or says why not.
    ("*_exceptions", "*", 0, Class::Benign),
    ("l2_drops", "port_list_is_empty", 0, Class::Benign),
    ("l2_drops", "port_loopback_filter", 0, Class::Benign),
    ("l2_drops", "vlan_tag_mismatch", 0, Class::Policy),
    ("l2_drops", "ingress_*_filter", 0, Class::Policy),
    ("l2_drops", "locked_port", 0, Class::Policy),
    ("l3_drops", "blackhole_*", 0, Class::Policy),
    ("acl_drops", "*", 0, Class::Policy),
    ("buffer_drops", "*", 0, Class::Capacity),
    // XDP: what a redirect's target said.
    ("ENOSPC", "*", 0, Class::Capacity),
    ("ENOBUFS", "*", 0, Class::Capacity),
    ("ENOMEM", "*", 0, Class::Capacity),
];

/// The configured rules, then the shipped table.
#[derive(Debug)]
pub struct Classes {
    configured: Vec<(Rule, Class)>,
    shipped: Vec<(Shipped, Class)>,
    parts: Vec<Shipped>,
}

/// A line of a shipped table, without the class: which drops are meant, and the marks that they must have.
#[derive(Debug)]
struct Shipped {
    rule: Rule,
    marks: u8,
}

impl Shipped {
    fn new(reason: &str, location: &str, marks: u8) -> Option<Self> {
        let rule = Rule::shipped(reason, location)?;
        Some(Self { rule, marks })
    }

    fn matches(&self, reason: &str, location: &str, marks: u8) -> bool {
        let reason = named(reason);
        marks & self.marks == self.marks && self.rule.matches(reason, location)
    }
}

impl Classes {
    /// The table with the configuration's rules before it.
    pub fn new(configured: &[(Rule, Class)]) -> Self {
        let shipped = TABLE
            .iter()
            .filter_map(|(reason, location, marks, class)| Some((Shipped::new(reason, location, *marks)?, *class)));
        let parts = PARTS
            .iter()
            .filter_map(|(reason, location, marks)| Shipped::new(reason, location, *marks));
        Self {
            configured: configured.to_vec(),
            shipped: shipped.collect(),
            parts: parts.collect(),
        }
    }

    /// The class of a drop with these [`mark`]s.
    pub fn of(&self, reason: &str, location: &str, marks: u8) -> Class {
        let configured = || self.configured.iter().find(|(rule, _)| rule.matches(reason, location));
        let shipped = || {
            let mut lines = self.shipped.iter();
            lines.find(|(line, _)| line.matches(reason, location, marks))
        };
        configured()
            .map(|(_, class)| *class)
            .or_else(|| shipped().map(|(_, class)| *class))
            .unwrap_or(Class::Error)
    }

    /// Whether what is freed there is a packet, and not a part of one that was used or counted: no setting changes that.
    pub fn is_packet(&self, reason: &str, location: &str, marks: u8) -> bool {
        !self.parts.iter().any(|line| line.matches(reason, location, marks))
    }
}

/// A kernel without reasons specifies none.
fn named(reason: &str) -> &str {
    if reason.is_empty() { "NOT_SPECIFIED" } else { reason }
}

/// [`mark::COARSE`] for a reason of a kernel that lacks what newer ones have split off from it; `has` says which it has.
pub fn coarse(reason: &str, has: impl Fn(&str) -> bool) -> u8 {
    let reason = named(reason);
    let is_coarse = SPLIT.iter().any(|(whole, part)| *whole == reason && !has(part));
    if is_coarse { mark::COARSE } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpvitals_config::Config;

    fn check(config: &str, reason: &str, location: &str, expected: Class) {
        let config = Config::from_yaml(config, "test.yaml").unwrap();
        assert_eq!(
            Classes::new(&config.drops.classes).of(reason, location, 0),
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
        let classes = Classes::new(&[]);
        assert_eq!((classes.shipped.len(), classes.parts.len()), (TABLE.len(), PARTS.len()));
    }

    fn check_marked(reason: &str, location: &str, expected: &[(u8, Class)]) {
        let classes = Classes::new(&[]);
        for (marks, class) in expected {
            assert_eq!(
                classes.of(reason, location, *marks),
                *class,
                "{reason} at {location}, {marks:#x}"
            );
        }
    }

    #[test]
    fn what_the_kernel_has_used_is_benign() {
        for (reason, location) in [
            ("NOT_SPECIFIED", "tcp_rcv_state_process"),
            ("", "tcp_rcv_state_process"),
            ("NOT_SPECIFIED", "tcp_v4_do_rcv"),
            ("NOT_SPECIFIED", "tcp_v6_do_rcv"),
            ("NOT_SPECIFIED", "__mptcp_move_skbs_from_subflow"),
            ("NO_SOCKET", "ping_rcv"),
            ("NO_SOCKET", "icmp_rcv"),
            ("NOT_SPECIFIED", "udp_destruct_common"),
            ("NOT_SPECIFIED", "__ip_flush_pending_frames"),
            ("NOT_SPECIFIED", "inet_sock_destruct"),
            ("NOT_SPECIFIED", "tun_queue_purge"),
            ("NOT_SPECIFIED", "veth_ptr_free"),
            ("NOT_SPECIFIED", "vrf_fib_rule"),
            ("NOT_SPECIFIED", "kauditd_hold_skb"),
            ("NOT_SPECIFIED", "packet_rcv_fanout"),
            ("NOT_SPECIFIED", "tpacket_rcv"),
            ("NOT_SPECIFIED", "sk_psock_backlog"),
            ("NOT_SPECIFIED", "tls_decrypt_async_wait"),
            ("NOT_SPECIFIED", "xfrm4_udp_encap_rcv"),
            ("NOT_SPECIFIED", "sctp_ulpevent_free"),
            ("NOT_SPECIFIED", "virtio_transport_recv_pkt"),
            ("NOT_SPECIFIED", "__skb_queue_purge_reason"),
        ] {
            check("", reason, location, Class::Benign);
        }
        check("", "NO_SOCKET", "__udp4_lib_rcv", Class::Error);
        for reason in ["NO_SOCKET", "TCP_FLAGS", "TCP_INVALID_SYN"] {
            check_marked(
                reason,
                "tcp_v4_do_rcv",
                &[(0, Class::Error), (mark::LATE, Class::Benign)],
            );
        }
        check_marked(
            "IP_INNOROUTES",
            "ip6_pkt_drop",
            &[(0, Class::Error), (mark::REFUSED, Class::Policy)],
        );
        check("", "IP_INNOROUTES", "ip6_pkt_discard", Class::Error);
    }

    #[test]
    fn what_somebody_decided_is_policy_without_a_reason_too() {
        for location in [
            "do_xdp_generic",
            "veth_xdp_rcv_skb",
            "nf_queue",
            "nfqnl_reinject",
            "nf_reinject",
            "run_lwt_bpf",
            "sk_psock_verdict_apply",
            "ip_error",
            "dst_discard_out",
        ] {
            // Whomever the packet was for.
            check_marked(
                "NOT_SPECIFIED",
                location,
                &[(0, Class::Policy), (mark::OTHERS, Class::Policy)],
            );
        }
        check_marked(
            "NOT_SPECIFIED",
            "sk_psock_verdict_apply",
            &[(mark::EMPTY, Class::Benign)],
        );
    }

    #[test]
    fn what_is_not_for_this_host_is_benign_unless_something_else_is_wrong_with_it() {
        let both = |alone, others| [(0, alone), (mark::OTHERS, others)];
        for (reason, location) in [
            ("NOT_SPECIFIED", "ip_rcv_finish_core"),
            ("NOT_SPECIFIED", "__udp4_lib_rcv"),
            ("NO_TX_TARGET", "br_handle_frame_finish"),
            ("NO_TX_TARGET", "vxlan_xmit"),
            ("TUNNEL_TXINFO", "vxlan_xmit"),
            ("NO_SOCKET", "__udp6_lib_rcv"),
            ("IP_INADDRERRORS", "ip_error"),
        ] {
            check_marked(reason, location, &both(Class::Error, Class::Benign));
        }
        check_marked("UDP_CSUM", "udp_rcv", &both(Class::Error, Class::Error));
        check_marked("SOCKET_RCVBUFF", "udp_rcv", &both(Class::Capacity, Class::Capacity));
        check_marked("NETFILTER_DROP", "nft_do_chain", &both(Class::Policy, Class::Policy));
        check_marked("NOT_SPECIFIED", "veth_xmit", &both(Class::Capacity, Class::Capacity));
    }

    #[test]
    fn malformed_is_an_error_and_no_carrier_is_no_short_queue() {
        for location in ["tcp_v4_rcv", "tcp_v6_rcv"] {
            check_marked(
                "NOT_SPECIFIED",
                location,
                &[(0, Class::Benign), (mark::CUT, Class::Error)],
            );
        }
        check_marked(
            "NOT_SPECIFIED",
            "icmpv6_rcv",
            &[
                (0, Class::Error),
                (mark::OTHERS, Class::Error),
                (mark::CUT, Class::Error),
                (mark::IGNORABLE | mark::OTHERS, Class::Benign),
            ],
        );
        check("", "NOT_SPECIFIED", "tcp_disconnect", Class::Benign);
        check("", "QUEUE_PURGE", "skb_queue_purge_reason", Class::Benign);
        check("", "QUEUE_PURGE", "wg_packet_purge_staged_packets", Class::Error);
        check("", "UNHANDLED_PROTO", "ip6_rcv_core", Class::Error);
        check("", "UNHANDLED_PROTO", "icmpv6_param_prob_reason", Class::Error);
        check("", "UNHANDLED_PROTO", "ip6_parse_tlv", Class::Error);
        check("", "UNHANDLED_PROTO", "__netif_receive_skb_core", Class::Benign);
        let by_carrier = [
            (0, Class::Capacity),
            (mark::NO_CARRIER, Class::Error),
            (mark::NO_CARRIER | mark::OTHERS, Class::Benign),
        ];
        check_marked("QDISC_DROP", "__dev_queue_xmit", &by_carrier);
        let by_sender = [(0, Class::Error), (mark::OTHERS, Class::Benign)];
        check_marked("DEV_READY", "tun_net_xmit", &by_sender);
    }

    #[test]
    fn a_reason_covers_what_the_kernel_has_no_other_for() {
        let at = |location: &str, reason: &str, kernel: &[&str]| {
            let marks = coarse(reason, |name| kernel.contains(&name));
            Classes::new(&[]).of(reason, location, marks)
        };
        let of = |reason: &str, kernel: &[&str]| at("tcp_validate_incoming", reason, kernel);
        assert_eq!(of("TCP_INVALID_SEQUENCE", &[]), Class::Benign);
        assert_eq!(of("TCP_INVALID_SEQUENCE", &["TCP_OLD_SEQUENCE"]), Class::Error);
        assert_eq!(of("TCP_RFC7323_PAWS", &["TCP_OLD_SEQUENCE"]), Class::Benign);
        assert_eq!(of("UDP_CSUM", &[]), Class::Error);
        assert_eq!(of("NOT_SPECIFIED", &[]), Class::Error);
        for reason in ["NOT_SPECIFIED", ""] {
            assert_eq!(at("icmpv6_rcv", reason, &[]), Class::Benign);
            assert_eq!(at("icmpv6_rcv", reason, &["IPV6_NDISC_BAD_OPTIONS"]), Class::Error);
        }
    }

    #[test]
    fn parts_are_no_packets_whatever_the_configuration_says() {
        let config = "drops: {classes: [{class: error, location: '*'}]}";
        let config = Config::from_yaml(config, "test.yaml").unwrap();
        let classes = Classes::new(&config.drops.classes);
        for (reason, location, marks, expected) in [
            ("NOT_SPECIFIED", "skb_release_data", 0, false),
            ("", "skb_release_data", 0, false),
            ("NO_SOCKET", "skb_release_data", 0, false),
            ("NOT_SPECIFIED", "tbf_enqueue", mark::SEGMENTS, false),
            ("NOT_SPECIFIED", "tbf_enqueue", 0, true),
            ("QDISC_DROP", "__dev_queue_xmit", mark::SEGMENTS, true),
            ("NOT_SPECIFIED", "nfqnl_enqueue_packet", mark::SEGMENTS, false),
            ("NOT_SPECIFIED", "nfqnl_enqueue_packet", 0, true),
            ("NOT_SPECIFIED", "xfrm_output_gso", mark::SEGMENTS, false),
            ("NOT_SPECIFIED", "xfrm_output", mark::SEGMENTS, false),
            ("NOT_SPECIFIED", "xfrm_output", 0, true),
            ("NOT_SPECIFIED", "netif_napi_add_weight_locked", 0, false),
            ("NO_SOCKET", "udp_rcv", 0, true),
        ] {
            let is_packet = classes.is_packet(reason, location, marks);
            assert_eq!(is_packet, expected, "{reason} at {location}");
        }
    }
}
