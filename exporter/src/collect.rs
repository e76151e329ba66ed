//! Collection on demand: a scrape asks for a snapshot that is not too old, and those who ask together share one run.
//!
//! One of the few places with a clock. The kernel is read on a blocking thread; nothing wakes up between collections.

mod reload;

use crate::{
    config::Config,
    families::{self, Families},
    kernel::{
        Kernel,
        read::{DropReading, DropRow, GroupReading, ReadError, Reading, Tables},
    },
    labels::Labelling,
    numbering::Numbering,
    process, sites,
    snapshot::{DropOrigin, Group, LastReload, Row, Snapshot},
};
use common::{drops::DropCount, group::GroupKey};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::Mutex as AsyncMutex;

pub use reload::{ReloadError, Reloaded};

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
    last: AsyncMutex<Last>,
}

#[derive(Debug)]
struct Last {
    max_age: Duration,
    families: Option<(Instant, Arc<Families>)>,
}

impl Collector {
    /// A collector over a loaded kernel.
    pub fn new(kernel: Kernel, config: &Config, numbering: Numbering) -> Self {
        Self {
            source: Arc::new(Mutex::new(Source {
                kernel,
                config: config.clone(),
                labelling: Labelling::new(config, &numbering, families::cost()),
                numbering,
                tables: Tables::default(),
                epoch: 0,
                last_reload: LastReload::at_start(clock()),
            })),
            last: AsyncMutex::new(Last {
                max_age: config.collect.max_age,
                families: None,
            }),
        }
    }

    /// The families of a snapshot that is not older than `collect.max_age`.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn families(&self) -> Result<Arc<Families>, CollectError> {
        // Whoever waits for the lock meanwhile finds this run's result.
        let mut last = self.last.lock().await;
        if let Some((at, families)) = &last.families
            && at.elapsed() < last.max_age
        {
            return Ok(Arc::clone(families));
        }
        let source = Arc::clone(&self.source);
        let families = tokio::task::spawn_blocking(move || held(&source).collect()).await??;
        last.families = Some((now(), Arc::clone(&families)));
        Ok(families)
    }
}

/// A run that panicked left at worst a snapshot unused: totals live in the kernel.
fn held(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of a snapshot is this module's business"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the time of a reload is a metric")]
fn clock() -> Duration {
    // A clock before 1970 tells nothing.
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[derive(Debug)]
struct Source {
    kernel: Kernel,
    config: Config,
    numbering: Numbering,
    labelling: Labelling,
    tables: Tables,
    epoch: u64,
    last_reload: LastReload,
}

impl Source {
    fn collect(&mut self) -> Result<Arc<Families>, ReadError> {
        let snapshot = self.snapshot()?;
        Ok(self.label(&snapshot))
    }

    fn snapshot(&mut self) -> Result<Snapshot, ReadError> {
        let began = now();
        self.epoch += 1;
        let Reading {
            groups,
            drops,
            algorithms,
            lost,
            misses,
        } = self.kernel.read(self.epoch, &mut self.tables)?;
        let drops = self.name_drops(drops)?;
        let mut exporter = process::read();
        exporter.last_reload = self.last_reload;
        exporter.collections = self.epoch;
        exporter.collect_duration = began.elapsed();
        Ok(Snapshot {
            groups: groups.into_iter().map(row_of_group).collect(),
            drops,
            algorithms,
            lost,
            misses,
            plan: self.kernel.plan().clone(),
            capacity: self.kernel.capacity(),
            jiffy: self.kernel.jiffy(),
            exporter,
        })
    }

    fn label(&mut self, snapshot: &Snapshot) -> Arc<Families> {
        Arc::new(families::build(&self.labelling.label(snapshot)))
    }

    fn name_drops(
        &mut self,
        readings: BTreeMap<u32, DropReading>,
    ) -> Result<Vec<Row<DropOrigin, DropCount>>, ReadError> {
        let software = readings.values().filter_map(|reading| match reading.row {
            DropRow::Software(key) => Some(key),
            DropRow::Named(_) | DropRow::Other(_) => None,
        });
        self.kernel.learn_names(software)?;
        let row = |(slot, DropReading { row, count }): (u32, DropReading)| Row {
            id: slot.into(),
            key: sites::name(&row, &self.kernel),
            total: count,
        };
        Ok(readings.into_iter().map(row).collect())
    }
}

fn row_of_group((slot, reading): (u32, GroupReading)) -> Row<Option<GroupKey>, Group> {
    let GroupReading { key, counters, samples } = reading;
    Row {
        id: slot.into(),
        key,
        total: Group { counters, samples },
    }
}
