//! Packets that XDP drops because something failed: each counted once, under its program and what failed, and not once more where
//! the network stack frees it.

use std::time::Duration;

use anyhow::{Result, bail};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::machine::turn;
use tests::machine::wait::until_stable;
use tests::net::devices::xdp::{Mode, Verdict, Xdp};
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::send_datagrams;

const PACKETS: &str = "tcpvitals_dropped_packets_total";
/// The headers of Ethernet, IPv4 and UDP.
const HEADERS: i32 = 14 + 20 + 8;
/// Unlike that of any packet that a network makes by itself.
const PAYLOAD: i32 = 777;
const SENT: u32 = 50;

/// Sends [`SENT`] datagrams to a device on which the program runs, and waits until the exporter has no more to say.
fn send_through(pair: &Pair, exporter: &Exporter<'_>, mode: Mode, program: (&str, Verdict)) -> Result<Scrape> {
    let xdp = Xdp::attach(&pair.server, DEVICE, mode, program, HEADERS + PAYLOAD)?;
    send_datagrams(
        &pair.client,
        pair.to(Family::V4, 9)?,
        SENT,
        PAYLOAD.unsigned_abs() as usize,
    )?;
    let subnet = pair.subnet()?.name();
    let (name, _) = program;
    let ours = || -> Result<_> {
        let scrape = exporter.scrape()?;
        let counted = (
            scrape.sum(PACKETS, &[("location", name)])?,
            scrape.sum(PACKETS, &[("subnet", &subnet)])?,
        );
        Ok((counted, scrape))
    };
    until_stable("the counts of XDP", Duration::from_millis(150), || Ok(ours()?.0))?;
    drop(xdp);
    Ok(ours()?.1)
}

#[test]
fn a_failure_of_xdp_counts_each_packet_once() -> Result<()> {
    let _turn = turn::shared()?;
    for mode in [Mode::Generic, Mode::Driver] {
        for (verdict, reason) in [
            (Verdict::Return(77), "INVALID_ACTION"),
            (Verdict::Return(0), "XDP_ABORTED"),
            (Verdict::Redirect(99_999), "EINVAL"),
        ] {
            let pair = Pair::new()?;
            let exporter = start(pair.config())?;
            let scrape = send_through(&pair, &exporter, mode, ("failing", verdict))?;
            let rows: Vec<_> = scrape.matching(PACKETS, &[("location", "failing")]).collect();
            let [(series, packets)] = rows.as_slice() else {
                panic!("{mode:?}, {verdict:?}: {rows:#?}");
            };
            assert_eq!(*packets, f64::from(SENT), "{mode:?}, {verdict:?}");
            for (label, value) in [
                ("source", "xdp"),
                ("reason", reason),
                ("class", "error"),
                ("protocol", "other"),
                ("direction", "receive"),
                ("subnet", "none"),
                ("connection_type", "virtual"),
            ] {
                assert_eq!(series.labels.get(label).map(String::as_str), Some(value), "{series:?}");
            }
            // The network stack frees these packets, but has not dropped them.
            let stack = scrape.sum(PACKETS, &[("subnet", &pair.subnet()?.name())])?;
            assert_eq!(stack, 0.0, "{mode:?}, {verdict:?}");
            // Nobody says how long they were.
            let bytes = scrape.matching("tcpvitals_dropped_bytes_total", &[("source", "xdp")]);
            assert_eq!(bytes.count(), 0);
        }
    }
    Ok(())
}

/// By the tracepoint that serves both, also on the kernels that have one of its own for maps.
#[test]
fn a_redirect_through_a_map_counts_once_when_it_fails() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    pair.server.exec("ip link add name idle type veth")?;
    let idle = pair.server.run(|| Ok(nix::net::if_::if_nametoindex("idle")?))?;
    let exporter = start(pair.config())?;
    let program = ("mapped", Verdict::RedirectThroughMap(idle));
    let scrape = send_through(&pair, &exporter, Mode::Generic, program)?;
    let reasons = scrape.by(PACKETS, "reason", &[("location", "mapped"), ("source", "xdp")])?;
    assert_eq!(reasons, [("ENETDOWN".to_owned(), f64::from(SENT))].into());
    assert_eq!(scrape.sum(PACKETS, &[("subnet", &pair.subnet()?.name())])?, 0.0);
    Ok(())
}

/// What a program drops on purpose is no failure: only the network stack tells of it, where it has the packet.
#[test]
fn what_an_xdp_program_drops_is_of_software() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let failed = ("failed", Verdict::Return(0));
    send_through(&pair, &exporter, Mode::Generic, failed)?;
    let scrape = send_through(&pair, &exporter, Mode::Generic, ("dropping", Verdict::Return(1)))?;
    assert_eq!(scrape.sum(PACKETS, &[("location", "dropping")])?, 0.0);
    let sources = scrape.by(PACKETS, "source", &[("subnet", &pair.subnet()?.name())])?;
    assert_eq!(sources, [("software".to_owned(), f64::from(SENT))].into());
    Ok(())
}

/// Requires that all packets of the test are counted once, at this place and for this reason.
fn require_once(scrape: &Scrape, pair: &Pair, place: &str, reason: &str) -> Result<()> {
    let labels = [("location", place), ("reason", reason)];
    let rows: Vec<_> = scrape.matching(PACKETS, &labels).collect();
    let [(series, packets)] = rows.as_slice() else {
        bail!("{place}: {rows:#?}");
    };
    assert_eq!(*packets, f64::from(SENT), "{series:?}");
    for (label, value) in [("source", "xdp"), ("connection_type", "virtual"), ("class", "error")] {
        assert_eq!(series.labels.get(label).map(String::as_str), Some(value), "{series:?}");
    }
    assert_eq!(scrape.sum(PACKETS, &[("subnet", &pair.subnet()?.name())])?, 0.0);
    Ok(())
}

/// The other end of the cable takes no packets from XDP: it has neither a program nor GRO.
#[test]
fn what_cannot_be_sent_back_counts_where_it_is_sent_together() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let scrape = send_through(&pair, &exporter, Mode::Driver, ("returning", Verdict::Return(3)))?;
    require_once(&scrape, &pair, "xdp_bulk_tx", "ENXIO")
}

#[test]
fn what_cannot_be_sent_on_counts_where_it_is_sent_together() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    pair.server.exec("ip link add name near type veth peer name far")?;
    // With a program at the other end the device takes packets from XDP, but while that end is down none gets through.
    let _far = Xdp::attach(&pair.server, "far", Mode::Driver, ("passing", Verdict::Return(2)), 1)?;
    pair.server.exec("ip link set dev near up")?;
    let near = pair.server.run(|| Ok(nix::net::if_::if_nametoindex("near")?))?;
    let exporter = start(pair.config())?;
    let program = ("redirecting", Verdict::RedirectThroughMap(near));
    let scrape = send_through(&pair, &exporter, Mode::Driver, program)?;
    require_once(&scrape, &pair, "xdp_devmap_xmit", "ENXIO")
}
