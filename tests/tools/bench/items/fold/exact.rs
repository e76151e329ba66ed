//! Whether the sums over all flows are what was sent over them: by equality, or the item has failed.

use anyhow::{Context as _, Result, ensure};
use tests::exporter::Exporter;
use tests::exporter::scrape::Scrape;
use tests::machine::wait::{until, until_stable};

use std::time::Duration;

use crate::crowd::Crowd;

/// The label of all flows of the crowd, and of no others.
pub(super) const SUBNET: &str = "crowd";

/// Longer than an acknowledgment is delayed.
const QUIET: Duration = Duration::from_millis(500);

/// Fails unless every sum is right; says what was compared.
pub(super) fn require(exporter: &Exporter<'_>, crowd: &Crowd) -> Result<String> {
    let account = until_stable("the flows", QUIET, || crowd.account())?;
    let scrape = fresh(exporter)?;
    for (what, series, expected) in [
        ("live flows", one(CONNECTIONS), account.sockets),
        ("opened", one("tcpvitals_tcp_connections_opened_total"), account.sockets),
        ("received bytes", (BYTES, Some("receive")), account.bytes),
        (
            "transmitted segments",
            (SEGMENTS, Some("transmit")),
            account.segments_out,
        ),
        ("received segments", (SEGMENTS, Some("receive")), account.segments_in),
    ] {
        let (name, direction) = series;
        let sum = sum(&scrape, name, direction)?;
        ensure!(sum == expected as f64, "{what}: {sum} of {expected}");
    }
    let again = sum(&scrape, "tcpvitals_tcp_retransmitted_bytes_total", None)?;
    let sent = sum(&scrape, BYTES, Some("transmit"))?;
    ensure!(
        sent - again == account.bytes as f64,
        "transmitted bytes: {sent}, {again} of them again, of {}",
        account.bytes
    );
    Ok(format!(
        "Exact at {} flows: connections live and opened and {} bytes each way are equal to what the generator did, \
         {} segments transmitted and {} received to the sums of TCP_INFO over all sockets.",
        account.sockets, account.bytes, account.segments_out, account.segments_in
    ))
}

/// Fails unless all flows that were opened are closed.
pub(super) fn require_end(exporter: &Exporter<'_>, flows: usize) -> Result<()> {
    let closed = until("all flows to be closed", || {
        let scrape = fresh(exporter)?;
        let live = sum(&scrape, CONNECTIONS, None)?;
        let closed = sum(&scrape, "tcpvitals_tcp_connections_closed_total", None)?;
        Ok((live == 0.0).then_some(closed))
    })?;
    ensure!(closed == flows as f64, "closed: {closed} of {flows}");
    Ok(())
}

const CONNECTIONS: &str = "tcpvitals_tcp_connections";
const BYTES: &str = "tcpvitals_tcp_data_bytes_total";
const SEGMENTS: &str = "tcpvitals_tcp_segments_total";

fn one(name: &str) -> (&str, Option<&str>) {
    (name, None)
}

fn sum(scrape: &Scrape, name: &str, direction: Option<&str>) -> Result<f64> {
    let mut labels = vec![("subnet", SUBNET)];
    labels.extend(direction.map(|direction| ("direction", direction)));
    scrape.sum(name, &labels)
}

/// A collection that began after now: the first may be one that somebody has seen already.
fn fresh(exporter: &Exporter<'_>) -> Result<Scrape> {
    let collections = |scrape: &Scrape| scrape.value("tcpvitals_collections_total", &[]);
    let seen = collections(&exporter.scrape()?)?;
    until("another collection", || {
        let scrape = exporter.scrape()?;
        Ok((collections(&scrape)? > seen).then_some(scrape))
    })
    .context("scrape anew")
}
