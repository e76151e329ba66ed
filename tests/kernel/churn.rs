//! Many short connections: none lost, none counted twice, and no scrape that fails or shows a counter that fell.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch, start};
use tests::kernel::counters::Counters;
use tests::kernel::skipped::Skipped;
use tests::machine::settings::{rest, scaled};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Ending, churn};

use crate::account::End;
use crate::shards::ONE_SHARD;

/// Two ports of both families, so that ports do not run out.
fn targets(pair: &Pair) -> Result<Vec<SocketAddr>> {
    [
        (Family::V4, 7001),
        (Family::V6, 7001),
        (Family::V4, 7002),
        (Family::V6, 7002),
    ]
    .into_iter()
    .map(|(family, port)| pair.to(family, port))
    .collect()
}

/// Fewest scrapes that a test waits for.
const SCRAPES: u32 = 5;

/// Scrapes without a pause until told to stop, and requires of each that nothing fell. Counts the scrapes.
fn scrape_until(exporter: &Exporter<'_>, stop: &AtomicBool, scrapes: &AtomicU32) -> Result<()> {
    let mut last: Option<Scrape> = None;
    while !stop.load(Ordering::Relaxed) {
        let scrape = exporter.scrape()?;
        if let Some(last) = &last {
            scrape.require_no_fall_since(last)?;
        }
        last = Some(scrape);
        scrapes.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Opens and closes connections while scrapes run, as long as `more` says so and until there were some scrapes, which take
/// their time on a busy machine. Gives how many connections were made.
fn churn_under_scrapes(
    exporter: &Exporter<'_>,
    pair: &Pair,
    ending: Ending,
    more: impl Fn(u64) -> bool + Sync,
) -> Result<u64> {
    let (stop, scrapes) = (AtomicBool::new(false), AtomicU32::new(0));
    let targets = targets(pair)?;
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let ended = scrape_until(exporter, &stop, &scrapes);
            // Whether it was told to stop or failed, nobody has to wait for more.
            scrapes.fetch_max(SCRAPES, Ordering::Relaxed);
            ended
        });
        let made = churn(pair, &targets, 4, ending, |number| {
            more(number) || {
                thread::sleep(rest());
                scrapes.load(Ordering::Relaxed) < SCRAPES
            }
        });
        stop.store(true, Ordering::Relaxed);
        scraper
            .join()
            .unwrap_or_else(|_| bail!("the scraping thread panicked"))?;
        made
    })
}

/// Requires that both ends' connections were all counted, once they are all over.
///
/// A connection whose end is missed stays open to the exporter until its socket is gone, and then is no more.
fn check_made(exporter: &Exporter<'_>, pair: &Pair, made: u64) -> Result<()> {
    let subnet = pair.subnet()?.name();
    let made = made as f64;
    let closed = until("the last connection to be counted as closed", || {
        let scrape = exporter.scrape()?;
        let closed = scrape.sum("tcpvitals_tcp_connections_closed_total", &[("subnet", &subnet)])?;
        Ok((closed + Skipped::of(&scrape)?.runs() >= 2.0 * made).then_some(()))
    });
    let scrape = exporter.scrape()?;
    closed.with_context(|| {
        let of = |name: &str| scrape.by(name, "role", &[("subnet", &*subnet)]);
        format!(
            "of {made}: opened {:?}, closed {:?}, live {:?}, untracked {:?}, skipped {:?}",
            of("tcpvitals_tcp_connections_opened_total"),
            of("tcpvitals_tcp_connections_closed_total"),
            of("tcpvitals_tcp_connections"),
            scrape.sum("tcpvitals_flows_untracked_total", &[]),
            scrape.by("tcpvitals_events_lost_total", "program", &[]),
        )
    })?;
    let skipped = Skipped::of(&scrape)?;
    for end in End::BOTH {
        let labels = [("subnet", &*subnet), ("role", end.role())];
        for metric in ["opened", "closed"] {
            let counted = scrape.sum(&format!("tcpvitals_tcp_connections_{metric}_total"), &labels)?;
            skipped.require(counted, made, 1.0, (metric, end));
        }
        assert_eq!(scrape.sum("tcpvitals_tcp_connections", &labels)?, 0.0, "{end:?}");
        let durations = scrape.histogram("tcpvitals_tcp_connection_duration_seconds", &labels)?;
        skipped.require(durations.count, made, 1.0, ("duration", end));
    }
    assert_eq!(scrape.sum("tcpvitals_flows_untracked_total", &[])?, 0.0);
    Ok(())
}

/// What an end of a short connection sends or receives at most, with some sent twice: that much is missing with its close.
const SEGMENTS: f64 = 8.0;

/// The segments of both namespaces, which carried nothing else, against the two groups.
///
/// Where the server's FIN overtakes its acknowledgment, a TIME-WAIT socket of the client answers: a segment of no connection
/// there. The server counts it as received, or, if its own socket is gone, answers it with a reset. On a machine so slow that
/// timers run out, segments are sent again, which `OutSegs` leaves out (RFC 4022).
fn check_segments(exporter: &Exporter<'_>, pair: &Pair, made: u64) -> Result<()> {
    let subnet = pair.subnet()?.name();
    let (client, server) = (Counters::at_rest(&pair.client)?, Counters::at_rest(&pair.server)?);
    let scrape = exporter.scrape()?;
    let made = made as f64;
    let segments = |role, direction| {
        let labels = [("subnet", &*subnet), ("role", role), ("direction", direction)];
        scrape.sum("tcpvitals_tcp_segments_total", &labels)
    };
    let resets = server.get("TcpOutRsts")?;
    let received = segments("server", "receive")?;
    let sent_by = |counters: &Counters| anyhow::Ok(counters.get("TcpOutSegs")? + counters.repeated_after_handshakes()?);
    let skipped = Skipped::of(&scrape)?;
    let expected = (sent_by(&client)? - resets) as f64;
    skipped.require(received, expected, SEGMENTS, "received by the server");
    // SYN-ACKs are sent before there is a connection.
    let handshakes = [("subnet", &*subnet), ("segment", "synack")];
    let repeated = scrape.sum("tcpvitals_tcp_handshake_retransmits_total", &handshakes)?;
    let expected = (sent_by(&server)? - resets) as f64 - made - repeated;
    skipped.require(
        segments("server", "transmit")?,
        expected,
        SEGMENTS,
        "sent by the server",
    );
    // SYN, ACK, FIN, ACK; more only where one had to be sent again, perhaps to a socket that was gone.
    let sent = segments("client", "transmit")?;
    let missing = SEGMENTS * skipped.runs();
    let most = sent_by(&client)? as f64;
    assert!(4.0 * made - missing <= sent && sent <= most, "{sent} of {most}");
    Ok(())
}

#[test]
fn twenty_thousand_short_connections_are_counted_exactly_while_scrapes_run() -> Result<()> {
    check_churn(&[])
}

/// What machines with more than sixteen processors do: several add to the same counters.
#[test]
fn twenty_thousand_short_connections_are_counted_exactly_where_processors_share_counters() -> Result<()> {
    check_churn(&[ONE_SHARD])
}

fn check_churn(variables: &[(&str, &str)]) -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let exporter = Launch::new(pair.config()).variables(variables).start()?;
    let many = scaled(20_000);
    let made = churn_under_scrapes(&exporter, &pair, Ending::Orderly, |number| number < many)?;
    assert!(made >= many, "{made}");
    check_made(&exporter, &pair, made)?;
    check_segments(&exporter, &pair, made)
}

#[test]
fn no_scrape_fails_and_no_counter_falls_while_connections_come_and_go_as_fast_as_they_can() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let stop = AtomicBool::new(false);
    // For some time, and on a slow machine until there were enough of them.
    let many = scaled(10_000);
    let made = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(4));
            stop.store(true, Ordering::Relaxed);
        });
        let more = |number| number < many || !stop.load(Ordering::Relaxed);
        churn_under_scrapes(&exporter, &pair, Ending::Reset, more)
    })?;
    assert!(made >= many, "{made}");
    check_made(&exporter, &pair, made)?;
    let subnet = pair.subnet()?.name();
    let scrape = exporter.scrape()?;
    for (role, direction, program) in [
        ("client", "transmit", "tcp_send_reset"),
        ("server", "receive", "tcp_receive_reset"),
    ] {
        let labels = [("subnet", &*subnet), ("role", role), ("direction", direction)];
        let counted = scrape.sum("tcpvitals_tcp_resets_total", &labels)?;
        // A connection whose beginning was missed has no role.
        let skipped = Skipped::with(&scrape, &[program])?;
        skipped.require(counted, made as f64, 1.0, labels);
    }
    Ok(())
}
