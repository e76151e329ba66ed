//! Scrapers of different formats, each of which requires that nothing fell since its last scrape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, OPEN_METRICS, PROMETHEUS_TEXT, PROTOBUF};

use super::workloads::{Stop, join};

/// What a scraper asks for, and how long it rests.
const SCRAPERS: [(&str, Duration); 3] = [
    (OPEN_METRICS, Duration::from_millis(1500)),
    (PROMETHEUS_TEXT, Duration::from_secs(4)),
    (PROTOBUF, Duration::from_secs(5)),
];

/// Scrapes of one life, and how long the collections took that they asked for, in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrapes {
    pub(crate) number: u64,
    pub(crate) longest: f64,
    pub(crate) total: f64,
    /// What fell or vanished from one scrape to the next.
    pub(crate) falls: Vec<String>,
}

/// Scrapes until told to stop; `series` is told how many there are, as the bits of a number.
pub(crate) fn run(exporter: &Exporter<'_>, series: &AtomicU64, stop: &Stop) -> Result<Scrapes> {
    std::thread::scope(|scope| {
        let scrapers: Vec<_> = SCRAPERS
            .into_iter()
            .map(|(accept, pause)| stop.spawn(scope, move || follow(exporter, accept, pause, series, stop)))
            .collect();
        let mut all = Scrapes::default();
        for scraper in scrapers {
            let own = join(scraper)?;
            all.number += own.number;
            all.total += own.total;
            all.longest = all.longest.max(own.longest);
            all.falls.extend(own.falls);
        }
        Ok(all)
    })
}

fn follow(exporter: &Exporter<'_>, accept: &str, pause: Duration, series: &AtomicU64, stop: &Stop) -> Result<Scrapes> {
    let mut scrapes = Scrapes::default();
    let mut last: Option<Scrape> = None;
    while !stop.is_now() {
        let scrape = exporter
            .scrape_as(accept)
            .with_context(|| format!("scrape as {accept}"))?;
        if let Some(last) = &last {
            let fall = scrape.require_no_fall_since(last).err();
            scrapes.falls.extend(fall.map(|fall| format!("{accept}: {fall:#}")));
        }
        let took = scrape.value("tcpvitals_collect_duration_seconds", &[])?;
        series.store(scrape.value("tcpvitals_series", &[])?.to_bits(), Ordering::Relaxed);
        scrapes.number += 1;
        scrapes.total += took;
        scrapes.longest = scrapes.longest.max(took);
        last = Some(scrape);
        stop.pause(pause);
    }
    Ok(scrapes)
}
