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
mod state;

use crate::lifecycle::{
    clock::{now, since_1970},
    threads::TooFew,
    throttle::{self, Throttle},
    worker::Worker,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_metrics::{
    encode::otlp::delta::Relabelling,
    findings::judge::Judge,
    labels::Labelling,
    rows::{drops::Dropped, flows::LiveFlow},
    snapshot::LastReload,
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use shared::Shared;

pub use error::CollectError;
pub use groups::Groups;
pub use kernel::{KernelSource, Site};
pub use reader::Others;
use reader::Reader;
pub use reload::{ReloadError, Reloaded};
pub use source::Source;
pub use state::Collection;
use state::State;

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
    /// Changes of labels that nobody has asked for yet; none before anybody does.
    relabelled: Option<Option<Relabelling>>,
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

#[cfg(test)]
pub(crate) mod tests;
