//! What the exporter holds while it runs, and whether that grows.

use std::fs::read_dir;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::kernel::processes::{maps_of, programs_of, status};

use super::workloads::Stop;

/// Between two looks.
const STEP: Duration = Duration::from_secs(2);

/// After so many looks (a minute) everything has happened once.
const SETTLED: usize = 30;

/// Everything at one moment.
type Held = [f64; 7];

/// What is looked at: its name, by which factor and by how much it may grow, and why.
const BOUNDS: [(&str, f64, f64, &str); 7] = [
    (
        "resident memory, KiB",
        1.1,
        4096.0,
        "in proportion to the series; what the allocator keeps of the largest answer",
    ),
    (
        "descriptors",
        1.0,
        8.0,
        "connections that are open at the moment of the look",
    ),
    (
        "threads",
        1.0,
        6.0,
        "one for each collection or reload under way; they end by themselves",
    ),
    ("kernel programs", 1.0, 0.0, "all are loaded at the start"),
    ("maps", 1.0, 0.0, "all are made at the start"),
    ("keys of maps", 1.1, 16.0, "label sets of other traffic of this host"),
    ("series", 0.0, 100_000.0, "limits.series"),
];

/// Places in [`BOUNDS`].
const RESIDENT: usize = 0;
const SERIES: usize = 6;

/// How one of them developed.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    pub(crate) what: &'static str,
    /// The most around the first minute, and towards the end.
    pub(crate) early: f64,
    pub(crate) late: f64,
    pub(crate) bound: f64,
    pub(crate) reason: &'static str,
    /// Every look.
    pub(crate) course: Vec<f64>,
}

impl Growth {
    pub(crate) fn is_bounded(&self) -> bool {
        self.late <= self.bound
    }
}

/// Looks until told to stop. `series` is how many there were in the last scrape, as the bits of a number.
pub(crate) fn watch(process: u32, series: &AtomicU64, stop: &Stop) -> Result<Vec<Held>> {
    let mut looks = Vec::new();
    while !stop.is_now() {
        looks.push(look(process, f64::from_bits(series.load(Ordering::Relaxed)))?);
        stop.pause(STEP);
    }
    Ok(looks)
}

fn look(process: u32, series: f64) -> Result<Held> {
    let resident = status(process, "VmRSS")?;
    let resident: f64 = resident.trim_end_matches(" kB").parse().context("VmRSS")?;
    let threads: f64 = status(process, "Threads")?.parse().context("Threads")?;
    let descriptors = read_dir(format!("/proc/{process}/fd"))?.count();
    let programs = programs_of(process)?;
    let maps = maps_of(&programs)?;
    let keys: u64 = maps.values().filter_map(|map| map.keys).sum();
    Ok([
        resident,
        descriptors as f64,
        threads,
        programs.len() as f64,
        maps.len() as f64,
        keys as f64,
        series,
    ])
}

/// The second half of the first minute, or of the first half of a short life, beside as long a time at the end.
pub(crate) fn growth(looks: &[Held]) -> Result<Vec<Growth>> {
    let settled = SETTLED.min(looks.len() / 2);
    let window = (settled / 2).max(1);
    let early = looks.get(settled.saturating_sub(window)..settled);
    let early = early
        .filter(|early| !early.is_empty())
        .context("a life too short to look at")?;
    let late = &looks[looks.len() - window..];
    let most = |looks: &[Held], index: usize| looks.iter().map(|held| held[index]).fold(0.0, f64::max);
    let more_series = (most(late, SERIES) / most(early, SERIES).max(1.0)).max(1.0);
    let of = |(index, &(what, factor, more, reason)): (usize, &(&'static str, f64, f64, &'static str))| {
        let before = most(early, index);
        Growth {
            what,
            early: before,
            late: most(late, index),
            bound: before * factor * if index == RESIDENT { more_series } else { 1.0 } + more,
            reason,
            course: looks.iter().map(|held| held[index]).collect(),
        }
    };
    Ok(BOUNDS.iter().enumerate().map(of).collect())
}
