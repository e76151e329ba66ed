//! Collection on demand: a scrape asks for a snapshot that is not too old, and those who ask together share one run.
//!
//! The kernel is read by a thread that owns what is loaded; nothing wakes up between
//! collections. In place of a kernel there may be a recording of one.

mod anew;
mod births;
mod drops;
mod error;
mod flows;
mod groups;
mod kernel;
pub mod pushes;
mod reader;
mod reload;
mod shared;
pub mod shown;
mod source;

use crate::{
    lifecycle::{
        clock::{now, since_1970},
        threads::TooFew,
        throttle::{self, Throttle},
        worker::Worker,
    },
    serve::{process, web::served::Served},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_metrics::{
    encode::otlp::delta::Relabelling,
    findings::{judge::Judge, report::Report},
    labels::Labelling,
    rows::{drops::Dropped, flows::LiveFlow},
    snapshot::{Exporter, LastReload, Snapshot},
    status::Status,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use pushes::Tally;
use shared::Shared;
use shown::Shown;

pub use error::CollectError;
pub use groups::Groups;
pub use kernel::KernelSource;
pub use reader::Others;
use reader::Reader;
pub use reload::{ReloadError, Reloaded};
pub use source::{Site, Source};

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
    /// A collector over a loaded kernel, or over a recording.
    ///
    /// `started` is when its counters began, since 1970.
    ///
    /// # Errors
    /// [`TooFew`] where the system gives no thread.
    pub fn new(
        source: Source,
        config: &Config,
        numbering: Numbering,
        Others { tally, served }: Others,
        started: Duration,
    ) -> Result<Self, TooFew> {
        let mut source = State {
            source,
            tally,
            served,
            config: config.clone(),
            labelling: Labelling::new(config, &numbering),
            numbering,
            judge: Judge::default(),
            collections: 0,
            last_reload: LastReload::at_start(since_1970()),
            process_started: None,
        };
        source.judge_lead();
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
            let collection = reader.read(State::collect).await?;
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
struct State {
    source: Source,
    tally: Arc<Tally>,
    served: Arc<Served>,
    config: Config,
    numbering: Numbering,
    labelling: Labelling,
    judge: Judge,
    /// How many there were.
    collections: u64,
    last_reload: LastReload,
    /// When the process began, in seconds since 1970, as others were told first.
    process_started: Option<f64>,
}

impl State {
    fn collect(&mut self) -> Result<Collection, CollectError> {
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

    fn snapshot(&mut self) -> Result<Snapshot, CollectError> {
        let began = now();
        self.collections += 1;
        let mut snapshot = self.source.snapshot()?;
        let process = process::read();
        snapshot.exporter = Exporter {
            last_reload: self.last_reload.clone(),
            networks_of_files: self.config.networks_of_files,
            started: self.start(process.started),
            collections: self.collections,
            collect_duration: began.elapsed(),
            pushes: self.tally.read(),
            served: Some(self.served.read()),
            workloads: snapshot.exporter.workloads,
            name_source: snapshot.exporter.name_source,
            ..process
        };
        snapshot.findings = self.judge(&snapshot);
        Ok(snapshot)
    }

    /// Judges what was before the first collection, where anybody knows it.
    fn judge_lead(&mut self) {
        for at in self.source.lead() {
            if let Some(snapshot) = self.source.before(at) {
                self.judge(&snapshot);
            }
        }
    }

    /// What is wrong, if anybody wants to know.
    fn judge(&mut self, snapshot: &Snapshot) -> Option<Arc<Report>> {
        self.config.findings.enabled.then(|| {
            self.labelling.learn(&snapshot.workloads);
            self.judge.judge(snapshot, &self.labelling, &self.config.findings)
        })
    }

    /// The kernel reckons the start of a process from its clock, so it moves with that; to others it would look like a restart.
    /// It is replaced only when the clock is set back behind it. To whom a recording is shown its counters began when those did.
    fn start(&mut self, reckoned: Option<f64>) -> Option<f64> {
        if let Some(began) = self.source.began() {
            return Some(began.as_secs_f64());
        }
        let kept = self.process_started.filter(|kept| *kept <= since_1970().as_secs_f64());
        self.process_started = kept.or(reckoned);
        self.process_started
    }

    fn show(&mut self, snapshot: &Snapshot) -> Shown {
        self.labelling.post(snapshot);
        Shown::new(&mut self.labelling, snapshot, &self.config)
    }
}
