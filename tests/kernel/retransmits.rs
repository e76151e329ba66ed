//! Retransmissions under loss, against the counters of the namespace; their kinds; spurious ones; handshakes.

mod kinds;
mod spurious;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::scrape::Scrape;
use tests::exporter::start;
use tests::kernel::counters::Counters;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::{Flow, listen, settle};

use crate::account::{End, require_equal};

const SEGMENTS: &str = "tcpvitals_tcp_retransmitted_segments_total";
const BYTES: &str = "tcpvitals_tcp_retransmitted_bytes_total";
const ENTRIES: &str = "tcpvitals_tcp_congestion_events_total";

/// Retransmitted segments by kind: after a time-out, as tail loss probes, fast, others.
fn split(scrape: &Scrape, labels: &[(&str, &str)]) -> Result<[f64; 4]> {
    let of = |kind| scrape.sum(SEGMENTS, &[labels, &[("kind", kind)]].concat());
    Ok([of("timeout")?, of("tail_loss_probe")?, of("fast")?, of("other")?])
}

fn check_random_loss(family: Family, pair: &Pair, percent: u8) -> Result<()> {
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let flows = (0..4)
        .map(|number| Flow::open(pair, family, 5000 + number))
        .collect::<Result<Vec<_>>>()?;
    for namespace in [&pair.client, &pair.server] {
        nft::drop_matching(
            namespace,
            "prerouting",
            &format!("meta l4proto tcp numgen random mod 100 < {percent}"),
        )?;
    }
    for flow in &flows {
        flow.exchange(1_500_000, 300_000)?;
    }
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    assert!(nft::dropped(&pair.server)?.packets > 0);

    for (end, namespace) in End::BOTH.into_iter().zip([&pair.client, &pair.server]) {
        let counters = Counters::read(namespace)?;
        let repeated = counters.repeated_after_handshakes()?;
        let labels = [("subnet", &*subnet), ("role", end.role())];
        let skipped = scrape.by("tcpvitals_events_lost_total", "program", &[])?;
        assert_eq!(
            scrape.sum(SEGMENTS, &labels)?,
            repeated as f64,
            "{end:?}, and the kernel skipped runs of {skipped:?}"
        );
        let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
        let bytes: u64 = sockets.iter().map(|info| info.bytes_retrans).sum();
        assert_eq!(scrape.sum(BYTES, &labels)?, bytes as f64, "{end:?}");
        require_equal(&scrape, &subnet, end, &sockets)?;

        // Each retransmission of the timer is one segment; of probes, some carry new data.
        let [timeout, probes, fast, other] = split(&scrape, &labels)?;
        let after_timeouts = counters.get("TcpExtTCPTimeouts")? + counters.get("TcpExtTCPSlowStartRetrans")?;
        assert_eq!(timeout, after_timeouts as f64, "{end:?}");
        assert_eq!(fast, counters.get("TcpExtTCPFastRetrans")? as f64, "{end:?}");
        assert!(probes <= counters.get("TcpExtTCPLossProbes")? as f64, "{end:?}");
        assert_eq!(other, 0.0, "{end:?}");
        let entries = |state| scrape.sum(ENTRIES, &[labels[0], labels[1], ("state", state)]);
        assert_eq!(
            entries("recovery")?,
            counters.get("TcpExtTCPSackRecovery")? as f64,
            "{end:?}"
        );
        if timeout > 0.0 {
            assert!(entries("loss")? > 0.0, "{end:?}");
        }
    }
    Ok(())
}

#[test]
fn retransmitted_segments_under_random_loss_equal_the_namespaces_over_ipv4() -> Result<()> {
    let _turn = turn::shared()?;
    check_random_loss(Family::V4, &Pair::one_segment_per_packet()?, 2)
}

#[test]
fn retransmitted_segments_under_random_loss_equal_the_namespaces_over_ipv6_in_large_packets() -> Result<()> {
    let _turn = turn::shared()?;
    check_random_loss(Family::V6, &Pair::new()?, 5)
}

/// A namespace with a scripted peer, without the tail-loss probe.
fn stage() -> Result<(Namespace, Subnet, Peer)> {
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_early_retrans=0")?;
    let subnet = Subnet::take()?;
    let peer = Peer::new(&namespace, subnet)?;
    Ok((namespace, subnet, peer))
}

#[test]
fn what_a_time_out_sends_again_is_of_its_kind() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]))?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    client.write_all(&[1; 500])?;
    connection.take(500)?;
    connection.take_again()?;
    connection.take_again()?;
    connection.acknowledge()?;
    let info = TcpInfo::of(&client)?;
    // More than twice only where this test had to wait for a processor.
    assert!(info.total_retrans >= 2, "{info:?}");
    let scrape = exporter.scrape()?;
    let labels = [("subnet", &*subnet.name())];
    assert_eq!(split(&scrape, &labels)?, [f64::from(info.total_retrans), 0.0, 0.0, 0.0]);
    assert_eq!(scrape.sum(BYTES, &labels)?, info.bytes_retrans as f64);
    assert_eq!(
        scrape.sum(ENTRIES, &[("subnet", &subnet.name()), ("state", "loss")])?,
        1.0
    );
    Ok(())
}

#[test]
fn what_duplicate_acknowledgments_make_a_sender_repeat_is_fast() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]))?;
    let offer = Offer {
        sack: false,
        ..Offer::default()
    };
    let (mut client, mut connection) = peer.accept(&namespace, 80, offer)?;
    client.write_all(&[1; 10_000])?;
    connection.take(10_000)?;
    connection.repeat_acknowledgment(3)?;
    connection.take_again()?;
    connection.acknowledge()?;
    let info = TcpInfo::of(&client)?;
    assert_eq!((info.total_retrans, info.bytes_retrans), (1, 1000));
    let scrape = exporter.scrape()?;
    assert_eq!(split(&scrape, &[("subnet", &*subnet.name())])?, [0.0, 0.0, 1.0, 0.0]);
    let entries = |state| scrape.sum(ENTRIES, &[("subnet", &subnet.name()), ("state", state)]);
    assert_eq!((entries("recovery")?, entries("loss")?), (1.0, 0.0));
    Ok(())
}

#[test]
fn a_spurious_retransmission_shows_as_a_dsack() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]))?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    client.write_all(&[1; 500])?;
    connection.take(500)?;
    let twice = connection.take_again()?;
    connection.acknowledge_with_dsack(twice)?;
    assert_eq!(TcpInfo::of(&client)?.dsack_dups, 1);
    assert_eq!(
        exporter
            .scrape()?
            .sum("tcpvitals_tcp_dsacks_total", &[("subnet", &subnet.name())])?,
        1.0
    );
    Ok(())
}

/// What this host itself refuses to send is not reported by older kernels, but counted by all.
#[test]
fn what_this_host_refuses_to_send_again_keeps_its_kind() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]))?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    client.write_all(&[1; 500])?;
    connection.take(500)?;
    connection.take_again()?;
    nft::drop_matching(&namespace, "output", "tcp dport 80")?;
    let least = until("two refused retransmissions", || {
        let refused = nft::dropped(&namespace)?.packets;
        Ok((refused >= 2).then_some(refused))
    })?;
    nft::flush(&namespace)?;
    connection.take_again()?;
    connection.acknowledge()?;
    let info = TcpInfo::of(&client)?;
    // A time-out may come between the look at the filter and its end.
    let refused = Counters::read(&namespace)?.get("TcpExtTCPRetransFail")?;
    assert!(u64::try_from(refused)? >= least, "{refused} and {least}");
    let scrape = exporter.scrape()?;
    let subnet = subnet.name();
    let labels = [("subnet", &*subnet)];
    assert_eq!(split(&scrape, &labels)?, [f64::from(info.total_retrans), 0.0, 0.0, 0.0]);
    assert_eq!(scrape.sum(BYTES, &labels)?, info.bytes_retrans as f64);
    let dropped = "tcpvitals_tcp_locally_dropped_segments_total";
    assert_eq!(scrape.sum(dropped, &[("subnet", &subnet)])?, refused as f64);
    Ok(())
}

/// A SYN that is refused was sent again all the same, says the kernel; a SYN-ACK was not.
#[test]
fn syns_and_syn_acks_that_this_host_refuses_are_locally_dropped() -> Result<()> {
    let _turn = turn::shared()?;
    for (role, flags) in [("client", "syn"), ("server", "syn | ack")] {
        let pair = Pair::new()?;
        let subnet = pair.subnet()?.name();
        let exporter = start(pair.config())?;
        let to = pair.to(Family::V4, 443)?;
        let listener = listen(&pair.server, to)?;
        let refusing = if role == "client" { &pair.client } else { &pair.server };
        nft::drop_matching(refusing, "output", &format!("tcp flags & (syn | ack) == {flags}"))?;
        let wait = Duration::from_millis(3_400);
        assert!(pair.client.run(|| Ok(TcpStream::connect_timeout(&to, wait).is_err()))?);
        // A server answers again and again, though nobody waits for it any more.
        let (refused, scrape) = until("nothing to be refused while it is counted", || {
            let refused = nft::dropped(refusing)?.packets;
            let scrape = exporter.scrape()?;
            Ok((nft::dropped(refusing)?.packets == refused).then_some((refused, scrape)))
        })?;
        assert!(refused > 1, "{refused}");
        let labels = [("subnet", &*subnet), ("role", role), ("app_protocol", "https")];
        let dropped = "tcpvitals_tcp_locally_dropped_segments_total";
        assert_eq!(scrape.sum(dropped, &labels)?, refused as f64, "{role}");
        for (namespace, segment) in [(&pair.client, "syn"), (&pair.server, "synack")] {
            let labels = [("subnet", &*subnet), ("segment", segment)];
            let repeated = Counters::read(namespace)?.get("TcpExtTCPSynRetrans")?;
            assert_eq!(
                scrape.sum("tcpvitals_tcp_handshake_retransmits_total", &labels)?,
                repeated as f64,
                "{role}, {segment}"
            );
            assert_eq!(repeated > 0, segment == "syn", "{role}, {segment}");
        }
        drop(listener);
    }
    Ok(())
}

#[test]
fn repeated_syns_and_syn_acks_are_counted_apart_from_data() -> Result<()> {
    let _turn = turn::shared()?;
    for (end, segment) in [("server", "syn"), ("client", "synack")] {
        let pair = Pair::new()?;
        let subnet = pair.subnet()?.name();
        let exporter = start(pair.config())?;
        let (dropping, flags) = match end {
            "server" => (&pair.server, "syn"),
            _ => (&pair.client, "syn | ack"),
        };
        // The first one of each two is lost.
        nft::drop_matching(
            dropping,
            "prerouting",
            &format!("tcp flags & (syn | ack) == {flags} numgen inc mod 2 == 0"),
        )?;
        let flow = Flow::open(&pair, Family::V4, 80)?;
        settle(&[flow])?;
        let scrape = exporter.scrape()?;
        let syns = Counters::read(&pair.client)?.get("TcpExtTCPSynRetrans")?;
        let answers = Counters::read(&pair.server)?.get("TcpExtTCPSynRetrans")?;
        assert!(
            if segment == "syn" {
                syns == 1 && answers == 0
            } else {
                answers > 0
            },
            "{syns} {answers}"
        );
        let handshake = "tcpvitals_tcp_handshake_retransmits_total";
        assert_eq!(
            scrape.sum(handshake, &[("subnet", &subnet), ("segment", "syn")])?,
            syns as f64
        );
        assert_eq!(
            scrape.sum(handshake, &[("subnet", &subnet), ("segment", "synack")])?,
            answers as f64
        );
        assert_eq!(scrape.sum(SEGMENTS, &[("subnet", &subnet)])?, 0.0);
    }
    Ok(())
}
