//! The table of healthy activities. An entry is a name, what is done, what that needs of the kernel, and what it may free on the
//! way. A kernel of the matrix that cannot do it is named, too: on every other one a skip is a failure.

use tests::net::subnet::Family;

use super::datagrams::FOREIGN;
use super::filters::{BYPASSED, TRACKED, TRANSLATED};
use super::{
    Activity, Benign, activity, closing, datagrams, devices, echo, filters, link, options, sockets, streams, v6,
};
use crate::suite::Entry;
use crate::suite::Need::{Device, Filter, Ip, Queue, Ruleset, Setting, Streams, Tun, TypeName};

/// A kernel for sandboxes, with few modules.
const SANDBOX: &[&str] = &["6.18"];

const MULTIPATH: i32 = 262;

/// Each of one kind of packet that is not for this host.
const EACH: Benign = Benign::NoneOr(FOREIGN as u64);

#[rustfmt::skip]
pub(super) const ACTIVITIES: &[Entry<Activity>] = &[
    // Echo.
    activity("ping over a raw socket", echo::raw),
    // Each question and answer once, and twenty copies.
    activity("ping over a raw socket beside other raw sockets", echo::raw_beside_raw).benign(Benign::Most(40)),
    activity("ping over a ping socket", echo::datagram),
    activity("ping without data and with a full packet", echo::empty_and_full),
    // Each question and answer once, and no fragment.
    activity("ping of many fragments over a raw socket", echo::in_fragments).benign(Benign::Most(24)),
    activity("ping of many fragments over a ping socket", echo::datagram_in_fragments).benign(Benign::Most(24)),
    activity("ping of an own address", echo::oneself),
    // Datagrams.
    activity("DNS", datagrams::dns).benign(Benign::None),
    activity("DNS with answers in fragments", datagrams::dns_in_fragments).benign(Benign::None),
    activity("NTP with times of arrival", datagrams::ntp).benign(Benign::None),
    activity("times of departure that nobody reads", datagrams::departure_times),
    activity("mDNS that is listened to", datagrams::mdns),
    activity("one group, several members", datagrams::one_group_several_members),
    activity("mDNS of a neighbour", datagrams::mdns_of_a_neighbour).benign(EACH),
    activity("mDNS of a neighbour over IPv6", datagrams::mdns_of_a_neighbour_v6).benign(EACH),
    activity("SSDP of a neighbour", datagrams::ssdp_of_a_neighbour).benign(EACH),
    activity("IGMP reports of a neighbour", datagrams::membership_reports_of_a_neighbour).benign(EACH),
    activity("broadcasts of a neighbour to everybody", datagrams::broadcast_of_a_neighbour).benign(EACH),
    // The sender gets a copy of each.
    activity("broadcasts of a neighbour to the subnet", datagrams::broadcast_of_the_subnet).benign(Benign::Most(74)),
    activity("DHCP", datagrams::dhcp),
    activity("datagrams of many fragments", datagrams::large).benign(Benign::None),
    activity("datagrams that are cut and joined by offloads", datagrams::segmented).benign(Benign::None),
    activity("datagrams within the host", datagrams::through_loopback).benign(Benign::None),
    // Streams.
    activity("HTTP keep-alive", streams::keep_alive),
    activity("HTTP/1.0, the server closes first", streams::http_1_0),
    activity("the client closes first", streams::client_closes_first),
    activity("small writes, with and without cork", streams::small_writes),
    activity("large transfers both ways", streams::large),
    activity("large transfers that the receiver joins", streams::joined_by_the_receiver),
    activity("large transfers without offloads", streams::without_offloads),
    activity("BIG TCP", streams::big_tcp).needs(&[Ip("link set dev veth0 gso_max_size 200000 gro_max_size 200000")]),
    activity("packets that go to other processors", streams::on_several_processors),
    activity("streams within the host", streams::within_the_host),
    activity("IPv4 between sockets of IPv6", streams::mapped),
    activity("multipath TCP", streams::multipath).needs(&[Setting("net.mptcp.enabled"), Streams(MULTIPATH)]),
    activity("multipath TCP over two addresses", streams::multipath_of_two)
        .needs(&[Setting("net.mptcp.enabled"), Streams(MULTIPATH), Ip("mptcp limits")]),
    activity("TCP Fast Open", streams::fast_open),
    activity("SYN cookies", streams::cookies),
    activity("accept that waits for data", streams::deferred_accept),
    activity("keep-alive probes that are answered", streams::probes),
    activity("a window that stays closed for a while", streams::zero_window),
    activity("urgent data", streams::urgent),
    activity("zero copy and files", streams::zero_copy),
    activity("several listeners on one port", streams::reuse_port),
    activity("the same port again", streams::same_port_again),
    // Options of sockets, and copies.
    activity("a socket that connects to itself", options::to_itself),
    activity("segments that are signed", options::signed).needs(&[TypeName("tcp_md5sig_info")]),
    activity("datagrams that are collected, and given up", options::corked).benign(Benign::Most(2)),
    activity("options of IPv4", options::options).benign(Benign::None),
    activity("a sniffer that is too slow", options::slow_sniffer),
    // Where sniffers are of no namespace until a packet comes, those of the server are also offered what the client sends.
    activity("sniffers that share", options::fanout).benign(Benign::Most(60)),
    // Without that reason it is freed as what is wrong with a fragment is.
    activity("a fragment that comes twice", options::fragments_twice)
        .needs(&[TypeName("SKB_DROP_REASON_DUP_FRAG")]).lacks(&["6.1"]).benign(Benign::Most(1)),
    activity("a filter that copies to another device", options::copied)
        .needs(&[Ruleset("table netdev probe {\n chain c {\n type filter hook ingress device veth0 priority 0;\n dup to \"veth0\"\n }\n}\n")])
        .benign(Benign::Most(2000)),
    // Ends of connections.
    activity("a half-closed connection, answered in parts", closing::half),
    activity("a half-closed connection, answered with much", closing::half_and_much),
    activity("much before the end, read slowly", closing::data_before_the_end),
    activity("both ends close at once", closing::both_at_once),
    activity("a connection that is reset on purpose", closing::reset),
    activity("a connection that is closed with unread data", closing::unread),
    // Each segment, and the reset that goes back, which the device still has at its end.
    activity("data under way when the reader has gone", closing::under_way).needs(&[Tun]).benign(Benign::Most(14)),
    activity("data under way when a server has closed that still listens", closing::under_way_to_a_listener)
        .needs(&[Tun]).benign(Benign::Most(14)),
    // Leftovers.
    activity("a UDP socket that is closed with unread data", sockets::udp).benign(Benign::NoneOr(14)),
    activity("a resolver that leaves after the first answer", sockets::second_answer).benign(Benign::NoneOr(14)),
    activity("a UDP socket that is closed with unread fragments", sockets::in_fragments).benign(Benign::NoneOr(14)),
    activity("raw and ping sockets that are closed with unread data", sockets::raw_and_ping),
    activity("a packet socket that is closed with unread data", sockets::packet),
    activity("unix sockets that are closed with unread data", sockets::unix),
    activity("a netlink socket that is closed with unread data", sockets::netlink),
    activity("a TUN device that is closed with packets", sockets::tun).needs(&[Tun]).benign(Benign::Most(7)),
    activity("connections behind a TUN device", sockets::peer_behind_tun).needs(&[Tun]).connections("tunnel"),
    // IPv6.
    activity("IPv6 behind a hop-by-hop header", v6::hop_by_hop).benign(Benign::None),
    activity("IPv6 behind destination options", v6::destination_options).benign(Benign::None),
    activity("IPv6 behind a routing header", v6::routing).benign(Benign::None),
    activity("IPv6 in one fragment", v6::atomic_fragment).benign(Benign::None),
    activity("IPv6 behind several headers", v6::several).benign(Benign::None),
    activity("unsolicited neighbour advertisements", v6::unsolicited_advertisements).benign(EACH),
    activity("neighbour solicitations for others", v6::solicitations_of_others).benign(EACH),
    activity("members that leave groups, at a router", v6::leaves_at_a_router).benign(EACH),
    // What the other end says may come before there is a route for groups.
    activity("a new device that asks and tells", v6::a_new_device_asks).but(&["Ip6OutDiscards", "Ip6InNoRoutes"]),
    activity("groups that are joined and left", v6::joins_and_leaves),
    activity("neighbours that are looked for", v6::neighbours_found),
    // The link.
    activity("spanning tree of a neighbour", link::spanning_tree),
    activity("other frames with LLC", link::other_llc),
    activity("LLDP", link::link_discovery),
    activity("protocols without a handler", link::protocols_without_a_handler),
    activity("ARP for others and of others", link::address_resolution),
    activity("unicast of others", link::unicast_of_others),
    activity("unicast of others on a promiscuous device", link::promiscuous),
    activity("a sniffer that reads", link::watched),
    activity("a sniffer whose filter takes nothing", link::watched_by_a_filter),
    // Filters, queues, programs.
    activity("a packet filter that accepts", filters::accepting),
    activity("connection tracking", filters::tracked).needs(&[Ruleset(TRACKED)]),
    activity("address translation", filters::translated).needs(&[Ruleset(TRANSLATED)]),
    activity("a queue to a program that is bypassed", filters::bypassed).needs(&[Ruleset(BYPASSED)]).lacks(SANDBOX),
    activity("routing between two hosts", filters::routed),
    activity("XDP_PASS, generic", filters::passing_generic),
    activity("XDP_PASS, by the driver", filters::passing_driver),
    activity("a shaper that is wide enough", |stage| filters::queued(stage, "tbf rate 1gbit burst 300000 limit 30000000"))
        .needs(&[Queue("tbf rate 1gbit burst 300000 limit 30000000")]),
    activity("a shaper that delays and cuts", |stage| filters::queued(stage, "tbf rate 20mbit burst 3000 limit 3000000"))
        .needs(&[Queue("tbf rate 20mbit burst 3000 limit 3000000")]),
    activity("htb", |stage| filters::queued(stage, "htb")).needs(&[Queue("htb")]),
    activity("fq", |stage| filters::queued(stage, "fq")).needs(&[Queue("fq")]).lacks(SANDBOX),
    activity("netem without loss", |stage| filters::queued(stage, "netem delay 2ms limit 10000"))
        .needs(&[Queue("netem delay 2ms limit 10000")]).lacks(SANDBOX),
    activity("a classifier that accepts", |stage| filters::classified(stage, "matchall action ok"))
        .needs(&[Filter("matchall action ok")]).lacks(SANDBOX),
    // Devices.
    activity("a bridge", devices::bridge).needs(&[Device("type bridge")]).connections("virtual"),
    activity("a bridge with spanning tree", devices::bridge_with_spanning_tree)
        .needs(&[Device("type bridge stp_state 1")]).but(&["Ip6OutDiscards", "Ip6InNoRoutes"]).connections("virtual"),
    activity("a bridge and unknown unicast", devices::bridge_with_unknown_unicast).needs(&[Device("type bridge")]),
    activity("macvlan", |stage| devices::stack(stage, "link veth0 type macvlan mode bridge"))
        .needs(&[Device("link veth0 type macvlan mode bridge")]).connections("virtual"),
    activity("ipvlan", |stage| devices::stack(stage, "link veth0 type ipvlan mode l2"))
        .needs(&[Device("link veth0 type ipvlan mode l2")]).lacks(SANDBOX).connections("virtual"),
    activity("VLAN", |stage| devices::stack(stage, "link veth0 type vlan id 7"))
        .needs(&[Device("link veth0 type vlan id 7")]).lacks(SANDBOX).connections("wired"),
    activity("VLAN of a provider", |stage| devices::stack(stage, "link veth0 type vlan proto 802.1ad id 8"))
        .needs(&[Device("link veth0 type vlan proto 802.1ad id 8")]).lacks(SANDBOX).connections("wired"),
    activity("macvtap", |stage| devices::stack(stage, "link veth0 type macvtap mode bridge"))
        .needs(&[Device("link veth0 type macvtap mode bridge")]).lacks(SANDBOX).connections("virtual"),
    activity("VRF", devices::routing_domain).needs(&[Device("type vrf table 10")]).lacks(SANDBOX),
    activity("bond", devices::bond).needs(&[Device("type bond mode active-backup miimon 50")]).but(&["Ip6OutDiscards", "Ip6InNoRoutes"]).lacks(SANDBOX).connections("wired"),
    activity("vxlan", |stage| devices::stack(stage, "mtu 1400 type vxlan id 7 remote {other} local {own} dstport 4789"))
        .needs(&[Device("type vxlan id 7 remote 10.0.0.1 local 10.0.0.2 dstport 4789")]).connections("tunnel"),
    activity("vxlan over IPv6", |stage| devices::stack(stage, "mtu 1400 type vxlan id 8 remote {other6} local {own6} dstport 4790"))
        .needs(&[Device("type vxlan id 7 remote fd00::1 local fd00::2 dstport 4789")]).connections("tunnel"),
    activity("an overlay that knows no other host", devices::overlay_without_a_peer)
        .needs(&[Device("type vxlan id 7 remote 10.0.0.1 local 10.0.0.2 dstport 4789")]).but(&["Ip6OutDiscards", "Ip6InNoRoutes"]),
    activity("geneve", |stage| devices::stack(stage, "mtu 1400 type geneve id 7 remote {other}"))
        .needs(&[Device("type geneve id 7 remote 10.0.0.1")]).lacks(SANDBOX).connections("tunnel"),
    activity("gre", |stage| devices::stack(stage, "type gre remote {other} local {own}"))
        .needs(&[Device("type gre remote 10.0.0.1 local 10.0.0.2")]).lacks(SANDBOX).connections("tunnel"),
    activity("gretap", |stage| devices::stack(stage, "mtu 1400 type gretap remote {other} local {own}"))
        .needs(&[Device("type gretap remote 10.0.0.1 local 10.0.0.2")]).lacks(SANDBOX).connections("tunnel"),
    activity("gre over IPv6", |stage| devices::stack(stage, "type ip6gre remote {other6} local {own6}"))
        .needs(&[Device("type ip6gre remote fd00::1 local fd00::2")]).lacks(SANDBOX).connections("tunnel"),
    activity("erspan", |stage| devices::stack(stage, "mtu 1400 type erspan seq key 30 remote {other} local {own} erspan_ver 1 erspan 7"))
        .needs(&[Device("type erspan seq key 30 remote 10.0.0.1 local 10.0.0.2 erspan_ver 1 erspan 7")]).lacks(SANDBOX).connections("tunnel"),
    activity("ipip", |stage| devices::stack_for(stage, Family::V4, "type ipip remote {other} local {own}"))
        .needs(&[Device("type ipip remote 10.0.0.1 local 10.0.0.2")]).lacks(SANDBOX).connections("tunnel"),
    activity("sit", |stage| devices::stack_for(stage, Family::V6, "type sit remote {other} local {own}"))
        .needs(&[Device("type sit remote 10.0.0.1 local 10.0.0.2")]).lacks(SANDBOX).connections("tunnel"),
    activity("ip6tnl", |stage| devices::stack(stage, "type ip6tnl mode any remote {other6} local {own6}"))
        .needs(&[Device("type ip6tnl mode any remote fd00::1 local fd00::2")]).lacks(SANDBOX).connections("tunnel"),
    activity("vxlan and veth come and go", |stage| devices::come_and_go(stage, &[
        "type vxlan id 9 remote {other} dstport 4791", "type veth peer name peer0", "type bridge",
    ])).needs(&[Device("type vxlan id 7 remote 10.0.0.1 dstport 4789")]),
    activity("tunnels come and go", |stage| devices::come_and_go(stage, &[
        "type gre remote {other} local {own}", "type geneve id 9 remote {other}", "type ip6tnl remote {other6} local {own6}",
    ])).needs(&[Device("type gre remote 10.0.0.1 local 10.0.0.2")]).lacks(SANDBOX),
    activity("taps come and go", devices::taps).needs(&[Tun]).but(&["Ip6OutDiscards", "Ip6InNoRoutes"]),
    activity("a tap whose only queue is away", devices::tap_without_a_queue).needs(&[Tun]).but(&["Ip6OutDiscards"]),
    activity("a device goes over to NAPI and back", devices::receive_offload_switched),
    activity("namespaces end with open connections", devices::namespace_ends).benign(Benign::Most(20)).connections("virtual"),
    activity("addresses come and go", devices::addresses_change),
];
