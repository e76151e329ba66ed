//! Dropped packets: exactly as many as were provoked, each with its reason, place, direction, protocol and subnet.

use std::collections::BTreeMap;
use std::net::UdpSocket;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Launch, start};
use tests::kernel::counters::{Counters, Queue};
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::packet::{datagram, spoiled};
use tests::net::pair::{Cable, DEVICE, Pair, of_each_family, of_each_family_with};
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{CLIENT, Family, Subnet, config};
use tests::net::traffic::{Flow, listen, send_datagrams, settle, small_udp_receiver};

const PACKETS: &str = "tcpvitals_dropped_packets_total";
const BYTES: &str = "tcpvitals_dropped_bytes_total";

/// What one kind of drop should look like.
struct Expected<'text> {
    packets: u64,
    reason: &'text str,
    class: &'text str,
    direction: &'text str,
    protocol: &'text str,
    connection_type: &'text str,
    /// One of these is in the name of the function.
    places: &'text [&'text str],
}

impl Expected<'_> {
    /// Requires that this, and nothing else, was dropped of the protocol in the subnet. What is harmless does not count
    /// unless it is expected: on a busy machine a sender repeats what had arrived, and the receiver drops it.
    #[track_caller]
    fn require(&self, scrape: &Scrape, subnet: &str) -> Result<()> {
        let labels = [("subnet", subnet), ("protocol", self.protocol)];
        let rows: Vec<_> = scrape
            .matching(PACKETS, &labels)
            .filter(|(series, packets)| {
                let is_benign = series.labels.get("class").is_some_and(|class| class == "benign");
                *packets != 0.0 && (!is_benign || self.class == "benign")
            })
            .collect();
        let packets: f64 = rows.iter().map(|(_, packets)| packets).sum();
        assert_eq!(packets, self.packets as f64, "{rows:#?}");
        let expected: BTreeMap<&str, &str> = [
            ("source", "software"),
            ("reason", self.reason),
            ("class", self.class),
            ("direction", self.direction),
            ("protocol", self.protocol),
            ("subnet", subnet),
            ("connection_type", self.connection_type),
        ]
        .into();
        for (series, _) in rows {
            for (label, value) in &expected {
                assert_eq!(
                    series.labels.get(*label).map(String::as_str),
                    Some(*value),
                    "{series:?}"
                );
            }
            let location = series.labels.get("location").map_or("", String::as_str);
            assert!(self.places.iter().any(|place| location.contains(place)), "{location}");
        }
        Ok(())
    }
}

#[test]
fn packets_that_a_filter_drops_equal_its_own_counter() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let subnet = pair.subnet()?.name();
        nft::drop_matching(&pair.server, "input", "udp dport 4000 numgen inc mod 3 == 0")?;
        let to = pair.to(family, 4000)?;
        let socket = small_udp_receiver(&pair.server, to)?;
        for _ in 0..20 {
            send_datagrams(&pair.client, to, 3, 100)?;
            socket.recv(&mut [0; 200])?;
            socket.recv(&mut [0; 200])?;
        }
        let dropped = nft::dropped(&pair.server)?;
        assert_eq!(dropped.packets, 20);
        let scrape = exporter.scrape()?;
        Expected {
            packets: dropped.packets,
            reason: "NETFILTER_DROP",
            class: "policy",
            direction: "receive",
            protocol: "udp",
            connection_type: "virtual",
            places: &["nf_hook_slow", "nft_do_chain", "nft_", "ip_local_deliver", "ip6_input"],
        }
        .require(&scrape, &subnet)?;
        assert_eq!(
            scrape.sum(BYTES, &[("subnet", &subnet), ("protocol", "udp")])?,
            dropped.bytes as f64
        );
    }
    Ok(())
}

#[test]
fn labels_that_are_off_are_not_looked_for_and_every_drop_is_still_counted() -> Result<()> {
    // Without the subnet among the labels, drops of others count with these.
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    nft::drop_matching(&pair.server, "input", "meta l4proto udp")?;
    let exporter = Launch::new(pair.config())
        .arguments(&["--web.enable-lifecycle"])
        .start()?;
    let mut made = 0;
    // Which labels are on, and which of the last have then a value that somebody looked for.
    for (on, known) in [
        ("location, reason", [false; 3]),
        ("reason, protocol", [true, false, false]),
        ("reason, connection_type", [false, false, true]),
        ("reason, subnet", [true, true, false]),
        (
            "location, reason, class, protocol, direction, subnet, connection_type",
            [true; 3],
        ),
    ] {
        // Findings read some of them, whatever the metrics show.
        exporter.reload(&format!(
            "{}labels: {{drops: [{on}]}}\nfindings: {{enabled: false}}\n",
            pair.config()
        ))?;
        for family in [Family::V4, Family::V6] {
            send_datagrams(&pair.client, pair.to(family, 9)?, 7, 100)?;
        }
        made += 14;
        let scrape = exporter.scrape()?;
        let of_filter = [("reason", "NETFILTER_DROP")];
        assert_eq!(scrape.sum(PACKETS, &of_filter)?, made as f64, "{on}");
        assert_eq!(nft::dropped(&pair.server)?.packets, made);
        let looked = [
            ("protocol", "udp"),
            ("subnet", &*subnet),
            ("connection_type", "virtual"),
        ];
        let of_row: Vec<_> = looked
            .into_iter()
            .zip(known)
            .map(|((label, value), is_known)| format!("{label}={}", if is_known { value } else { "other" }))
            .collect();
        let path = format!("/api/v1/drops?reason=NETFILTER_DROP&{}", of_row.join("&"));
        let answer: Value = serde_json::from_str(&exporter.get(&path, "*/*")?.body)?;
        let rows = answer["drops"].as_array().context("no rows")?;
        let packets: Option<u64> = rows.iter().map(|row| row["packets"].as_u64()).sum();
        assert_eq!(packets, Some(14), "{on}: {answer:#}");
    }
    Ok(())
}

#[test]
fn datagrams_to_a_closed_port_found_no_socket() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for ((family, pair), counter) in pairs.into_iter().zip(["UdpNoPorts", "Udp6NoPorts"]) {
        send_datagrams(&pair.client, pair.to(family, 9)?, 23, 100)?;
        assert_eq!(Counters::at_rest(&pair.server)?.get(counter)?, 23);
        Expected {
            packets: 23,
            reason: "NO_SOCKET",
            class: "error",
            direction: "receive",
            protocol: "udp",
            connection_type: "virtual",
            places: &["udp4_lib_rcv", "udp6_lib_rcv", "udp_rcv", "udpv6_rcv"],
        }
        .require(&exporter.scrape()?, &pair.subnet()?.name())?;
    }
    Ok(())
}

#[test]
fn datagrams_that_overflow_a_receive_buffer_are_a_matter_of_capacity() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for ((family, pair), counter) in pairs.into_iter().zip(["UdpRcvbufErrors", "Udp6RcvbufErrors"]) {
        let to = pair.to(family, 4000)?;
        let socket = small_udp_receiver(&pair.server, to)?;
        send_datagrams(&pair.client, to, 40, 1000)?;
        let lost = u64::try_from(Counters::at_rest(&pair.server)?.get(counter)?)?;
        assert!((20..40).contains(&lost));
        Expected {
            packets: lost,
            reason: "SOCKET_RCVBUFF",
            class: "capacity",
            direction: "receive",
            protocol: "udp",
            connection_type: "virtual",
            places: &["udp_queue_rcv", "udpv6_queue_rcv", "__udp_enqueue", "udp_unicast_rcv"],
        }
        .require(&exporter.scrape()?, &pair.subnet()?.name())?;
        drop(socket);
    }
    Ok(())
}

#[test]
fn spoiled_packets_fail_their_checksum() -> Result<()> {
    let _turn = turn::shared()?;
    let namespace = Namespace::new()?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    let exporter = start(config(&[subnet]))?;
    let receiver = namespace.run(|| Ok(UdpSocket::bind(peer.kernel_at(2000))?))?;
    let listener = listen(&namespace, (subnet.v4(CLIENT), 80).into())?;
    let (server, mut connection) = peer.connect(&listener, 40_000, Offer::default())?;
    for _ in 0..13 {
        peer.inject(&spoiled(datagram(peer.at(1000), peer.kernel_at(2000), b"hello")))?;
    }
    connection.spoil(b"spoiled", 11)?;
    let scrape = exporter.scrape()?;
    let counters = Counters::read(&namespace)?;
    assert_eq!(
        (counters.get("UdpInCsumErrors")?, counters.get("TcpInCsumErrors")?),
        (13, 11)
    );
    for (packets, reason, protocol, places) in [
        (13, "UDP_CSUM", "udp", &["udp4_lib_rcv", "udp_rcv", "udp_queue_rcv"][..]),
        (
            11,
            "TCP_CSUM",
            "tcp",
            &["tcp_v4_rcv", "tcp_v4_do_rcv", "tcp_rcv_established"],
        ),
    ] {
        Expected {
            packets,
            reason,
            class: "error",
            direction: "receive",
            protocol,
            connection_type: "tunnel",
            places,
        }
        .require(&scrape, &subnet.name())?;
    }
    drop((receiver, server));
    Ok(())
}

#[test]
fn datagrams_that_a_full_queue_refuses_equal_the_queues_own_counter() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        pair.client.exec(&format!(
            "tc qdisc add dev {DEVICE} root tbf rate 100kbit burst 3000 limit 6000"
        ))?;
        let to = pair.to(family, 4000)?;
        // With room for all that get through: how many do is a matter of how fast they are sent.
        let socket = pair.server.run(|| Ok(UdpSocket::bind(to)?))?;
        send_datagrams(&pair.client, to, 60, 1000)?;
        let queue = Queue::read(&pair.client, DEVICE)?;
        assert!(queue.drops > 20, "{queue:?}");
        Expected {
            packets: queue.drops,
            reason: "QDISC_DROP",
            class: "capacity",
            direction: "transmit",
            protocol: "udp",
            connection_type: "virtual",
            places: &[
                "dev_queue_xmit",
                "dev_xmit_skb",
                "tbf_enqueue",
                "qdisc",
                "kfree_skb_list",
                "tcf_kfree_skb_list",
            ],
        }
        .require(&exporter.scrape()?, &pair.subnet()?.name())?;
        drop(socket);
    }
    Ok(())
}

#[test]
fn a_segment_that_this_host_drops_on_its_way_out_is_found_by_its_flow() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family_with(Cable {
        one_segment_per_packet: true,
        ..Cable::default()
    })?;
    let exporter = start(config)?;
    for (family, pair) in pairs {
        let subnet = pair.subnet()?.name();
        let flow = Flow::open(&pair, family, 443)?;
        nft::drop_matching(&pair.client, "output", "tcp dport 443 numgen random mod 100 < 4")?;
        flow.exchange(1_000_000, 0)?;
        let flows = [flow];
        settle(&flows)?;
        let dropped = nft::dropped(&pair.client)?.packets;
        assert!(dropped > 5);
        let scrape = exporter.scrape()?;
        Expected {
            packets: dropped,
            reason: "NETFILTER_DROP",
            class: "policy",
            direction: "transmit",
            protocol: "tcp",
            connection_type: "virtual",
            places: &["nf_hook_slow", "nft_", "ip_local_out", "ip6_xmit"],
        }
        .require(&scrape, &subnet)?;
        let of = |role| {
            scrape.sum(
                "tcpvitals_tcp_locally_dropped_segments_total",
                &[("subnet", &subnet), ("role", role)],
            )
        };
        assert_eq!((of("client")?, of("server")?), (dropped as f64, 0.0));
    }
    Ok(())
}

#[test]
fn segments_that_the_network_drops_are_not_taken_for_local_ones() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::one_segment_per_packet()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    nft::drop_matching(&pair.server, "prerouting", "tcp dport 443 numgen random mod 100 < 4")?;
    flow.exchange(1_000_000, 0)?;
    let flows = [flow];
    settle(&flows)?;
    let scrape = exporter.scrape()?;
    Expected {
        packets: nft::dropped(&pair.server)?.packets,
        reason: "NETFILTER_DROP",
        class: "policy",
        direction: "receive",
        protocol: "tcp",
        connection_type: "virtual",
        places: &["nf_hook_slow", "nft_", "ip_rcv"],
    }
    .require(&scrape, &subnet)?;
    assert_eq!(
        scrape.sum("tcpvitals_tcp_locally_dropped_segments_total", &[("subnet", &subnet)])?,
        0.0
    );
    Ok(())
}

#[test]
fn a_configuration_ignores_and_classifies_drops() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let more = "drops: {ignore: [{reason: NETFILTER_DROP}], classes: [{class: benign, reason: NO_SOCKET}]}\n";
    let exporter = start(pair.config() + more)?;
    nft::drop_matching(&pair.server, "input", "udp dport 4000")?;
    send_datagrams(&pair.client, pair.to(Family::V4, 4000)?, 5, 100)?;
    send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 6, 100)?;
    Counters::at_rest(&pair.server)?;
    let scrape = exporter.scrape()?;
    let rows = scrape.by(PACKETS, "reason", &[("subnet", &subnet), ("protocol", "udp")])?;
    assert_eq!(rows, [("NO_SOCKET".to_owned(), 6.0)].into());
    let classes = scrape.by(PACKETS, "class", &[("subnet", &subnet), ("protocol", "udp")])?;
    assert_eq!(classes, [("benign".to_owned(), 6.0)].into());
    Ok(())
}

#[test]
fn without_drops_there_is_no_program_and_no_family() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config() + "drops: {enabled: false}\n")?;
    let scrape = exporter.scrape()?;
    assert!(scrape.exposition().samples.keys().all(|series| series.name != PACKETS));
    assert_eq!(
        scrape.sum("tcpvitals_program_attached", &[("program", "kfree_skb")])?,
        0.0
    );
    Ok(())
}
