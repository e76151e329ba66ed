//! Workloads: every connection and every dropped packet counts for whom the cgroup of its socket is of, and for nobody twice.

use std::process;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use tests::exporter::exposition::{Format, Kind, parse};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, Launch, PROMETHEUS_TEXT};
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::machine::wait::until;
use tests::net::pair::Pair;

mod captured;
mod churn;
mod drops;
mod failures;
mod instances;
mod listeners;
mod older;
mod pods;
mod sources;
mod surfaces;
mod units;
mod version_1;

const OPENED: &str = "tcpvitals_tcp_connections_opened_total";
const OPEN: &str = "tcpvitals_tcp_connections";

/// Labels with workloads, and a view without any of a flow's or a place's own.
const LABELS: &str = "\
labels:
  tcp: [subnet, role, workload, workload_kind, workload_namespace]
  drops: [location, reason, protocol, direction, subnet, workload, workload_namespace]
views: [{name: totals, labels: {tcp: [], drops: []}}]
";

/// A configuration that tells workloads apart by this source.
fn config(pair: &Pair, source: &str) -> String {
    format!("{}{LABELS}workloads: {source}\n", pair.config())
}

/// An exporter that can be told to forget its last snapshot.
fn start(config: &str) -> Result<Exporter<'static>> {
    Launch::new(config).arguments(&["--web.enable-lifecycle"]).start()
}

/// Makes a cgroup as a program that is started in one meets it: it takes a moment to its first socket.
fn make_for_program(cgroups: &Cgroups, path: &str) -> Result<Cgroup> {
    const START: Duration = Duration::from_millis(50);
    let cgroup = cgroups.make(path)?;
    sleep(START);
    Ok(cgroup)
}

/// The name of a unit that no other run has, in letters: long numbers in names of units are not shown.
fn own_name(stem: &str) -> String {
    let number = process::id().to_string();
    let letters = number.bytes().map(|digit| char::from(digit + b'g' - b'0'));
    format!("{stem}-{}.service", letters.collect::<String>())
}

/// Waits until so many open connections of a subnet count for a workload.
fn until_open(exporter: &Exporter<'_>, subnet: &str, workload: &str, count: u64) -> Result<Scrape> {
    until(&format!("{count} connections of {workload}"), || {
        let scrape = exporter.scrape()?;
        let open = scrape.count(OPEN, &[("subnet", subnet), ("workload", workload)])?;
        Ok((open == count).then_some(scrape))
    })
}

/// Requires of one snapshot that each counter and each bucket without labels is the sum of those with labels, to the last bit.
fn require_sums_equal_totals(exporter: &Exporter<'_>, config: &str) -> Result<()> {
    // What was collected before is thrown away, and what is collected then is shown for an hour.
    exporter.reload(&config.replace("max_age: 1ms", "max_age: 1h"))?;
    let read = |path: &str| -> Result<Scrape> {
        let page = exporter.get(path, PROMETHEUS_TEXT)?;
        Ok(Scrape::new(parse(&page.body, Format::Prometheus)?))
    };
    let (apart, together) = (read("/metrics")?, read("/metrics/totals")?);
    let mut compared = 0;
    for (series, total) in &together.exposition().samples {
        if !grows(&together, &series.name) {
            continue;
        }
        let labels: Vec<_> = series
            .labels
            .iter()
            .map(|(label, value)| (label.as_str(), value.as_str()))
            .collect();
        let parts = apart.matching(&series.name, &labels);
        let sum: u64 = parts.map(|(series, part)| whole(&series.name, part)).sum();
        assert_eq!(sum, whole(&series.name, *total), "{series:?}");
        compared += 1;
    }
    assert!(compared > 50, "{compared} series");
    let workloads = apart.by(OPENED, "workload", &[])?;
    assert!(workloads.len() > 1, "{workloads:?}");
    exporter.reload(config)
}

/// Whether a series is of connections or drops, and counts.
fn grows(scrape: &Scrape, name: &str) -> bool {
    let families = &scrape.exposition().families;
    let is_ours = name.starts_with("tcpvitals_tcp_") || name.starts_with("tcpvitals_dropped_");
    let of = |stem: &str| families.get(stem).map(|family| family.kind);
    let is_part = ["_bucket", "_sum", "_count"].iter().any(|suffix| {
        name.strip_suffix(suffix)
            .is_some_and(|stem| of(stem) == Some(Kind::Histogram))
    });
    is_ours && (of(name) == Some(Kind::Counter) || is_part)
}

/// A number as a whole one, which can be added up in any order: of seconds the nanoseconds, as their last bit was rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "no negative number, and far below what a double holds exactly"
)]
fn whole(name: &str, value: f64) -> u64 {
    let unit = if name.contains("_seconds") { 1e9 } else { 1.0 };
    (value * unit).round() as u64
}
