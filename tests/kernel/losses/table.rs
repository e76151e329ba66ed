//! The table of losses. An entry is a name, what is done and expected, and what that needs of the kernel. A kernel of the matrix that
//! cannot do it is named, too: on every other one a skip is a failure.

use std::time::Duration;

use tests::net::subnet::Family::{V4, V6};

use super::filters::QUEUE;
use super::{Loss, connects, filters, headers, loss, queues, routes, sockets};
use crate::suite::Entry;
use crate::suite::Need::{Filter, Queue, Ruleset, Tun, TypeName};

/// A kernel for sandboxes, with few modules.
const SANDBOX: &[&str] = &["6.18"];

/// For whom a packet was, in what `kfree_skb` tells: without it nothing tells of listeners.
const RECEIVER: &str = "rx_sk";

/// A queue with room for six packets.
const SHAPER: &str = "tbf rate 100kbit burst 3000 limit 6000";

/// Longer than until a SYN is sent again, and shorter.
const AFTER_A_SYN: Duration = Duration::from_millis(1400);
const BEFORE_A_SYN: Duration = Duration::from_millis(200);

#[rustfmt::skip]
pub(super) const LOSSES: &[Entry<Loss>] = &[
    // No socket takes it.
    loss("datagrams to a closed port", |stage| sockets::closed_port(stage, V4, "UdpNoPorts")),
    loss("datagrams to a closed port over IPv6", |stage| sockets::closed_port(stage, V6, "Udp6NoPorts")),
    loss("datagrams in fragments to a closed port", |stage| sockets::closed_port_in_fragments(stage, V4, "UdpNoPorts")),
    loss("datagrams in fragments to a closed port over IPv6", |stage| sockets::closed_port_in_fragments(stage, V6, "Udp6NoPorts")),
    loss("a full receive buffer", |stage| sockets::full_buffer(stage, V4, "UdpRcvbufErrors", 1000)),
    loss("a full receive buffer over IPv6", |stage| sockets::full_buffer(stage, V6, "Udp6RcvbufErrors", 1000)),
    loss("a full receive buffer and fragments", |stage| queues::full_buffer_in_fragments(stage, V4, "UdpRcvbufErrors")),
    loss("a full receive buffer and fragments over IPv6", |stage| queues::full_buffer_in_fragments(stage, V6, "Udp6RcvbufErrors")),
    loss("a socket's own filter", |stage| sockets::filtered_by_a_socket(stage, V4, "UdpInErrors")),
    loss("a socket's own filter over IPv6", |stage| sockets::filtered_by_a_socket(stage, V6, "Udp6InErrors")),
    loss("SYNs to a closed port", |stage| sockets::refused(stage, V4)),
    loss("SYNs to a closed port over IPv6", |stage| sockets::refused(stage, V6)),
    loss("datagrams behind a hop-by-hop header to a closed port", |stage| sockets::hop_by_hop(stage, "udp")),
    loss("datagrams behind destination options to a closed port", |stage| sockets::destination_options(stage, "udp")),
    loss("datagrams in one fragment to a closed port", |stage| sockets::atomic_fragment(stage, "udp")),
    loss("SYNs behind a hop-by-hop header to a closed port", |stage| sockets::hop_by_hop(stage, "tcp")),
    loss("SYNs behind destination options to a closed port", |stage| sockets::destination_options(stage, "tcp")),
    loss("wrong checksums of UDP and TCP", sockets::wrong_checksums).needs(&[Tun]),
    loss("segments that end beyond the window of a program that does not read", sockets::beyond_the_window)
        .needs(&[Tun, TypeName("SKB_DROP_REASON_TCP_INVALID_END_SEQUENCE")]).lacks(&["6.1", "6.12"]),
    loss("a protocol that nobody speaks", sockets::unknown_protocol),
    loss("half-open connections that are reset", sockets::half_open_resets).needs(&[Tun, TypeName(RECEIVER)]).lacks(&["6.1"]),
    loss("a listener whose queue is full", sockets::full_listener).needs(&[TypeName(RECEIVER)]).lacks(&["6.1"]),
    loss("a SYN without the signature that is asked for", sockets::unsigned).needs(&[TypeName("tcp_md5sig_info")]),
    // Without that reason it is freed as what a TIME-WAIT socket has answered is.
    loss("a SYN that has come too far", sockets::too_far).needs(&[TypeName("SKB_DROP_REASON_TCP_MINTTL")]).lacks(&["6.1"]),
    // Headers that are wrong.
    loss("a wrong checksum of IPv4", headers::wrong_checksum),
    loss("a wrong version in IPv4", headers::wrong_version),
    loss("a wrong version in IPv6", headers::wrong_version_v6),
    loss("an IPv4 packet that is cut", headers::cut),
    loss("a segment that is shorter than its header", headers::cut_segment),
    loss("a segment that is shorter than its header over IPv6", headers::cut_segment_v6),
    loss("an option of IPv6 that must be known", headers::unknown_option),
    loss("an option of IPv6 without which a packet is to be ignored", headers::ignoring_option),
    loss("a next header that nobody speaks", headers::unknown_next_header),
    // Somebody decided it.
    loss("a filter on input", |stage| filters::input(stage, V4)),
    loss("a filter on input over IPv6", |stage| filters::input(stage, V6)),
    loss("a filter before routing", |stage| filters::prerouting(stage, V4)),
    loss("a filter on output", |stage| filters::output(stage, V4)),
    loss("a filter on output over IPv6", |stage| filters::output(stage, V6)),
    loss("a filter after routing", |stage| filters::postrouting(stage, V6)),
    loss("a filter that rejects", |stage| filters::rejected(stage, V4)),
    loss("a filter that rejects over IPv6", |stage| filters::rejected(stage, V6)),
    loss("a filter of a device on receipt", filters::ingress)
        .needs(&[Ruleset("table netdev probe {\n chain c {\n type filter hook ingress device veth0 priority 0; policy accept;\n }\n}\n")]),
    loss("a filter of a device on the way out", filters::egress)
        .needs(&[Ruleset("table netdev probe {\n chain c {\n type filter hook egress device veth0 priority 0; policy accept;\n }\n}\n")])
        .lacks(&["6.1"]),
    loss("a queue to a program that is not there", |stage| filters::queue_without_a_program(stage, V4))
        .needs(&[Ruleset(QUEUE)]).lacks(SANDBOX),
    loss("a queue to a program that is not there over IPv6", |stage| filters::queue_without_a_program(stage, V6))
        .needs(&[Ruleset(QUEUE)]).lacks(SANDBOX),
    loss("XDP_DROP, generic", filters::xdp_generic),
    loss("XDP_DROP, by the driver", filters::xdp_driver),
    loss("a classifier on receipt", |stage| filters::classified(stage, false))
        .needs(&[Filter("protocol ip matchall action drop")]).lacks(SANDBOX),
    loss("a classifier on the way out", |stage| filters::classified(stage, true))
        .needs(&[Filter("protocol ip matchall action drop")]).lacks(SANDBOX),
    loss("segments that the own filter drops", |stage| filters::own_segments(stage, V4)),
    loss("segments that the own filter drops over IPv6", |stage| filters::own_segments(stage, V6)),
    loss("segments that the far filter drops", |stage| filters::segments_on_arrival(stage, V4)),
    loss("segments that the far filter drops over IPv6", |stage| filters::segments_on_arrival(stage, V6)),
    loss("a source that comes the wrong way", routes::wrong_way),
    // No room, or no way out.
    loss("a full queue", |stage| queues::full(stage, V4, SHAPER)).needs(&[Queue(SHAPER)]),
    loss("a full queue over IPv6", |stage| queues::full(stage, V6, SHAPER)).needs(&[Queue(SHAPER)]),
    loss("a full queue of flows", |stage| queues::full(stage, V4, "fq flow_limit 10 maxrate 100kbit"))
        .needs(&[Queue("fq flow_limit 10 maxrate 100kbit")]).lacks(SANDBOX),
    loss("a TUN device that nobody reads", queues::full_tun).needs(&[Tun]),
    loss("the ring of a veth", queues::full_veth_ring),
    loss("a neighbour that does not answer", queues::no_neighbour),
    loss("a cable that is not plugged in", queues::no_carrier),
    // Routers and hosts that are none.
    loss("a lifetime that is over", |stage| routes::lifetime_over(stage, V4, "IpInHdrErrors")),
    loss("a lifetime that is over over IPv6", |stage| routes::lifetime_over(stage, V6, "Ip6InHdrErrors")),
    loss("a packet that is too big for the next link", |stage| routes::too_big(stage, V4, "IpFragFails")),
    loss("a packet that is too big for the next link over IPv6", |stage| routes::too_big(stage, V6, "Ip6InTooBigErrors")),
    loss("a router without a route", |stage| routes::no_route(stage, V4, "IpExtInNoRoutes")),
    loss("a router without a route over IPv6", |stage| routes::no_route(stage, V6, "Ip6InNoRoutes")),
    loss("a router whose route is a black hole", |stage| routes::refused_by_a_route(stage, V4, "blackhole")),
    loss("a router whose route is a black hole over IPv6", |stage| routes::refused_by_a_route(stage, V6, "blackhole")),
    loss("a router whose route prohibits", |stage| routes::refused_by_a_route(stage, V4, "prohibit")),
    loss("a router whose route prohibits over IPv6", |stage| routes::refused_by_a_route(stage, V6, "prohibit")),
    loss("a router whose route is unreachable", |stage| routes::refused_by_a_route(stage, V4, "unreachable")),
    loss("a router whose route is unreachable over IPv6", |stage| routes::refused_by_a_route(stage, V6, "unreachable")),
    loss("a packet for another at a host that is no router", routes::not_forwarding),
    loss("a fragment whose others do not come", |stage| routes::incomplete(stage, V4, "IpReasmFails")),
    loss("a fragment whose others do not come over IPv6", |stage| routes::incomplete(stage, V6, "Ip6ReasmFails")),
    // Connections that do not come about.
    loss("a connect without a route", |stage| connects::without_a_route(stage, V4, "", libc::ENETUNREACH)),
    loss("a connect without a route over IPv6", |stage| connects::without_a_route(stage, V6, "", libc::ENETUNREACH)),
    loss("a connect over a route that is unreachable", |stage| connects::without_a_route(stage, V4, "unreachable", libc::EHOSTUNREACH)),
    loss("a connect over a route that is prohibited", |stage| connects::without_a_route(stage, V4, "prohibit", libc::EACCES)),
    loss("a connect over a route that is prohibited over IPv6", |stage| connects::without_a_route(stage, V6, "prohibit", libc::EACCES)),
    loss("a connect over a route that is unreachable over IPv6", |stage| connects::without_a_route(stage, V6, "unreachable", libc::EHOSTUNREACH)),
    loss("a connect over a route into a black hole", |stage| connects::without_a_route(stage, V4, "blackhole", libc::EINVAL)),
    loss("a connection whose route goes", |stage| connects::route_gone(stage, V4, &["IP_OUTNOROUTES"])),
    loss("a connection whose route goes over IPv6", |stage| connects::route_gone(stage, V6, &["NOT_SPECIFIED", "IP_OUTNOROUTES"])),
    loss("a connect without a local port", connects::without_a_port),
    loss("a client that gives up before the SYN was sent again", |stage| connects::given_up(stage, V4, BEFORE_A_SYN, "cancelled")),
    loss("a client that gives up after the SYN was sent again", |stage| connects::given_up(stage, V4, AFTER_A_SYN, "unanswered")),
    loss("a client that gives up over IPv6", |stage| connects::given_up(stage, V6, AFTER_A_SYN, "unanswered")),
    loss("SYNs that the own filter drops", |stage| connects::own_syns(stage, V4)),
    loss("SYNs that the own filter drops over IPv6", |stage| connects::own_syns(stage, V6)),
    loss("answers to SYNs that the own filter drops", |stage| connects::own_answers(stage, V4)),
    loss("answers to SYNs that the own filter drops over IPv6", |stage| connects::own_answers(stage, V6)),
    loss("a host that cannot be reached", connects::unreachable),
];
