//! Flows that are older than the exporter: they count from the moment it sees them.

use anyhow::{Result, bail};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};
use tests::exporter::Launch;
use tests::kernel::counters::Counters;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::pair::{Pair, of_each_family};
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, settle};

/// Segments and bytes of a socket, both ways.
fn totals(info: &TcpInfo) -> [u64; 4] {
    [
        info.segs_out.into(),
        info.segs_in.into(),
        info.bytes_sent,
        info.bytes_received,
    ]
}

const METRICS: [(&str, &str); 4] = [
    ("tcpvitals_tcp_segments_total", "transmit"),
    ("tcpvitals_tcp_segments_total", "receive"),
    ("tcpvitals_tcp_data_bytes_total", "transmit"),
    ("tcpvitals_tcp_data_bytes_total", "receive"),
];

#[test]
fn a_flow_that_was_open_before_counts_only_from_then_on() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let flows = [Flow::open(&pair, Family::V4, 443)?];
    flows[0].exchange(1_000_000, 1_000_000)?;
    let [before] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };

    // It looks around at the start in the namespace where it runs: there the client's end is known at once.
    let exporter = Launch::new(pair.config()).inside(&pair.client).start()?;
    let labels = |direction| [("subnet", &*subnet), ("role", "client"), ("direction", direction)];
    let scrape = exporter.scrape()?;
    for (metric, direction) in METRICS {
        assert_eq!(scrape.sum(metric, &labels(direction))?, 0.0, "{metric} {direction}");
    }
    assert_eq!(
        scrape.sum("tcpvitals_tcp_connections", &[("subnet", &subnet), ("role", "client")])?,
        1.0
    );

    flows[0].exchange(300_000, 200_000)?;
    let [after] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let scrape = exporter.scrape()?;
    for (index, (metric, direction)) in METRICS.into_iter().enumerate() {
        let since = totals(&after.client)[index] - totals(&before.client)[index];
        assert_eq!(
            scrape.sum(metric, &labels(direction))?,
            since as f64,
            "{metric} {direction}"
        );
    }
    let done = flows[0].finish()?;
    let scrape = exporter.scrape()?;
    for (index, (metric, direction)) in METRICS.into_iter().enumerate() {
        let since = totals(&done.client)[index] - totals(&before.client)[index];
        assert_eq!(
            scrape.sum(metric, &labels(direction))?,
            since as f64,
            "{metric} {direction}"
        );
    }
    let labels = [("subnet", &*subnet), ("role", "client")];
    assert_eq!(scrape.sum("tcpvitals_tcp_connections_opened_total", &labels)?, 0.0);
    assert_eq!(scrape.sum("tcpvitals_tcp_connections_closed_total", &labels)?, 1.0);
    assert_eq!(
        scrape
            .histogram("tcpvitals_tcp_connection_duration_seconds", &labels)?
            .count,
        0.0
    );
    Ok(())
}

#[test]
fn an_old_flow_of_another_namespace_counts_from_its_first_event_on() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let flows = [Flow::open(&pair, Family::V4, 443)?];
    flows[0].exchange(1_000_000, 1_000_000)?;
    let [old] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let exporter = Launch::new(pair.config()).start()?;
    // The first segment each way is the event.
    flows[0].exchange(1, 1)?;
    let [begun] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let first = exporter.scrape()?;
    flows[0].exchange(300_000, 200_000)?;
    let [after] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let scrape = exporter.scrape()?.since(&first);
    for (role, old, before, after) in [
        ("client", old.client, begun.client, after.client),
        ("server", old.server, begun.server, after.server),
    ] {
        for (index, (metric, direction)) in METRICS.into_iter().enumerate() {
            let labels = [("subnet", &*subnet), ("role", role), ("direction", direction)];
            let whole = first.sum(metric, &labels)?;
            let at_most = totals(&before)[index] - totals(&old)[index];
            assert!(
                whole <= at_most as f64,
                "{metric} {labels:?} counts {whole}, but only {at_most} since the start"
            );
            let since = totals(&after)[index] - totals(&before)[index];
            assert_eq!(scrape.sum(metric, &labels)?, since as f64, "{metric} {labels:?}");
        }
    }
    Ok(())
}

/// No SYN was sent, so that it was not opened now, and the socket does not tell by whom it ever was.
#[test]
fn a_restored_connection_has_neither_a_role_nor_a_handshake() -> Result<()> {
    let _turn = turn::shared()?;
    let (pairs, config) = of_each_family()?;
    let exporter = Launch::new(config).start()?;
    for (family, pair) in &pairs {
        let to = pair.to(*family, 47_777)?;
        let socket = pair.client.run(|| {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
            setsockopt(&socket, sockopt::TcpRepair, &1)?;
            socket.connect(&to.into())?;
            Ok(socket)
        })?;
        assert_eq!(Counters::read(&pair.client)?.get("TcpActiveOpens")?, 0);
        let subnet = pair.subnet()?.name();
        let labels = [("subnet", &*subnet)];
        let scrape = exporter.scrape()?;
        let live = scrape.by("tcpvitals_tcp_connections", "role", &labels)?;
        assert_eq!(live, [("unknown".to_owned(), 1.0)].into(), "{family:?}");
        assert_eq!(scrape.sum("tcpvitals_tcp_connections_opened_total", &labels)?, 0.0);
        assert_eq!(scrape.histogram("tcpvitals_tcp_handshake_seconds", &labels)?.count, 0.0);
        drop(socket);
        let scrape = exporter.scrape()?;
        assert_eq!(scrape.sum("tcpvitals_tcp_connections", &labels)?, 0.0);
        assert_eq!(scrape.sum("tcpvitals_tcp_connections_closed_total", &labels)?, 1.0);
    }
    Ok(())
}
