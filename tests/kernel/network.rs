//! What a network does to a flow, as netem(8) does it: delay, jitter, loss, reordering, duplication. Where the kernel does not
//! have it, nothing is tested. Marking is done by a packet filter, so it is tested everywhere.

use std::io::{ErrorKind, Read as _, Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::SockRef;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::{Counters, Queue};
use tests::kernel::kernel_facts::{add_queue, skip};
use tests::machine::turn;
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{Ends, Flow, settle};

use crate::account::{End, require_equal};

const ENTRIES: &str = "tcpvitals_tcp_congestion_events_total";
const SEGMENTS: &str = "tcpvitals_tcp_retransmitted_segments_total";

/// Makes a network of the client's way out; `false`, and a word about it, where the kernel cannot.
fn netem(pair: &Pair, what: &str) -> Result<bool> {
    // Under a limit of its own, so that it loses nothing by itself.
    add_queue(&pair.client, DEVICE, &format!("netem limit 100000 {what}"))
}

/// Says something and waits for the answer, so many times: each segment is acknowledged at once.
fn talk(flow: &Flow, rounds: u32) -> Result<()> {
    let mut answer = [0; 100];
    let (mut client, mut server) = (&flow.client, &flow.server);
    for _ in 0..rounds {
        client.write_all(&[1; 100])?;
        server.read_exact(&mut answer)?;
        server.write_all(&answer)?;
        client.read_exact(&mut answer)?;
    }
    Ok(())
}

/// The round trips and handshakes of a flow over a network with this delay, in milliseconds, more or less `jitter`.
fn check_delay(family: Family, delay: f64, jitter: f64) -> Result<()> {
    const ROUNDS: u32 = 12;
    let pair = Pair::new()?;
    if !netem(&pair, &format!("delay {delay}ms {jitter}ms"))? {
        return Ok(());
    }
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let flow = Flow::open(&pair, family, 443)?;
    talk(&flow, ROUNDS)?;
    let flows = [flow];
    settle(&flows)?;
    let scrape = exporter.scrape()?;

    let client = [("subnet", &*subnet), ("role", "client")];
    let rtt = scrape.histogram("tcpvitals_tcp_rtt_seconds", &client)?;
    let least = scrape.sum("tcpvitals_tcp_rtt_min_seconds", &client)?;
    let most = scrape.sum("tcpvitals_tcp_rtt_max_seconds", &client)?;
    let near = |seconds: f64, from: f64, to: f64| seconds * 1e3 > from * 0.9 && seconds * 1e3 < to * 1.1;
    let said = format!("{} s in {}, {least} s to {most} s", rtt.sum, rtt.count);
    // The handshake's is one more; the last one is taken when the flow closes.
    assert_eq!(rtt.count, f64::from(ROUNDS), "{said}");
    assert!(near(rtt.sum / rtt.count, delay, delay), "{said}");
    assert!(near(least, delay - jitter, delay), "{said}");
    assert!(near(most, delay, delay + jitter), "{said}");
    if jitter > 0.0 {
        assert!(most - least > jitter / 1e3 / 4.0, "{said}");
    }
    for end in End::BOTH {
        let labels = [("subnet", &*subnet), ("role", end.role())];
        let handshake = scrape.histogram("tcpvitals_tcp_handshake_seconds", &labels)?;
        assert_eq!(handshake.count, 1.0, "{end:?}");
        assert!(
            near(handshake.sum, delay - jitter, delay + jitter),
            "{end:?}: {} s",
            handshake.sum
        );
    }
    Ok(())
}

#[test]
fn a_networks_delay_is_the_round_trip() -> Result<()> {
    let _turn = turn::shared()?;
    check_delay(Family::V4, 400.0, 0.0)?;
    check_delay(Family::V6, 400.0, 0.0)
}

#[test]
fn a_networks_jitter_shows_in_least_and_most() -> Result<()> {
    let _turn = turn::shared()?;
    check_delay(Family::V4, 400.0, 100.0)
}

/// Sends a megabyte over a network and requires that every account agrees with the kernel's.
fn over(pair: &Pair, exporter: &Exporter<'_>, flow: Flow) -> Result<(Scrape, Ends)> {
    let subnet = pair.subnet()?.name();
    flow.exchange(1_000_000, 20_000)?;
    let flows = [flow];
    let [ends] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let scrape = exporter.scrape()?;
    for (end, namespace) in End::BOTH.into_iter().zip([&pair.client, &pair.server]) {
        require_equal(&scrape, &subnet, end, &[end.of(&ends)])?;
        let repeated = Counters::read(namespace)?.repeated_after_handshakes()?;
        let labels = [("subnet", &*subnet), ("role", end.role())];
        assert_eq!(scrape.sum(SEGMENTS, &labels)?, repeated as f64, "{end:?}");
    }
    Ok((scrape, ends))
}

/// The same with a new pair and flow, over IPv4 and IPv6.
fn over_network(what: &str, then: impl Fn(&Pair, &Scrape, &Ends) -> Result<()>) -> Result<()> {
    let _turn = turn::shared()?;
    for family in [Family::V4, Family::V6] {
        let pair = Pair::one_segment_per_packet()?;
        let exporter = start(pair.config())?;
        let flow = Flow::open(&pair, family, 443)?;
        if !netem(&pair, what)? {
            return Ok(());
        }
        let (scrape, ends) = over(&pair, &exporter, flow)?;
        then(&pair, &scrape, &ends)?;
    }
    Ok(())
}

#[test]
fn what_a_network_here_loses_is_dropped_here_and_sent_again() -> Result<()> {
    over_network("delay 5ms loss 3%", |pair, scrape, _| {
        let dropped = Queue::read(&pair.client, DEVICE)?.drops as f64;
        assert!(dropped > 5.0, "{dropped}");
        let subnet = pair.subnet()?.name();
        let ours = [("subnet", &*subnet), ("protocol", "tcp"), ("direction", "transmit")];
        assert_eq!(scrape.sum("tcpvitals_dropped_packets_total", &ours)?, dropped);
        let sent_again = scrape.sum(SEGMENTS, &[("subnet", &*subnet), ("role", "client")])?;
        assert!(sent_again > 0.0, "{dropped}");
        Ok(())
    })
}

#[test]
fn segments_that_a_network_reorders_are_seen_at_both_ends() -> Result<()> {
    over_network("delay 10ms reorder 75% 25%", |_, _, ends| {
        assert!(ends.server.rcv_ooopack > 0, "{ends:?}");
        assert!(ends.client.reord_seen > 0, "{ends:?}");
        Ok(())
    })
}

#[test]
fn segments_that_a_network_doubles_come_back_as_dsacks() -> Result<()> {
    over_network("duplicate 20%", |_, _, ends| {
        assert!(ends.client.dsack_dups > 0, "{ends:?}");
        Ok(())
    })
}

#[test]
fn every_congestion_control_recovers_as_often_as_the_kernel_says() -> Result<()> {
    let _turn = turn::shared()?;
    for algorithm in ["cubic", "bbr"] {
        let pair = Pair::one_segment_per_packet()?;
        let subnet = pair.subnet()?.name();
        let exporter = start(pair.config())?;
        let flow = Flow::open(&pair, Family::V4, 443)?;
        if let Err(error) = SockRef::from(&flow.client).set_tcp_congestion(algorithm.as_bytes()) {
            ensure!(error.kind() == ErrorKind::NotFound, "{algorithm}: {error}");
            skip(&format!("this kernel has no congestion control {algorithm}"));
            continue;
        }
        nft::drop_matching(&pair.server, "prerouting", "tcp dport 443 numgen random mod 100 < 2")?;
        let (scrape, _) = over(&pair, &exporter, flow)?;
        let algorithms = scrape.by("tcpvitals_tcp_connections_by_algorithm", "algorithm", &[])?;
        assert!(
            algorithms.get(algorithm).is_some_and(|&count| count >= 1.0),
            "{algorithms:?}"
        );
        let recoveries = Counters::read(&pair.client)?.get("TcpExtTCPSackRecovery")?;
        let labels = [("subnet", &*subnet), ("role", "client"), ("state", "recovery")];
        assert_eq!(scrape.sum(ENTRIES, &labels)?, recoveries as f64, "{algorithm}");
        assert!(recoveries > 0, "{algorithm}");
    }
    Ok(())
}

#[test]
fn marked_segments_are_those_that_the_sender_hears_of() -> Result<()> {
    let _turn = turn::shared()?;
    for family in [Family::V4, Family::V6] {
        let pair = Pair::one_segment_per_packet()?;
        for namespace in [&pair.client, &pair.server] {
            namespace.set("net.ipv4.tcp_ecn=1")?;
        }
        let exporter = start(pair.config())?;
        let flow = Flow::open(&pair, family, 443)?;
        // Linux 7.2 lets a filter write to some places of an IPv6 header only, and breaks off a rule that wants another. The
        // second byte by itself, which `ip6 ecn set ce` writes, is not among them; the first two together are.
        let (header, mark) = match family {
            Family::V4 => ("ip", "ip ecn set ce"),
            Family::V6 => ("ip6", "@nh,0,16 set @nh,0,16 | 0x30"),
        };
        nft::load(
            &pair.server,
            &format!(
                "table inet congested {{\n\
                 \x20 counter marked {{ }}\n\
                 \x20 chain marking {{\n\
                 \x20   type filter hook prerouting priority 0; policy accept;\n\
                 \x20   tcp dport 443 {header} ecn ect0 numgen inc mod 20 == 0 {mark}\n\
                 \x20   tcp dport 443 {header} ecn ce counter name marked\n\
                 \x20 }}\n\
                 }}\n"
            ),
        )?;
        let (scrape, ends) = over(&pair, &exporter, flow)?;
        let counted = nft::counters(&pair.server)?;
        let marked = counted.get("marked").context("no counter named `marked`")?.packets;
        assert!(marked > 0, "{family:?}: the filter marks nothing");
        assert!(ends.client.delivered_ce > 0, "{ends:?}");
        let subnet = pair.subnet()?.name();
        let labels = [("subnet", &*subnet), ("role", "client"), ("state", "cwr")];
        assert!(scrape.sum(ENTRIES, &labels)? > 0.0, "{ends:?}");
    }
    Ok(())
}
