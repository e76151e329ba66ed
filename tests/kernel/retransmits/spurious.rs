//! Recoveries that the sender undoes, because nothing had been lost, against the counters of the namespace.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::start;
use tests::kernel::counters::Counters;
use tests::machine::turn;
use tests::net::peer::{Connection, Offer};
use tests::net::subnet::config;

use super::stage;

const UNDONE: &str = "tcpvitals_tcp_spurious_recoveries_total";
/// It is not shown by default.
const SHOWN: &str = "metrics: {include: [tcpvitals_*, process_*]}\n";

/// Recoveries and time-outs that were undone, by us and by the kernel, after a script for a client that has written ten segments.
fn play(offer: Offer, script: impl FnOnce(&mut TcpStream, &mut Connection<'_>) -> Result<()>) -> Result<[[f64; 2]; 2]> {
    let (namespace, subnet, peer) = stage()?;
    let exporter = start(config(&[subnet]) + SHOWN)?;
    let (mut client, mut connection) = peer.accept(&namespace, 80, offer)?;
    let bytes = 10 * connection.segment_size();
    client.write_all(&vec![1; bytes])?;
    connection.take(bytes)?;
    script(&mut client, &mut connection)?;
    let scrape = exporter.scrape()?;
    let counters = Counters::read(&namespace)?;
    let of = |state| scrape.sum(UNDONE, &[("subnet", &*subnet.name()), ("state", state)]);
    let ours = [of("recovery")?, of("loss")?];
    let recoveries = ["FullUndo", "PartialUndo", "DSACKUndo"]
        .map(|name| counters.get(&format!("TcpExtTCP{name}")))
        .into_iter()
        .sum::<Result<i64>>()?;
    Ok([ours, [recoveries as f64, counters.get("TcpExtTCPLossUndo")? as f64]])
}

/// What was sent once only is acknowledged: F-RTO (RFC 5682).
#[test]
fn a_time_out_for_nothing_is_undone() -> Result<()> {
    let _turn = turn::shared()?;
    let [ours, kernels] = play(Offer::default(), |_, connection| {
        connection.take_again()?;
        connection.acknowledge()
    })?;
    assert_eq!(ours, kernels);
    assert_eq!(ours, [0.0, 1.0]);
    Ok(())
}

/// The peer echoes a time stamp from before the retransmission (RFC 3522).
#[test]
fn a_fast_retransmission_for_nothing_is_undone() -> Result<()> {
    let _turn = turn::shared()?;
    let offer = Offer {
        timestamps: true,
        ..Offer::default()
    };
    let [ours, kernels] = play(offer, |_, connection| {
        // Time stamps are in milliseconds.
        sleep(Duration::from_millis(20));
        connection.acknowledge_selectively(3)?;
        connection.acknowledge()
    })?;
    assert_eq!(ours, kernels);
    assert_eq!(ours, [1.0, 0.0]);
    Ok(())
}

#[test]
fn real_losses_are_not_undone() -> Result<()> {
    let _turn = turn::shared()?;
    let [ours, kernels] = play(Offer::default(), |_, connection| {
        connection.acknowledge_selectively(3)?;
        connection.take_again()?;
        connection.acknowledge()
    })?;
    assert_eq!(ours, kernels);
    // A time-out for nothing comes where this test has to wait for a processor.
    assert_eq!(ours[0], 0.0);
    Ok(())
}

#[test]
fn a_real_time_out_is_not_undone() -> Result<()> {
    let _turn = turn::shared()?;
    let [ours, kernels] = play(Offer::default(), |_, connection| {
        connection.take_again()?;
        connection.acknowledge_first(1)?;
        connection.take_again()?;
        connection.acknowledge_first(1)?;
        connection.take_again()?;
        connection.acknowledge()
    })?;
    assert_eq!(ours, kernels);
    Ok(())
}
