//! A receiver of OTLP that takes, refuses, hangs, disappears and comes back, and in the end has what a scrape shows.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::exporter::exposition::{Kind, Series};
use tests::exporter::otlp::{Failure, Recorder, Values, documented, of_request, of_scrape};
use tests::exporter::scrape::{Difference, Scrape, differences};
use tests::machine::wait::until;
use tonic::Code;

use super::workloads::Stop;

/// How long each mood lasts.
const MOOD: Duration = Duration::from_secs(5);

/// Changes its mood until told to stop; how often.
pub(crate) fn run(address: SocketAddr, stop: &Stop) -> Result<u32> {
    let moods = [
        None,
        Some(Failure::Status(Code::Unavailable, None)),
        Some(Failure::Silence),
        Some(Failure::Status(Code::InvalidArgument, None)),
    ];
    let mut changes = 0;
    while !stop.is_now() {
        let recorder = appear(address)?;
        for mood in &moods {
            recorder.fail_always(mood.clone());
            changes += 1;
            stop.pause(MOOD);
        }
        drop(recorder);
        stop.pause(MOOD);
    }
    Ok(changes)
}

/// The port may not be free at once: the connections of its predecessor end first.
fn appear(address: SocketAddr) -> Result<Recorder> {
    until("the port of the receiver to be free", || {
        Ok(Recorder::at(address, None).ok())
    })
}

/// Waits for a push, and gives what it says otherwise than a scrape: counters of our own cables, which are at rest.
pub(crate) fn differences_from(scrape: &Scrape, address: SocketAddr) -> Result<(usize, Vec<Difference>)> {
    let recorder = appear(address)?;
    let received = recorder.wait_for_another().context("the receiver is back")?;
    let told = of_request(&received, &documented()?)?;
    let ours = |values: Values| -> Values {
        let is_ours = |(series, _): &(Series, f64)| is_counter(scrape, series) && is_of_soak(series);
        values.into_iter().filter(is_ours).collect()
    };
    let (scraped, told) = (ours(of_scrape(scrape)), ours(told));
    Ok((scraped.len(), differences(&scraped, &told)))
}

fn is_counter(scrape: &Scrape, series: &Series) -> bool {
    let family = series.name.strip_suffix("_total").unwrap_or(&series.name);
    let families = &scrape.exposition().families;
    families.get(family).is_some_and(|family| family.kind == Kind::Counter)
}

/// By its subnet: another run on this host has the same ports.
fn is_of_soak(series: &Series) -> bool {
    let subnet = series.labels.get("subnet");
    subnet.is_some_and(|subnet| subnet.starts_with("soak-"))
}
