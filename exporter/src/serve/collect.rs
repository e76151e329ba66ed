//! Collection on demand: a scrape asks for a snapshot that is not too old, and those who ask together share one run.
//!
//! The kernel is read by a thread that owns what is loaded; nothing wakes up between
//! collections.

mod anew;
mod births;
mod drops;
mod error;
mod flows;
pub mod pushes;
mod reader;
mod reload;
mod shared;
pub mod shown;

use crate::{
    lifecycle::{
        clock::{boottime, nanoseconds, now, since_1970},
        setup,
        threads::TooFew,
        throttle::{self, Throttle},
        worker::Worker,
    },
    serve::{host::Feed, process, web::served::Served, workloads::Known as KnownWorkloads},
};
use common::{
    drops::{DropCount, DropRow},
    tcp::group::GroupKey,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_kernel::{
    Kernel,
    read::{DropReading, GroupReading, ReadError, Reading, SlotKeys},
};
use tcpvitals_metrics::{
    encode::otlp::delta::Relabelling,
    findings::{judge::Judge, report::Report},
    host::Part,
    labels::{Labelling, sites},
    rows::{drops::Dropped, flows::LiveFlow},
    snapshot::{DropOrigin, Group, LastReload, Row, Snapshot},
    status::Status,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use anew::Anew;
use births::Births;
use pushes::Tally;
use shared::Shared;
use shown::Shown;

pub use error::CollectError;
pub use reader::Others;
use reader::Reader;
pub use reload::{ReloadError, Reloaded};

#[derive(Debug)]
pub struct Collector {
    reader: Arc<Reader>,
    last: Arc<AsyncMutex<Last>>,
    drops: Shared<Vec<Dropped>>,
    flows: Shared<Vec<LiveFlow>>,
    started: Duration,
}

#[derive(Debug)]
struct Last {
    max_age: Duration,
    /// Where views are served.
    paths: Vec<String>,
    /// When it began, which is how old what it read is, and what it gave.
    collection: Option<(Instant, Collection)>,
    /// Changes of labels that nobody has asked for yet; none while nobody will.
    relabelled: Option<Option<Relabelling>>,
}

/// What was collected, and when.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Since 1970.
    pub at: Duration,
    /// What is shown of it.
    pub shown: Arc<Shown>,
    /// How the exporter does.
    pub status: Arc<Status>,
    /// What is wrong; `None` where nobody judges.
    pub findings: Option<Arc<Report>>,
}

impl Collector {
    /// A collector over a loaded kernel.
    ///
    /// `started` is when its counters began, since 1970.
    ///
    /// # Errors
    /// [`TooFew`] where the system gives no thread.
    pub fn new(
        kernel: Kernel,
        config: &Config,
        numbering: Numbering,
        Others {
            tally,
            served,
            workloads,
            host_off,
        }: Others,
        started: Duration,
    ) -> Result<Self, TooFew> {
        let parts = setup::host_on(&host_off);
        let host = if parts.is_empty() {
            None
        } else {
            Some(Feed::start(&parts)?)
        };
        let source = KernelState {
            kernel,
            tally,
            served,
            config: config.clone(),
            labelling: Labelling::new(config, &numbering),
            numbering,
            tables: SlotKeys::default(),
            workloads,
            host,
            host_off,
            anew: Anew::default(),
            judge: Judge::default(),
            epoch: 0,
            last_reload: LastReload::at_start(since_1970()),
            process_started: None,
            births: Births {
                loaded: started,
                boottime_to_1970: nanoseconds(since_1970()).wrapping_sub(boottime()),
            },
        };
        let source = Worker::start("tcpvitals-read", source).map_err(|error| TooFew::new(1, error))?;
        Ok(Self {
            reader: Arc::new(Reader {
                source,
                log: Throttle::new(throttle::FAULT),
            }),
            last: Arc::new(AsyncMutex::new(Last {
                max_age: config.collect.max_age,
                paths: paths(config),
                collection: None,
                relabelled: None,
            })),
            drops: Shared::default(),
            flows: Shared::default(),
            started,
        })
    }

    /// When its counters began, since 1970.
    pub fn started(&self) -> Duration {
        self.started
    }

    /// Whether a view is served at a path: whoever asks for another costs no collection.
    pub async fn has_view(&self, path: &str) -> bool {
        self.last.lock().await.paths.iter().any(|own| own == path)
    }

    /// A collection that is not older than `collect.max_age`; `fresh` asks for one that nobody has seen yet.
    ///
    /// # Errors
    /// [`CollectError`] when the kernel could not be read; the next call tries again.
    pub async fn collect(&self, fresh: bool) -> Result<Collection, CollectError> {
        let asked = now();
        let last = Arc::clone(&self.last).lock_owned().await;
        Ok(self.run(last, asked, fresh).await?.0)
    }

    /// The same with the changes of labels since this was last asked. From the first time on they are kept.
    ///
    /// # Errors
    /// As for [`Self::collect`].
    pub async fn to_push(&self, fresh: bool) -> Result<(Collection, Option<Relabelling>), CollectError> {
        let asked = now();
        let last = Arc::clone(&self.last).lock_owned().await;
        let (collection, mut last) = self.run(last, asked, fresh).await?;
        let relabelled = last.relabelled.replace(None);
        Ok((collection, relabelled.flatten()))
    }

    /// Changes of labels need not be kept any more.
    pub async fn forget_labels(&self) {
        self.last.lock().await.relabelled = None;
    }

    /// Whoever waits for the lock meanwhile finds this run's result. It comes to its end even if whoever asked goes away: else
    /// what it read would be lost.
    async fn run(
        &self,
        mut last: OwnedMutexGuard<Last>,
        asked: Instant,
        fresh: bool,
    ) -> Result<(Collection, OwnedMutexGuard<Last>), CollectError> {
        // A run that began after somebody asked is as new as one of their own.
        if let Some((began, collection)) = &last.collection
            && !fresh
            && (began.elapsed() < last.max_age || *began >= asked)
        {
            return Ok((collection.clone(), last));
        }
        let reader = Arc::clone(&self.reader);
        let run = tokio::spawn(async move {
            // So that there is never memory for two.
            last.collection = None;
            let began = now();
            let collection = reader.read(KernelState::collect).await?;
            last.collection = Some((began, collection.clone()));
            Ok((collection, last))
        });
        run.await?
    }
}

/// Where views are served.
fn paths(config: &Config) -> Vec<String> {
    config.views.iter().map(|view| view.path.clone()).collect()
}

#[derive(Debug)]
struct KernelState {
    kernel: Kernel,
    tally: Arc<Tally>,
    served: Arc<Served>,
    config: Config,
    numbering: Numbering,
    labelling: Labelling,
    tables: SlotKeys,
    workloads: Arc<KnownWorkloads>,
    /// None where nothing of the host is read.
    host: Option<Feed>,
    host_off: Vec<(Part, String)>,
    anew: Anew,
    judge: Judge,
    epoch: u64,
    last_reload: LastReload,
    /// When the process began, in seconds since 1970, as others were told first.
    process_started: Option<f64>,
    births: Births,
}

impl KernelState {
    fn collect(&mut self) -> Result<Collection, ReadError> {
        let snapshot = self.snapshot()?;
        let shown = self.show(&snapshot);
        let status = Status::new(&snapshot, &shown.all);
        Ok(Collection {
            at: since_1970(),
            shown: Arc::new(shown),
            status: Arc::new(status),
            findings: snapshot.findings,
        })
    }

    fn snapshot(&mut self) -> Result<Snapshot, ReadError> {
        let began = now();
        self.epoch += 1;
        if let Some(host) = &mut self.host {
            host.ask();
        }
        self.follow_workloads()?;
        let Reading {
            groups,
            drops,
            algorithms,
            listeners,
            lost,
            misses,
        } = self.kernel.read(self.epoch, &mut self.tables)?;
        let births = self.births;
        // After the counters: whatever has been counted has its name.
        let workloads = self.workloads.names();
        let drops = self.name_drops(drops)?;
        let host = self.host.as_mut().map(Feed::take).unwrap_or_default();
        let mut exporter = process::read();
        exporter.last_reload = self.last_reload;
        exporter.networks_of_files = self.config.networks_of_files;
        exporter.started = self.start(exporter.started);
        exporter.collections = self.epoch;
        exporter.collect_duration = began.elapsed();
        exporter.pushes = self.tally.read();
        exporter.served = Some(self.served.read());
        exporter.workloads = self.workloads.fill();
        exporter.name_source = self.workloads.health.read();
        let mut snapshot = Snapshot {
            at: births.since_1970(boottime()),
            groups: groups.into_iter().map(|group| row_of_group(group, births)).collect(),
            drops,
            workloads,
            algorithms,
            listeners,
            lost,
            misses,
            coverage: setup::coverage(self.kernel.plan(), self.host_off.clone()),
            capacity: self.kernel.capacity(),
            jiffy: self.kernel.jiffy(),
            host,
            findings: None,
            exporter,
        };
        snapshot.findings = self.judge(&snapshot);
        Ok(snapshot)
    }

    /// What is wrong, if anybody wants to know.
    fn judge(&mut self, snapshot: &Snapshot) -> Option<Arc<Report>> {
        self.config.findings.enabled.then(|| {
            self.labelling.learn(&snapshot.workloads);
            self.judge.judge(snapshot, &self.labelling, &self.config.findings)
        })
    }

    /// The kernel reckons the start of a process from its clock, so it moves with that; to others it would look like a restart.
    /// It is replaced only when the clock is set back behind it.
    fn start(&mut self, reckoned: Option<f64>) -> Option<f64> {
        let kept = self.process_started.filter(|kept| *kept <= since_1970().as_secs_f64());
        self.process_started = kept.or(reckoned);
        self.process_started
    }

    fn show(&mut self, snapshot: &Snapshot) -> Shown {
        self.labelling.post(snapshot);
        Shown::new(&mut self.labelling, snapshot, &self.config)
    }

    fn learn_names(&mut self, readings: &BTreeMap<u32, DropReading>) -> Result<(), ReadError> {
        let software = readings.values().filter_map(|reading| match reading.row {
            DropRow::Software(key) => Some(key),
            DropRow::Named(_) | DropRow::Other(_) => None,
        });
        self.kernel.learn_names(software)
    }

    fn name_drops(
        &mut self,
        readings: BTreeMap<u32, DropReading>,
    ) -> Result<Vec<Row<DropOrigin, DropCount>>, ReadError> {
        self.learn_names(&readings)?;
        let row = |(slot, DropReading { row, born, count }): (u32, DropReading)| Row {
            id: slot.into(),
            key: sites::name(&row, &Known(&self.kernel)),
            born: self.births.since_1970(born),
            total: count,
        };
        Ok(readings.into_iter().map(row).collect())
    }
}

/// The names that the kernel side has learned.
struct Known<'a>(&'a Kernel);

impl sites::DropNames for Known<'_> {
    fn location(&self, address: u64) -> String {
        self.0.location(address)
    }

    fn reason(&self, number: u32) -> String {
        self.0.reason(number)
    }

    fn has_reason(&self, name: &str) -> bool {
        self.0.has_reason(name)
    }
}

fn row_of_group((slot, reading): (u32, GroupReading), births: Births) -> Row<Option<GroupKey>, Group> {
    let GroupReading {
        key,
        born,
        counters,
        samples,
    } = reading;
    Row {
        id: slot.into(),
        key,
        born: births.since_1970(born),
        total: Group { counters, samples },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_is_moved_by_the_difference_of_the_clocks_and_never_before_the_load() {
        const SECOND: u64 = 1_000_000_000;
        let births = Births {
            loaded: Duration::from_secs(1000),
            boottime_to_1970: 900 * SECOND,
        };
        assert_eq!(births.since_1970(0), Duration::from_secs(1000));
        assert_eq!(births.since_1970(150 * SECOND), Duration::from_secs(1050));
        assert_eq!(births.since_1970(99 * SECOND), Duration::from_secs(1000));
        // A clock that is behind the time since the boot.
        let behind = Births {
            loaded: Duration::from_secs(10),
            boottime_to_1970: (50 * SECOND).wrapping_neg(),
        };
        assert_eq!(behind.since_1970(70 * SECOND), Duration::from_secs(20));
    }
}
