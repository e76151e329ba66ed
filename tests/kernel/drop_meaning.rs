//! What a drop means: what lost nothing is no error, and what is lost is told by its class, direction and protocol.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::{Counters, Queue};
use tests::kernel::kernel_facts::skip;
use tests::machine::turn;
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::packet::raw_ip::{behind, send_packets, udp, v6};
use tests::net::packet::{Segment, flag};
use tests::net::pair::{DEVICE, Pair, of_each_family};
use tests::net::subnet::{CLIENT, Family, SERVER};
use tests::net::traffic::{Flow, send_datagrams, small_udp_receiver};

const PACKETS: &str = "tcpvitals_dropped_packets_total";
const BYTES: &str = "tcpvitals_dropped_bytes_total";

/// What the rows of a subnet that are not benign sum to: reason, class, direction, protocol and connection type, then packets.
type Rows = BTreeMap<[String; 5], u64>;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a few packets"
)]
fn rows(scrape: &Scrape, subnet: &str, with_benign: bool) -> Result<Rows> {
    scrape.sum(PACKETS, &[])?;
    let mut rows = Rows::new();
    for (series, packets) in scrape.matching(PACKETS, &[("subnet", subnet)]) {
        let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
        if packets != 0.0 && (with_benign || label("class") != "benign") {
            let key = ["reason", "class", "direction", "protocol", "connection_type"].map(label);
            *rows.entry(key).or_default() += packets as u64;
        }
    }
    Ok(rows)
}

/// Requires these rows, and none besides but benign ones.
#[track_caller]
fn require(scrape: &Scrape, subnet: &str, expected: &[([&str; 5], u64)]) -> Result<()> {
    let expected: Rows = expected
        .iter()
        .map(|(labels, packets)| (labels.map(str::to_owned), *packets))
        .collect();
    assert_eq!(rows(scrape, subnet, false)?, expected);
    Ok(())
}

/// Requires that places which free parts of packets have no row at all, of whatever traffic of this machine.
#[track_caller]
fn require_no_parts(scrape: &Scrape) -> Result<()> {
    scrape.sum(PACKETS, &[])?;
    let parts = ["skb_release_data", "netif_napi_add", "napi_get_frags"];
    let of_parts: Vec<_> = scrape
        .matching(PACKETS, &[])
        .filter(|(series, _)| {
            let location = series.labels.get("location").map_or("", String::as_str);
            parts.iter().any(|part| location.contains(part))
        })
        .collect();
    assert_eq!(of_parts, []);
    Ok(())
}

fn settled(exporter: &Exporter<'_>, namespace: &Namespace) -> Result<Scrape> {
    Counters::at_rest(namespace)?;
    exporter.scrape()
}

#[test]
fn a_datagram_of_many_fragments_is_one_drop_or_none() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let subnet = pair.subnet()?.name();
        let open = pair.to(family, 4000)?;
        let socket = pair.server.run(|| Ok(UdpSocket::bind(open)?))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        for _ in 0..10 {
            send_datagrams(&pair.client, open, 1, 8000)?;
            assert_eq!(socket.recv(&mut [0; 9000])?, 8000);
        }
        let scrape = settled(&exporter, &pair.server)?;
        assert_eq!(rows(&scrape, &subnet, true)?, Rows::new());
        send_datagrams(&pair.client, pair.to(family, 9)?, 10, 8000)?;
        let scrape = settled(&exporter, &pair.server)?;
        require(
            &scrape,
            &subnet,
            &[(["NO_SOCKET", "error", "receive", "udp", "virtual"], 10)],
        )?;
        let udp = [("subnet", &*subnet), ("protocol", "udp")];
        assert_eq!(scrape.sum(BYTES, &udp)?, 10.0 * 8008.0);
        require_no_parts(&scrape)?;
    }
    Ok(())
}

#[test]
fn a_queue_that_refuses_all_pieces_of_a_packet_counts_the_pieces() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    // Nothing is left in the bucket for a whole packet of many segments, nor room to wait for it.
    pair.client.exec(&format!(
        "tc qdisc add dev {DEVICE} root tbf rate 8kbit burst 1600 limit 1600"
    ))?;
    (&flow.client).write_all(&[0; 60_000])?;
    // Between the retransmissions, which come ever later.
    let (queue, scrape) = tests::machine::wait::until("a moment in which nothing is sent", || {
        let before = Queue::read(&pair.client, DEVICE)?;
        let scrape = exporter.scrape()?;
        let is_at_rest = before.drops > 10 && Queue::read(&pair.client, DEVICE)? == before;
        Ok(is_at_rest.then_some((before, scrape)))
    })?;
    require(
        &scrape,
        &subnet,
        &[(["QDISC_DROP", "capacity", "transmit", "tcp", "virtual"], queue.drops)],
    )
}

#[test]
fn devices_that_try_their_queues_drop_nothing() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    namespace.exec("ip tuntap add dev tap9 mode tap")?;
    if let Err(error) = namespace.exec("ip link add vx9 type vxlan id 9 dstport 4789 local 127.0.0.1") {
        skip(&format!("no vxlan here: {error:#}"));
    }
    pair.server
        .exec(&format!("ethtool -K {DEVICE} gro on"))
        .or_else(|_| pair.server.exec("true"))?;
    namespace.exec("ip link add tried type veth peer name other")?;
    drop(namespace);
    require_no_parts(&exporter.scrape()?)
}

#[test]
fn who_half_closes_and_is_sent_more_acknowledges_it_without_a_drop() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let flow = Flow::open(&pair, family, 443)?;
        flow.client.shutdown(Shutdown::Write)?;
        assert_eq!((&flow.server).read(&mut [0; 10])?, 0);
        for _ in 0..40 {
            (&flow.server).write_all(&[1; 500])?;
            (&flow.client).read_exact(&mut [0; 500])?;
            sleep(Duration::from_millis(5));
        }
        flow.finish()?;
        let scrape = settled(&exporter, &pair.server)?;
        require(&scrape, &pair.subnet()?.name(), &[])?;
    }
    Ok(())
}

#[test]
fn probes_of_a_closed_window_are_no_errors() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    flow.fill()?;
    let probes = |counters: &Counters| counters.get("TcpExtTCPWinProbe");
    let before = probes(&Counters::read(&pair.client)?)?;
    tests::machine::wait::until("two probes of the window", || {
        let now = probes(&Counters::read(&pair.client)?)?;
        Ok((now >= before + 2).then_some(()))
    })?;
    require(&settled(&exporter, &pair.server)?, &pair.subnet()?.name(), &[])
}

/// Asks for echoes by a raw socket, which gets a copy of each answer: the kernel frees the answer itself.
fn ping(pair: &Pair, family: Family, count: u16) -> Result<()> {
    let to = pair.to(family, 0)?;
    pair.client.run(|| {
        let (protocol, request) = match family {
            Family::V4 => (Protocol::ICMPV4, 8),
            Family::V6 => (Protocol::ICMPV6, 128),
        };
        let socket = Socket::new(Domain::for_address(to), Type::RAW, Some(protocol))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let socket = UdpSocket::from(socket);
        let mut bytes = [0; 100];
        for _ in 0..count {
            let mut message = vec![request, 0, 0, 0, 0, 77, 0, 1, 1, 2, 3, 4];
            let sum: u32 = message
                .chunks(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            let sum = !u16::try_from((sum >> 16) + (sum & 0xffff))?;
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            socket.send_to(&message, to)?;
            // Over IPv4 the header comes with it.
            let (start, answer) = match family {
                Family::V4 => (20, 0),
                Family::V6 => (0, 129),
            };
            loop {
                let length = socket.recv(&mut bytes)?;
                if length > start && bytes[start] == answer {
                    break;
                }
            }
        }
        Ok(())
    })
}

#[test]
fn answered_pings_are_no_errors() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        ping(&pair, family, 20)?;
        require(&settled(&exporter, &pair.client)?, &pair.subnet()?.name(), &[])?;
    }
    Ok(())
}

#[test]
fn what_a_neighbor_says_to_all_or_to_others_is_benign() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?;
    let exporter = start(pair.config())?;
    pair.client.exec(&format!("ip route add 224.0.0.0/4 dev {DEVICE}"))?;
    let everybody = Ipv4Addr::new(224, 0, 0, 251);
    pair.client.run(|| {
        let socket = UdpSocket::bind((subnet.v4(CLIENT), 0))?;
        socket.set_broadcast(true)?;
        for to in [everybody, subnet.v4(255), Ipv4Addr::new(239, 1, 2, 3)] {
            for _ in 0..7 {
                socket.send_to(&[0; 40], (to, 5353))?;
            }
        }
        Ok(())
    })?;
    // A protocol that runs over IP itself (OSPF), to a group that nobody here has joined.
    let group: Ipv6Addr = "ff05::1234".parse()?;
    pair.client
        .exec(&format!("ip -6 route add multicast ff05::/16 dev {DEVICE} table local"))?;
    let packet = v6(subnet.v6(CLIENT), group, 89, &[0; 24]);
    send_packets(&pair.client, group.into(), &vec![packet; 5])?;
    // Another host's, as a bridge in between that has forgotten where it is sends them to everybody.
    pair.client.ip(&[format!(
        "neighbor replace {} lladdr 02:00:00:00:00:99 dev {DEVICE} nud permanent",
        subnet.v4(SERVER)
    )])?;
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 7, 100)?;
    let scrape = settled(&exporter, &pair.server)?;
    require(&scrape, &subnet.name(), &[])?;
    let benign = [("subnet", &*subnet.name()), ("class", "benign"), ("protocol", "udp")];
    assert!(scrape.sum(PACKETS, &benign)? >= 14.0);
    Ok(())
}

#[test]
fn unread_datagrams_of_a_closed_socket_are_benign() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let to = pair.to(family, 4000)?;
        let socket = pair.server.run(|| Ok(UdpSocket::bind(to)?))?;
        send_datagrams(&pair.client, to, 7, 100)?;
        Counters::at_rest(&pair.server)?;
        drop(socket);
        let scrape = settled(&exporter, &pair.server)?;
        let subnet = pair.subnet()?.name();
        require(&scrape, &subnet, &[])?;
        assert_eq!(scrape.sum(PACKETS, &[("subnet", &subnet), ("class", "benign")])?, 7.0);
    }
    Ok(())
}

#[test]
fn what_an_xdp_program_drops_is_policy_of_what_came_in() -> Result<()> {
    let _turn = turn::shared()?;
    const PAYLOAD: i32 = 777;
    for mode in [Mode::Generic, Mode::Driver] {
        let (pairs, config) = of_each_family()?;
        let exporter = start(config)?;
        for (family, pair) in pairs {
            let headers = match family {
                Family::V4 => 14 + 20 + 8,
                Family::V6 => 14 + 40 + 8,
            };
            // XDP_DROP
            let program = ("dropping", Verdict::Return(1));
            let xdp = Xdp::attach(&pair.server, DEVICE, mode, program, headers + PAYLOAD)?;
            send_datagrams(&pair.client, pair.to(family, 9)?, 20, PAYLOAD.unsigned_abs() as usize)?;
            let scrape = settled(&exporter, &pair.server)?;
            let found = rows(&scrape, &pair.subnet()?.name(), true)?;
            let found: BTreeMap<_, _> = found
                .into_iter()
                .map(|([_, class, direction, protocol, connection], packets)| {
                    ([class, direction, protocol, connection], packets)
                })
                .collect();
            let expected = ["policy", "receive", "udp", "virtual"].map(str::to_owned);
            assert_eq!(found, [(expected, 20)].into(), "{mode:?}, {family:?}");
            drop(xdp);
        }
    }
    Ok(())
}

#[test]
fn a_queue_of_the_filter_without_a_program_is_policy() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let ruleset =
            "table inet q {\n chain c {\n type filter hook input priority 0;\n udp dport 4000 queue num 7\n }\n}\n";
        if let Err(error) = nft::load(&pair.server, ruleset) {
            skip(&format!("the filter has no queues here: {error:#}"));
            return Ok(());
        }
        send_datagrams(&pair.client, pair.to(family, 4000)?, 10, 100)?;
        let scrape = settled(&exporter, &pair.server)?;
        let subnet = pair.subnet()?.name();
        let classes = scrape.by(PACKETS, "class", &[("subnet", &subnet), ("protocol", "udp")])?;
        assert_eq!(classes, [("policy".to_owned(), 10.0)].into());
    }
    Ok(())
}

#[test]
fn a_device_without_carrier_is_no_queue_that_is_too_short() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    pair.server.exec(&format!("ip link set dev {DEVICE} down"))?;
    tests::machine::wait::until("the carrier to be lost", || {
        let state = pair.client.exec(&format!("ip -o link show dev {DEVICE}"))?;
        Ok(state.contains("NO-CARRIER").then_some(()))
    })?;
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 6, 100)?;
    require(
        &settled(&exporter, &pair.client)?,
        &pair.subnet()?.name(),
        &[(["QDISC_DROP", "error", "transmit", "udp", "virtual"], 6)],
    )
}

#[test]
fn the_protocol_is_that_behind_the_extension_headers() -> Result<()> {
    let _turn = turn::shared()?;
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    for (next, protocol) in [(17, "udp"), (6, "tcp"), (58, "icmpv6"), (253, "ip")] {
        for headers in [
            &[][..],
            &[HOP_BY_HOP],
            &[DESTINATION],
            &[ROUTING],
            &[FRAGMENT],
            &[AUTHENTICATION],
            &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION],
        ] {
            let pair = Pair::new()?;
            let subnet = pair.subnet()?;
            let exporter = start(pair.config())?;
            nft::drop_matching(&pair.server, "prerouting", "ip6 hoplimit 64")?;
            let (first, content) = behind(headers, next, &udp(9, 100));
            let packet = v6(subnet.v6(CLIENT), subnet.v6(SERVER), first, &content);
            send_packets(&pair.client, subnet.v6(SERVER).into(), &vec![packet; 3])?;
            tests::machine::wait::until("the filter to have dropped all", || {
                Ok((nft::dropped(&pair.server)?.packets == 3).then_some(()))
            })?;
            let scrape = settled(&exporter, &pair.server)?;
            let protocols = scrape.by(PACKETS, "protocol", &[("subnet", &subnet.name())])?;
            assert_eq!(protocols, [(protocol.to_owned(), 3.0)].into(), "{headers:?}");
        }
    }
    Ok(())
}

#[test]
fn a_header_that_is_cut_off_is_an_error_over_ipv4_and_ipv6() -> Result<()> {
    let _turn = turn::shared()?;
    const TCP: u8 = 6;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?;
    let exporter = start(pair.config())?;
    let packet = v6(subnet.v6(CLIENT), subnet.v6(SERVER), TCP, &[0; 8]);
    send_packets(&pair.client, subnet.v6(SERVER).into(), &vec![packet; 3])?;
    let mut whole = Segment {
        source: std::net::SocketAddrV4::new(subnet.v4(CLIENT), 5),
        destination: std::net::SocketAddrV4::new(subnet.v4(SERVER), 6),
        sequence: 1,
        acknowledgment: 1,
        flags: flag::ACK,
        window: 1,
        options: tests::net::packet::Options::default(),
        payload: Vec::new(),
    }
    .encode();
    whole.truncate(28);
    send_packets(&pair.client, subnet.v4(SERVER).into(), &vec![whole; 4])?;
    let scrape = settled(&exporter, &pair.server)?;
    let classes = scrape.by(PACKETS, "class", &[("subnet", &subnet.name()), ("protocol", "tcp")])?;
    assert_eq!(classes, [("error".to_owned(), 7.0)].into());
    Ok(())
}

#[test]
fn a_bridge_of_virtual_ports_is_virtual() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?;
    if let Err(error) = pair
        .server
        .exec("ip link add br9 address 02:00:00:00:00:02 type bridge")
    {
        skip(&format!("no bridge here: {error:#}"));
        return Ok(());
    }
    let exporter = start(pair.config())?;
    pair.server.ip(&[
        format!("link set dev {DEVICE} master br9"),
        "link set dev br9 arp off up".to_owned(),
        format!("address add {}/24 dev br9", subnet.v4(77)),
        format!("address del {}/24 dev {DEVICE}", subnet.v4(SERVER)),
        format!(
            "neighbour add {} lladdr 02:00:00:00:00:01 dev br9 nud permanent",
            subnet.v4(CLIENT)
        ),
    ])?;
    pair.client.ip(&[format!(
        "neighbour add {} lladdr 02:00:00:00:00:02 dev {DEVICE} nud permanent",
        subnet.v4(77)
    )])?;
    let to: SocketAddr = (subnet.v4(77), 9).into();
    send_datagrams(&pair.client, to, 5, 100)?;
    require(
        &settled(&exporter, &pair.server)?,
        &subnet.name(),
        &[(["NO_SOCKET", "error", "receive", "udp", "virtual"], 5)],
    )?;
    // A port that leads out makes it wired.
    let vlan = "ip link add link veth0 name out9 type vlan id 9";
    if let Err(error) = pair.client.exec(vlan) {
        skip(&format!("no port that leads out, as a VLAN does: {error:#}"));
        return Ok(());
    }
    pair.server.exec("ip link add base9 type dummy")?;
    pair.server.exec("ip link add link base9 name out9 type vlan id 9")?;
    pair.server.exec("ip link set dev out9 master br9")?;
    send_datagrams(&pair.client, to, 6, 100)?;
    require(
        &settled(&exporter, &pair.server)?,
        &subnet.name(),
        &[
            (["NO_SOCKET", "error", "receive", "udp", "virtual"], 5),
            (["NO_SOCKET", "error", "receive", "udp", "wired"], 6),
        ],
    )
}

#[test]
fn a_full_receiver_of_many_fragments_is_capacity_and_only_that() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let to = pair.to(Family::V4, 4000)?;
    let socket = small_udp_receiver(&pair.server, to)?;
    send_datagrams(&pair.client, to, 10, 8000)?;
    let lost = u64::try_from(Counters::at_rest(&pair.server)?.get("UdpRcvbufErrors")?).context("a count")?;
    assert!(lost > 3, "{lost}");
    require(
        &exporter.scrape()?,
        &pair.subnet()?.name(),
        &[(["SOCKET_RCVBUFF", "capacity", "receive", "udp", "virtual"], lost)],
    )?;
    drop(socket);
    Ok(())
}
