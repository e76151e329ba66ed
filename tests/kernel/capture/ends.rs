//! How a capture begins and ends: files, counts, times, readers that go, and privileges.

use std::fs;

use anyhow::Result;
use nix::sys::signal::Signal;
use tests::exporter::capture::{Capture, Captured};
use tests::exporter::run;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::nft;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

use super::{PORT, addresses, capture};

#[test]
fn a_count_ends_the_capture_to_the_packet() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let mut capture = capture(&pair, &["--count", "7"])?;
    send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 20, 100)?;
    assert_eq!(capture.summary()?.captured, 7);
    let file = fs::read(capture.folder().join("drops.pcapng"))?;
    assert_eq!(Captured::read(file.as_slice())?.packets.len(), 7);
    Ok(())
}

#[test]
fn a_duration_ends_the_capture() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let mut capture = capture(&pair, &["--duration", "300ms"])?;
    assert_eq!(capture.summary()?.all(), 0);
    let file = fs::read(capture.folder().join("drops.pcapng"))?;
    assert!(Captured::read(file.as_slice())?.packets.is_empty());
    Ok(())
}

#[test]
fn full_files_are_followed_by_others_and_each_is_whole() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let mut capture = capture(&pair, &["--rotate-size", "10KiB", "--rotate-files", "3"])?;
    for _ in 0..12 {
        send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 5, 1000)?;
        // Full files are noticed when the next packet is written.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    capture.signal(Signal::SIGTERM)?;
    assert_eq!(capture.summary()?.all(), 60);
    let mut files: Vec<_> = fs::read_dir(capture.folder())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    assert_eq!(files.len(), 3, "{files:?}");
    let mut packets = 0;
    for file in &files {
        let captured = Captured::read(fs::read(file)?.as_slice())?;
        let counted = captured.counted.map_or(0, |counted| counted.captured);
        assert_eq!(captured.packets.len() as u64, counted);
        packets += captured.packets.len();
    }
    // The oldest are gone.
    assert!((3..60).contains(&packets), "{packets}");
    Ok(())
}

#[test]
fn a_live_reader_sees_a_packet_at_once_and_may_go() -> Result<()> {
    use std::io::Read as _;
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    nft::drop_matching(&pair.server, "input", &format!("udp dport {PORT}"))?;
    let addresses = addresses(&pair)?;
    let (mut capture, mut stdout) = Capture::piped(&["--address", &addresses])?;
    send_datagrams(&pair.client, pair.to(Family::V4, PORT)?, 1, 100)?;
    let mut seen = Vec::new();
    until("the packet to arrive while the capture runs", || {
        let mut more = [0; 4096];
        let length = stdout.read(&mut more)?;
        seen.extend_from_slice(&more[..length]);
        let captured = Captured::read(seen.as_slice());
        Ok(captured.ok().filter(|captured| captured.packets.len() == 1))
    })?;
    drop(stdout);
    assert_eq!(capture.summary()?.captured, 1);
    Ok(())
}

#[test]
fn no_privileges_are_left_while_it_captures() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let capture = capture(&pair, &[])?;
    let status = fs::read_to_string(format!("/proc/{}/status", capture.process()))?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap_or_default();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t1"));
    let (_, summary) = capture.stop()?;
    assert_eq!(summary.tail_drops, 0);
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_with_a_remedy() -> Result<()> {
    let _turn = turn::shared()?;
    for (arguments, code, said) in [
        (&["capture"][..], 2, "--write <FILE>"),
        (&["capture", "-w", "/proc/nowhere/x"], 1, "name a file in a folder"),
        (&["capture", "-w", "-", "--rotate-size", "1MiB"], 2, "name a file"),
        (
            &["capture", "-w", "/dev/null", "--rotate-files", "2"],
            2,
            "needs --rotate-size",
        ),
        (
            &["capture", "-w", "/dev/null", "--class", "bad"],
            2,
            "benign, policy, error, capacity",
        ),
        (
            &["capture", "-w", "/dev/null", "--address", "10.0.0.0/33"],
            2,
            "for example 10.0.0.0/8",
        ),
        (
            &["capture", "--extcap-interface", "eth0", "--extcap-dlts"],
            2,
            "the one there is is tcpvitals",
        ),
    ] {
        let finished = run(arguments)?;
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.stderr.contains(said), "{finished:?}");
    }
    Ok(())
}
