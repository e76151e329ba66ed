//! The entries, by where packets are on their way.

use serde::Serialize;

/// What is known of a drop reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The kernel's name without `SKB_DROP_REASON_`; `*` stands for any text.
    pub reason: &'static str,
    pub meaning: &'static str,
    /// What usually lies behind it.
    pub causes: &'static str,
    /// The command to begin with.
    pub first: &'static str,
}

const fn row(reason: &'static str, meaning: &'static str, causes: &'static str, first: &'static str) -> Entry {
    Entry {
        reason,
        meaning,
        causes,
        first,
    }
}

#[rustfmt::skip]
pub(super) const ENTRIES: &[Entry] = &[
    // Devices and their queues.
    row("FULL_RING", "the ring of a virtual device was full", "whoever reads the other end (a guest, a VPN, a container) is too slow", "ip -s link show DEVICE"),
    row("DEV_READY", "the device was not up", "it was being made, taken down or moved", "ip link show DEVICE"),
    row("DEV_HDR", "the device could not add its header", "a device of an unusual link type", "ip -d link show DEVICE"),
    row("QDISC_OVERLIMIT", "the queue of a device was full", "more is sent than a shaper or the link lets through", "tc -s qdisc show"),
    row("QDISC_CONGESTED", "the queue manager dropped it to keep delays short", "CoDel, PIE or RED at work: the link is full", "tc -s qdisc show"),
    row("QDISC_*", "a queueing discipline dropped it", "a queue is full, or its limit of rate is reached", "tc -s qdisc show"),
    row("TC_INGRESS", "a tc filter dropped it on its way in", "a filter or a program at the ingress hook", "tc -s filter show dev DEVICE ingress"),
    row("TC_EGRESS", "a tc filter dropped it on its way out", "a filter or a program at the egress hook", "tc -s filter show dev DEVICE egress"),
    row("TC_*", "tc could not go on with it", "a filter that loops, or an action without memory", "tc -s filter show dev DEVICE ingress"),
    row("XDP", "an XDP program dropped it", "what the program was loaded for", "ip link show; bpftool net"),
    row("CPU_BACKLOG", "the backlog of a CPU was full", "packets come faster than one CPU takes them", "cat /proc/net/softnet_stat"),
    row("TAP_FILTER", "a filter on a tap device dropped it", "a guest asked for some addresses only", "ip -d link show DEVICE"),
    row("TAP_TXFILTER", "the transmit filter of a tap device dropped it", "a guest asked for some addresses only", "ip -d link show DEVICE"),
    row("BRIDGE_*", "a bridge does not pass it on", "a port that is blocked, without the VLAN, or isolated", "bridge link; bridge vlan"),
    row("VLAN_FILTER", "the packet's VLAN is not allowed there", "the port has another VLAN", "bridge vlan"),
    row("VXLAN_*", "a VXLAN packet was not as it should be", "another VNI, no entry for the MAC address, or a damaged header", "bridge fdb show; ip -d link show type vxlan"),
    row("TUNNEL_*", "a tunnel could not send it", "the tunnel's own address or route is missing", "ip -d tunnel show; ip route get ADDRESS"),
    row("MACSEC_*", "MACsec refused it", "keys that differ, or a packet that came twice", "ip -s macsec show"),
    row("UNHANDLED_PROTO", "nobody here speaks its protocol", "frames of link protocols, which every network has", "tcpvitals capture -w drops.pcapng --reason UNHANDLED_PROTO"),
    row("OTHERHOST", "it is for another host", "a device that is promiscuous, or a switch that floods", "ip -d link show DEVICE"),
    row("UNICAST_IN_L2_MULTICAST", "a unicast packet came in a multicast frame", "a cluster that shares a MAC address", "ip neigh"),
    row("LOCAL_MAC", "its source is this host's own MAC address", "a loop in the network", "ip -s link"),
    row("SKB_CSUM", "the checksum of the packet is wrong", "a card or a cable that damages packets, or offloading that goes wrong", "ethtool -k DEVICE; ethtool -S DEVICE"),
    row("SKB_GSO_SEG", "a large packet could not be cut", "a device without the offload that it says it has", "ethtool -k DEVICE"),
    row("SKB_UCOPY_FAULT", "data could not be copied from the program", "the program gave memory that is not its own", "dmesg"),
    row("HDR_TRUNC", "its header is cut off", "a damaged packet, or a driver's fault", "tcpvitals capture -w drops.pcapng --reason HDR_TRUNC"),
    row("PKT_TOO_SMALL", "it is smaller than its header says", "a damaged packet", "tcpvitals capture -w drops.pcapng --reason PKT_TOO_SMALL"),
    row("PKT_TOO_BIG", "it is larger than the link takes, and may not be cut", "a smaller MTU on the way", "ip link; tracepath ADDRESS"),
    row("NOMEM", "the kernel had no memory", "the host is out of memory, or bursts are larger than its reserve", "free -m; dmesg"),
    // IP.
    row("NETFILTER_DROP", "a rule of the packet filter dropped it", "nftables, iptables, or a program that writes their rules", "nft list ruleset; iptables-save -c"),
    row("IP_CSUM", "the checksum of the IP header is wrong", "damage on the way", "ethtool -S DEVICE"),
    row("IP_INHDR", "the IP header is malformed", "damage, or somebody who tries", "tcpvitals capture -w drops.pcapng --reason IP_INHDR"),
    row("IP_RPFILTER", "its source would be reached by another device", "paths that differ by direction, and rp_filter", "sysctl -a --pattern rp_filter; ip route get SOURCE"),
    row("IP_LOCALNET", "a loopback address came from outside", "route_localnet is off, as it should be", "sysctl -a --pattern route_localnet"),
    row("IP_LOCAL_SOURCE", "it has one of this host's addresses as source", "two hosts with one address, or a loop", "ip address; arping ADDRESS"),
    row("IP_INVALID_SOURCE", "its source may not be one", "a broadcast, multicast or zero address as source", "tcpvitals capture -w drops.pcapng --reason IP_INVALID_SOURCE"),
    row("IP_INVALID_DEST", "its destination may not be one", "a broadcast that is not passed on", "tcpvitals capture -w drops.pcapng --reason IP_INVALID_DEST"),
    row("IP_NOPROTO", "no protocol of this host has its number", "a tunnel or IPsec that is not set up here", "ip xfrm state; ip tunnel show"),
    row("IP_INADDRERRORS", "it is for an address that this host may not pass on", "forwarding is off", "sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding"),
    row("IP_INNOROUTES", "this host has no route for what it should pass on", "a route is missing", "ip route get ADDRESS; ip rule"),
    row("IP_OUTNOROUTES", "this host has no route for what it sends", "a route is missing or has gone", "ip route get ADDRESS; ip rule"),
    row("BPF_CGROUP_EGRESS", "a program of a cgroup refused it", "systemd's IPAddressDeny, or a policy of containers", "bpftool cgroup tree"),
    row("IPV6DISABLED", "IPv6 is off on the device", "disable_ipv6", "sysctl -a --pattern disable_ipv6"),
    row("IPV6_BAD_EXTHDR", "an IPv6 extension header is malformed", "damage, or somebody who tries", "tcpvitals capture -w drops.pcapng --reason IPV6_BAD_EXTHDR"),
    row("IPV6_NDISC*", "a message of neighbour discovery is not valid", "a damaged or forged message", "ip -6 neigh; tcpdump icmp6"),
    row("NEIGH_CREATEFAIL", "no entry could be made for the neighbour", "the table of neighbours is full", "ip -s neigh; sysctl net.ipv4.neigh.default.gc_thresh3"),
    row("NEIGH_FAILED", "the neighbour does not answer", "no host has the address, or it is in another VLAN", "ip neigh; arping ADDRESS"),
    row("NEIGH_QUEUEFULL", "too many packets wait for the neighbour's answer", "the neighbour does not answer", "ip neigh; arping ADDRESS"),
    row("NEIGH_*", "the neighbour's address is not known", "no host answers to ARP or neighbour discovery", "ip neigh"),
    row("DUP_FRAG", "this fragment had come already", "the network doubles packets", "nstat -az 'Ip*Reasm*'"),
    row("FRAG_REASM_TIMEOUT", "the rest of the fragments did not come in time", "loss on the way", "nstat -az 'Ip*Reasm*'"),
    row("FRAG_TOO_FAR", "fragments of too many datagrams came between", "reordering, or several senders behind one address", "sysctl net.ipv4.ipfrag_max_dist"),
    row("XFRM_POLICY", "the policy of IPsec refused it", "it came unprotected, or no policy lets it through", "ip xfrm policy; cat /proc/net/xfrm_stat"),
    row("ICMP_CSUM", "the checksum of an ICMP message is wrong", "damage on the way", "nstat -az 'Icmp*Csum*'"),
    row("INVALID_PROTO", "its protocol is not one for this place", "a packet of another kind than the device passes on", "ip -d link show DEVICE"),
    // Sockets.
    row("NO_SOCKET", "nobody has the port", "a service that is down, a client that has gone, or a scanner", "ss -lntu"),
    row("SOCKET_FILTER", "the filter of a socket refused it", "SO_ATTACH_FILTER or a program on the socket", "ss -0pb"),
    row("SOCKET_RCVBUFF", "the receive buffer of the socket was full", "the program reads too slowly, or bursts are larger than its buffer", "ss -uamp; sysctl net.core.rmem_max"),
    row("SOCKET_BACKLOG", "the backlog of the socket was full", "the program holds the socket while packets come fast", "nstat -az TcpExtTCPBacklogDrop; ss -tmp"),
    row("SOCKET_CLOSE", "the socket was closed with packets in it", "a program that ends or closes", "nothing: it is how sockets end"),
    row("QUEUE_PURGE", "packets that were left in a closed socket", "a program that ends or closes", "nothing: it is how sockets end"),
    row("PACKET_SOCK_ERROR", "a packet socket could not take it", "a capture that is too slow", "ss -0p"),
    row("UNIX_*", "the peer of a Unix socket has gone", "a program that ends", "ss -xp"),
    row("UDP_CSUM", "the checksum of a datagram is wrong", "damage on the way, or offloading that goes wrong", "ethtool -k DEVICE; nstat -az UdpInCsumErrors"),
    row("PROTO_MEM", "the protocol has used up its memory", "udp_mem or tcp_mem is too small for what waits in sockets", "cat /proc/net/sockstat; sysctl net.ipv4.udp_mem net.ipv4.tcp_mem"),
    // TCP.
    row("TCP_CSUM", "the checksum of a segment is wrong", "damage on the way, or offloading that goes wrong", "ethtool -k DEVICE; nstat -az TcpInCsumErrors"),
    row("TCP_MD5*", "a segment is not signed as agreed", "keys that differ, often of BGP", "ss -tmi; nstat -az 'TcpExtTCPMD5*'"),
    row("TCP_AO*", "a segment is not authenticated as agreed", "keys that differ, often of BGP", "nstat -az 'TcpExtTCPAO*'"),
    row("TCP_AUTH_HDR", "the headers that authenticate a segment contradict each other", "a peer that mixes TCP-AO and MD5", "nstat -az 'TcpExtTCPAO*'"),
    row("TCP_LISTEN_OVERFLOW", "the accept queue was full", "the program accepts too slowly, or its backlog is small", "ss -ltn: Recv-Q beside Send-Q"),
    row("TCP_REQQFULLDROP", "the SYN queue was full and SYN cookies are off", "a flood, or a short queue", "sysctl net.ipv4.tcp_syncookies net.ipv4.tcp_max_syn_backlog"),
    row("TCP_OFOMERGE", "the data had come already, out of order", "reordering and needless retransmissions", "nstat -az TcpExtTCPOFOMerge"),
    row("TCP_OFO_DROP", "there was no room for data out of order", "a receive buffer that is too small", "ss -tmi; sysctl net.ipv4.tcp_rmem"),
    row("TCP_OFO_QUEUE_PRUNE", "data out of order gave way when the buffer was full", "a receive buffer that is too small", "nstat -az TcpExtOfoPruned; sysctl net.ipv4.tcp_rmem"),
    row("TCP_ZEROWINDOW", "data came although the window was closed", "the program reads too slowly, and the peer probes", "ss -tmi"),
    row("TCP_OVERWINDOW", "data came beyond the window", "a peer that does not keep to the window, or a very old segment", "ss -tmi"),
    row("TCP_OLD_DATA", "the data had been received already", "a retransmission that was not needed", "nstat -az TcpExtTCPDSACKOldSent"),
    row("TCP_RFC7323_PAWS*", "its timestamp is older than the last one", "a very old segment, or a NAT that mixes hosts", "nstat -az 'TcpExtPAWS*'"),
    row("TCP_TSECR", "it answers to a timestamp that was never sent", "a broken peer, or a device that rewrites", "tcpvitals capture -w drops.pcapng --reason TCP_TSECR"),
    row("TCP_OLD_SEQUENCE", "its sequence number has passed", "a segment that came twice, or a probe", "nstat -az 'TcpExtTCP*'"),
    row("TCP_INVALID_*", "its numbers do not fit the connection", "a peer that has restarted, a NAT that forgot, or somebody who tries", "tcpvitals capture -w drops.pcapng --reason 'TCP_INVALID_*'"),
    row("TCP_RESET", "a reset that has ended a connection", "a peer that closes hard", "nothing: it was used"),
    row("TCP_CLOSE", "a segment for a connection that is closed", "a peer that still sends", "nothing: it is how connections end"),
    row("TCP_FLAGS", "its flags make no sense there", "scanners", "tcpvitals capture -w drops.pcapng --reason TCP_FLAGS"),
    row("TCP_ABORT_ON_DATA", "data came for a connection that nobody reads any more", "a program that closed before it had read all", "nstat -az TcpExtTCPAbortOnData"),
    row("TCP_MINTTL", "its hop limit is below what the socket asks for", "GTSM of BGP, and a peer that is further away", "ss -ti"),
    row("TCP_OLD_ACK", "it acknowledges what was acknowledged long ago", "reordering", "nstat -az TcpExtTCPACKSkippedSeq"),
    row("TCP_TOO_OLD_ACK", "it acknowledges what is too long ago to be true", "a very old segment, or somebody who tries", "nstat -az TcpExtTCPChallengeACK"),
    row("TCP_ACK_UNSENT_DATA", "it acknowledges what was never sent", "a device that rewrites, or somebody who tries", "nstat -az TcpExtTCPChallengeACK"),
    row("TCP_FASTOPEN", "the data of a SYN was taken with TCP Fast Open", "TCP Fast Open", "nothing: it was used"),
    // Without a reason.
    row("NOT_SPECIFIED", "the kernel gives no reason; the place tells more", "a function that frees a packet without a word", "tcpvitals drops --reason NOT_SPECIFIED"),
];
