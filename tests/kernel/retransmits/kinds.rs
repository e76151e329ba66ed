//! Each kind of retransmission by a script, against the counters of the namespace: their sum is the kernel's total, and each is equal
//! to what the kernel counts of it.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::start;
use tests::kernel::counters::Counters;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::peer::{Connection, Offer, Peer};
use tests::net::subnet::{Subnet, config};

use super::{BYTES, SEGMENTS, split, stage};

/// Segments by kind, each as the kernel counts it in a namespace where nothing was refused and no probe carried new data. What the
/// sender marked lost itself is told by the script.
fn kernels(namespace: &Namespace, others: i64) -> Result<[f64; 4]> {
    let counters = Counters::read(namespace)?;
    let timeouts = counters.get("TcpExtTCPTimeouts")? + counters.get("TcpExtTCPSlowStartRetrans")? - others;
    let probes = counters.get("TcpExtTCPLossProbes")?;
    let fast = counters.get("TcpExtTCPFastRetrans")?;
    assert_eq!(
        timeouts + probes + fast + others,
        counters.repeated_after_handshakes()?,
        "{counters:?}"
    );
    Ok([timeouts, probes, fast, others].map(|count| count as f64))
}

/// Plays a script for a client that has written `segments` of 1000 bytes, all taken, and gives the kinds by us and by the kernel. The
/// script says how many segments the sender marked lost itself.
fn play(
    (namespace, subnet, peer): &(Namespace, Subnet, Peer),
    segments: usize,
    script: impl FnOnce(&mut TcpStream, &mut Connection<'_>) -> Result<i64>,
) -> Result<[[f64; 4]; 2]> {
    let exporter = start(config(&[*subnet]))?;
    let (mut client, mut connection) = peer.accept(namespace, 80, Offer::default())?;
    client.write_all(&vec![1; 1000 * segments])?;
    connection.take(1000 * segments)?;
    let others = script(&mut client, &mut connection)?;
    connection.acknowledge()?;
    let info = TcpInfo::of(&client)?;
    let scrape = exporter.scrape()?;
    let labels = [("subnet", &*subnet.name())];
    assert_eq!(
        scrape.sum(SEGMENTS, &labels)?,
        f64::from(info.total_retrans),
        "{info:?}"
    );
    assert_eq!(scrape.sum(BYTES, &labels)?, info.bytes_retrans as f64, "{info:?}");
    Ok([split(&scrape, &labels)?, kernels(namespace, others)?])
}

/// A namespace with a scripted peer, with the tail loss probe.
fn stage_with_probes() -> Result<(Namespace, Subnet, Peer)> {
    let stage = stage()?;
    stage.0.set("net.ipv4.tcp_early_retrans=3")?;
    Ok(stage)
}

#[test]
fn all_that_follows_a_time_out_is_of_its_kind() -> Result<()> {
    let _turn = turn::shared()?;
    let [ours, kernels] = play(&stage()?, 5, |_, connection| {
        connection.take_again()?;
        // The first acknowledgment after a time-out sets the kernel's count of time-outs in a row back.
        connection.acknowledge_first(1)?;
        connection.take_again()?;
        Ok(0)
    })?;
    assert_eq!(ours, kernels);
    let [timeouts, ..] = ours;
    assert!(timeouts >= 2.0 && ours == [timeouts, 0.0, 0.0, 0.0], "{ours:?}");
    Ok(())
}

#[test]
fn a_lost_tail_is_probed() -> Result<()> {
    let _turn = turn::shared()?;
    let [ours, kernels] = play(&stage_with_probes()?, 3, |_, connection| {
        let (_, end) = connection.take_again()?;
        let tail = connection.last_taken();
        assert_eq!(Some(end), tail.map(|(_, end)| end), "the tail is probed");
        Ok(0)
    })?;
    assert_eq!(ours, kernels);
    // More only where this test had to wait for a processor.
    let [timeouts, probes, fast, other] = ours;
    assert_eq!([probes, fast, other], [1.0, 0.0, 0.0], "and {timeouts} time-outs");
    Ok(())
}

#[test]
fn what_selective_acknowledgments_tell_is_fast_though_a_probe_is_pending() -> Result<()> {
    let _turn = turn::shared()?;
    let [ours, kernels] = play(&stage_with_probes()?, 10, |_, connection| {
        connection.acknowledge_selectively(3)?;
        connection.take_again()?;
        Ok(0)
    })?;
    assert_eq!(ours, kernels);
    let [_, _, fast, other] = ours;
    assert!(fast >= 1.0 && other == 0.0, "{ours:?}");
    Ok(())
}

/// Then a time-out makes of that loss an ordinary one.
#[test]
fn what_is_too_long_for_the_path_is_of_no_other_kind_until_a_time_out() -> Result<()> {
    let _turn = turn::shared()?;
    let stage = stage()?;
    let [ours, kernels] = play(&stage, 3, |client, connection| {
        connection.announce_mtu(700)?;
        let shorter = until("shorter segments", || {
            let info = TcpInfo::of(client)?;
            Ok((info.snd_mss < 1000 && info.total_retrans > 0).then_some(info))
        })?;
        assert_eq!(Counters::read(&stage.0)?.get("TcpExtTCPTimeouts")?, 0);
        until("a time-out", || {
            let counters = Counters::read(&stage.0)?;
            Ok((counters.get("TcpExtTCPTimeouts")? > 0).then_some(()))
        })?;
        Ok(i64::from(shorter.total_retrans))
    })?;
    assert_eq!(ours, kernels);
    let [timeouts, probes, fast, others] = ours;
    assert!(timeouts >= 1.0 && others >= 3.0, "{ours:?}");
    assert_eq!([probes, fast], [0.0, 0.0]);
    Ok(())
}

/// A probe that this host refuses is counted by all kernels; older ones tell of it with the time-out that follows.
#[test]
fn a_probe_that_this_host_refuses_is_a_probe() -> Result<()> {
    let _turn = turn::shared()?;
    let (namespace, subnet, peer) = stage_with_probes()?;
    let exporter = start(config(&[subnet]))?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
    // A probe comes within milliseconds: what is to be refused is said before, by its place.
    nft::drop_matching(
        &namespace,
        "output",
        "tcp dport 80 ip length > 500 numgen inc mod 1000 > 2",
    )?;
    for _ in 0..3 {
        client.write_all(&[1; 1000])?;
    }
    connection.take(3000)?;
    until("a refused probe and a refused time-out", || {
        Ok((TcpInfo::of(&client)?.total_retrans >= 2).then_some(()))
    })?;
    nft::flush(&namespace)?;
    connection.take_again()?;
    // Time for the acknowledgment to be of this transmission.
    sleep(Duration::from_millis(2));
    connection.acknowledge()?;
    let info = TcpInfo::of(&client)?;
    let scrape = exporter.scrape()?;
    let labels = [("subnet", &*subnet.name())];
    let [timeouts, probes, fast, other] = split(&scrape, &labels)?;
    assert_eq!([fast, other], [0.0, 0.0]);
    assert_eq!(timeouts + probes, f64::from(info.total_retrans));
    let counters = Counters::read(&namespace)?;
    // The kernel counts no probe that was refused.
    let refused = counters.get("TcpExtTCPRetransFail")?;
    let timers = counters.get("TcpExtTCPTimeouts")?;
    let probed = counters.get("TcpExtTCPLossProbes")?;
    assert_eq!(
        (refused >= 2, timeouts, probes, probed),
        (true, timers as f64, 1.0, 0),
        "{refused} were refused"
    );
    Ok(())
}
