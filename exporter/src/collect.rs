//! Collection on demand: a scrape asks for a snapshot that is not too old, and those who ask together share one run.
//!
//! One of the few places with a clock. The kernel is read on a blocking thread; nothing wakes up between collections.

use crate::{
    config::Config,
    families::{self, Families},
    kernel::{
        Kernel,
        read::{DropReading, GroupReading, ReadError, Reading, Tables},
    },
    labels::Labelling,
    process,
    snapshot::{DropSite, Group, Snapshot},
};
use common::{
    connection::ConnectionType,
    drops::{Direction, DropCount, DropKey, Protocol},
    group::GroupCounters,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Mutex as AsyncMutex;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The kernel could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The thread that read it ended early.
    #[error("the collection ended early: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

/// Collects when asked.
#[derive(Debug)]
pub struct Collector {
    source: Arc<Mutex<Source>>,
    last: AsyncMutex<Option<(Instant, Arc<Families>)>>,
    max_age: Duration,
}

impl Collector {
    /// A collector over a loaded kernel.
    pub fn new(kernel: Kernel, config: &Config) -> Self {
        Self {
            source: Arc::new(Mutex::new(Source {
                kernel,
                labelling: Labelling::new(config, families::cost()),
                tables: Tables::default(),
                epoch: 0,
                groups: BTreeMap::new(),
                drops: BTreeMap::new(),
            })),
            last: AsyncMutex::new(None),
            max_age: config.collect.max_age,
        }
    }

    /// The families of a snapshot that is not older than `collect.max_age`.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn families(&self) -> Result<Arc<Families>, CollectError> {
        let mut last = self.last.lock().await;
        if let Some((at, families)) = &*last
            && at.elapsed() < self.max_age
        {
            return Ok(Arc::clone(families));
        }
        let source = Arc::clone(&self.source);
        // Whoever waits for the lock meanwhile finds this run's result.
        let families = tokio::task::spawn_blocking(move || {
            // A run that panicked left at worst a snapshot unused: totals live in the kernel.
            source
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .collect()
                .map(Arc::new)
        })
        .await??;
        *last = Some((now(), Arc::clone(&families)));
        Ok(families)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of a snapshot is this module's business"
)]
fn now() -> Instant {
    Instant::now()
}

#[derive(Debug)]
struct Source {
    kernel: Kernel,
    labelling: Labelling,
    tables: Tables,
    epoch: u64,
    /// What was shown last, by slot: exported counters never fall.
    groups: BTreeMap<u32, GroupCounters>,
    drops: BTreeMap<u32, DropCount>,
}

impl Source {
    fn collect(&mut self) -> Result<Families, ReadError> {
        let began = now();
        self.epoch += 1;
        let Reading {
            groups,
            drops,
            algorithms,
            lost,
            misses,
        } = self.kernel.read(self.epoch, &mut self.tables)?;
        let groups = groups
            .into_iter()
            .map(|(slot, group)| never_falling_group(&mut self.groups, slot, group))
            .collect();
        let drops = self.name_drops(drops)?;
        let mut exporter = process::read();
        exporter.collect_duration = began.elapsed();
        let snapshot = Snapshot {
            groups,
            drops,
            algorithms,
            lost,
            misses,
            plan: self.kernel.plan().clone(),
            capacity: self.kernel.capacity(),
            jiffy: self.kernel.jiffy(),
            exporter,
        };
        Ok(families::build(&self.labelling.label(&snapshot)))
    }

    fn name_drops(
        &mut self,
        readings: BTreeMap<u32, DropReading>,
    ) -> Result<Vec<(Option<DropSite>, DropCount)>, ReadError> {
        let addresses = readings.values().filter_map(|reading| Some(reading.key?.location));
        self.kernel.resolve(addresses)?;
        let site = |key: DropKey| DropSite {
            location: self.kernel.location(key.location),
            reason: self.kernel.reason(key.reason),
            subnet: key.subnet,
            protocol: Protocol::from_number(key.protocol),
            direction: Direction::from_number(key.direction),
            connection: ConnectionType::from_number(key.connection),
        };
        Ok(readings
            .into_iter()
            .map(|(slot, DropReading { key, mut count })| {
                let before = self.drops.entry(slot).or_default();
                count.clamp(before);
                *before = count;
                (key.map(site), count)
            })
            .collect())
    }
}

fn never_falling_group(
    shown: &mut BTreeMap<u32, GroupCounters>,
    slot: u32,
    GroupReading {
        key,
        mut counters,
        samples,
    }: GroupReading,
) -> (Option<common::group::GroupKey>, Group) {
    let before = shown.entry(slot).or_default();
    counters.clamp(before);
    *before = counters;
    (key, Group { counters, samples })
}
