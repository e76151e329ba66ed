//! What waits is bounded, and what does not fit is counted to the packet.

use std::thread;

use anyhow::Result;
use nix::sys::signal::Signal;
use tests::exporter::capture::{Capture, Captured};
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::timed;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

use super::{PORT, addresses, capture};

#[test]
fn what_a_slow_reader_leaves_no_room_for_is_counted() -> Result<()> {
    const QUEUE: u64 = 100;
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let (queue, addresses) = (QUEUE.to_string(), addresses(&pair)?);
    // Datagrams to another port find no socket: they take room in the queue only until the filter is known to refuse them.
    let (mut capture, stdout) =
        Capture::piped(&["--queue", &queue, "--address", &addresses, "--reason", "NETFILTER_DROP"])?;
    for _ in 0..4 {
        send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 500, 1000)?;
        send_datagrams(&pair.client, pair.to(Family::V4, 9)?, 500, 1000)?;
    }
    let dropped = nft::dropped(&pair.server)?.packets;
    assert_eq!(dropped, 2000);
    capture.signal(Signal::SIGTERM)?;
    let reader = thread::spawn(move || Captured::read(stdout));
    let summary = capture.summary()?;
    let captured = reader
        .join()
        .map_err(|_panic| anyhow::anyhow!("the reader panicked"))??;
    assert_eq!(summary.all(), dropped);
    assert_eq!(captured.counted, Some(summary));
    assert_eq!(captured.packets.len() as u64, summary.captured);
    // What fits: the queue, which may hold some that are not wanted, what was being written, and the pipe with its 64 KiB.
    assert!((1..QUEUE + 200).contains(&summary.captured), "{summary:?}");
    Ok(())
}

#[test]
fn a_flood_is_captured_or_counted() -> Result<()> {
    let _turn = turn::alone()?;
    let count = u32::try_from(scaled(200_000))?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "prerouting", &format!("udp dport {PORT}"))?;
    let to = pair.to(Family::V4, PORT)?;
    let (without, result) = timed(|| send_datagrams(&pair.client, to, count, 100));
    result?;
    let before = nft::dropped(&pair.server)?.packets;
    for arguments in [&[][..], &["--snaplen", "96", "--queue", "100000"]] {
        let capture = capture(&pair, arguments)?;
        let seen = nft::dropped(&pair.server)?.packets;
        let (with, result) = timed(|| send_datagrams(&pair.client, to, count, 100));
        result?;
        let dropped = nft::dropped(&pair.server)?.packets - seen;
        let (captured, summary) = capture.stop()?;
        assert_eq!((before, dropped), (count.into(), count.into()));
        assert_eq!(summary.all(), dropped, "{summary:?}");
        assert_eq!(captured.counted, Some(summary));
        assert_eq!(captured.packets.len() as u64, summary.captured);
        let rate = f64::from(count) / with.as_secs_f64();
        say(&format!(
            "{arguments:?}: {rate:.0} drops per second, {:.2} of the time without, {summary:?}",
            with.as_secs_f64() / without.as_secs_f64()
        ));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "shown with --nocapture")]
fn say(figures: &str) {
    eprintln!("{figures}");
}
