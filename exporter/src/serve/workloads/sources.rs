//! Where the names of pods come from: the API server, which a thread of its own listens to, or the folders of their logs, which are
//! looked at when a pod is not known.

use super::{Known, health::Health};
use crate::{
    kubernetes::{self, Api, Fault, Pods, State, Told, in_cluster},
    lifecycle::{
        clock::now,
        start::StartError,
        threads::{self, TooFew},
        throttle::{self, Throttle},
    },
};
use nix::poll::{PollFd, PollFlags};
use std::{
    collections::HashSet,
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};
use tcpvitals_config::{
    ConfigError, WorkloadSource, Workloads,
    file::{files, variable},
};
use tcpvitals_metrics::workloads::{
    book::{Book, Given},
    logs,
    path::PodId,
    pods::workload_of,
};

/// Who tells of pods.
#[derive(Debug)]
pub(super) enum Source {
    /// Nobody.
    Nobody,
    /// The folders in this one, for the node of that name.
    Logs {
        folder: PathBuf,
        node: Option<String>,
        log: Throttle,
        /// How long to wait until they are looked at again, while a pod is not known.
        pause: Duration,
        /// When that is.
        next: Instant,
        /// When they were looked at last.
        last: Option<Instant>,
    },
    /// The API server.
    Api {
        news: Receiver<Told>,
        /// Can be read when there are news.
        awake: UnixStream,
    },
}

/// The least time between two looks: where many pods come at once, one look finds several.
const LEAST: Duration = Duration::from_millis(50);
/// The pauses of [`Source::Logs`] while no pod comes.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The source that is in use where this one is configured, and why, where `auto` has chosen.
pub fn chosen(configured: WorkloadSource) -> (WorkloadSource, Option<String>) {
    match configured {
        WorkloadSource::Auto if in_cluster::has_token() => (WorkloadSource::Kubernetes, None),
        WorkloadSource::Auto => {
            let what = format!(
                "workloads.source is auto, and there is no token of a pod ({}): all pods are one workload",
                in_cluster::TOKEN
            );
            (WorkloadSource::Cgroup, Some(what))
        }
        WorkloadSource::None | WorkloadSource::Cgroup | WorkloadSource::PodLogs | WorkloadSource::Kubernetes => {
            (configured, None)
        }
    }
}

/// Why a source of names cannot be used, as far as that is seen without asking it.
pub fn why_absent(config: &Workloads) -> Option<String> {
    match chosen(config.source).0 {
        WorkloadSource::None | WorkloadSource::Cgroup | WorkloadSource::Auto => None,
        WorkloadSource::PodLogs => {
            let folder = &config.pod_logs;
            let error = files::names_in(folder).err()?;
            Some(format!("workloads.pod_logs: {}: {error}", folder.display()))
        }
        WorkloadSource::Kubernetes => {
            let api = api(config).map(|(api, _)| api.authorization().map(drop));
            match api {
                Err(error) => Some(error.to_string()),
                Ok(Err(fault)) => Some(fault.message),
                Ok(Ok(())) => None,
            }
        }
    }
}

/// Where to ask, and for the pods of which node.
fn api(config: &Workloads) -> Result<(Api, Pods), ConfigError> {
    Ok((Api::in_cluster(variable)?, Pods::on(config.node().as_deref())?))
}

/// Why a source says nothing, besides the kinds of faults of the API server.
const SYNCING: &str = "syncing";
const UNREADABLE: &str = "unreadable";

/// What is said of a source that is up and slow.
const ONLY_LISTS: &str = "the service account may list pods and not watch them (403): they are listed about once a minute, and a new \
                          pod is unresolved until then; let the role have the verbs list and watch";

impl Source {
    /// Whom the configuration names, of those that are there. It begins to tell.
    ///
    /// # Errors
    /// [`StartError`] when there is no such source, or no thread for it.
    pub(super) fn start(config: &Workloads, health: &Health) -> Result<Self, StartError> {
        match chosen(config.source).0 {
            WorkloadSource::None | WorkloadSource::Cgroup | WorkloadSource::Auto => Ok(Self::Nobody),
            WorkloadSource::PodLogs => {
                let folder = config.pod_logs.clone();
                let log = Throttle::new(throttle::FAULT);
                let _names = names_in(&folder, health, &log);
                Ok(Self::Logs {
                    folder,
                    node: config.node(),
                    log,
                    pause: SHORTEST,
                    next: now(),
                    last: None,
                })
            }
            WorkloadSource::Kubernetes => {
                health.is_down(SYNCING, "the pods of this node are being listed");
                Self::listen(config)
            }
        }
    }

    fn listen(config: &Workloads) -> Result<Self, StartError> {
        let (api, pods) = api(config)?;
        let failed = |error| TooFew::new(1, error);
        let (mut wake, awake) = UnixStream::pair().map_err(failed)?;
        wake.set_nonblocking(true).map_err(failed)?;
        awake.set_nonblocking(true).map_err(failed)?;
        let (sender, news) = mpsc::channel();
        let tell = move |told| {
            // Whoever reads it ends with the process only, and a byte that finds no room is one of many.
            let _sent = sender.send(told);
            let _woken = wake.write(&[1]);
        };
        let runtime = threads::runtime("tcpvitals-pods", 0, 2)?;
        let listen = move || -> () { runtime.block_on(kubernetes::watch(api, pods, tell)) };
        let thread = thread::Builder::new().name("tcpvitals-pods".to_owned()).spawn(listen);
        thread.map(drop).map_err(failed)?;
        Ok(Self::Api { news, awake })
    }

    /// Whether somebody tells whose a pod is.
    pub(super) const fn has_pods(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// What to wait for, and how long at most.
    pub(super) fn wait_for(&self, known: &Known) -> (Option<PollFd<'_>>, Option<Duration>) {
        match self {
            Self::Nobody => (None, None),
            Self::Logs { next, .. } => {
                let left = || next.saturating_duration_since(now());
                (None, is_waiting(known).then(left))
            }
            Self::Api { awake, .. } => (Some(PollFd::new(awake.as_fd(), PollFlags::POLLIN)), None),
        }
    }

    /// Writes the news into the book; the cgroups whose workload is known now. `has_strangers` is whether cgroups of pods were met since the
    /// last time that nobody has told yet.
    pub(super) fn tell(&mut self, known: &Known, has_strangers: bool) -> Vec<Given> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Logs {
                folder,
                node,
                log,
                pause,
                next,
                last,
            } => {
                if has_strangers {
                    *pause = SHORTEST;
                    *next = last.map_or_else(now, |last| last + LEAST);
                }
                let now = now();
                if now < *next || !is_waiting(known) {
                    return Vec::new();
                }
                *last = Some(now);
                *next = now + *pause;
                *pause = LONGEST.min(*pause * 2);
                let folders = names_in(folder, &known.health, log);
                let (Some(folders), Some(mut book)) = (folders, known.book()) else {
                    return Vec::new();
                };
                let pods = folders
                    .iter()
                    .filter_map(|name| logs::pod_of_folder(name, node.as_deref()));
                let pods: Vec<_> = pods.collect();
                // Those whose folders have gone linger as deleted ones do.
                book.keep(&pods.iter().map(|pod| pod.uid).collect());
                pods.iter()
                    .flat_map(|pod| book.put(pod, logs::workload_of(pod)))
                    .collect()
            }
            Self::Api { news, awake } => {
                empty(awake);
                let Some(mut book) = known.book() else {
                    return Vec::new();
                };
                let told = news.try_iter();
                told.flat_map(|told| take(&mut book, told, &known.health)).collect()
            }
        }
    }
}

/// Whether there are cgroups of pods that nobody has told yet.
fn is_waiting(known: &Known) -> bool {
    known.book().is_some_and(|book| book.is_waiting())
}

/// The names of the folders of pods' logs; `None` where they cannot be read.
fn names_in(folder: &Path, health: &Health, log: &Throttle) -> Option<Vec<String>> {
    match files::names_in(folder) {
        Ok(names) => {
            if log.over(UNREADABLE) {
                tracing::info!(folder = %folder.display(), "the names of pods can be read");
            }
            health.is_up();
            health.has_heard();
            Some(names)
        }
        Err(error) => {
            let folder = folder.display();
            if let Some(silent) = log.log(UNREADABLE) {
                tracing::warn!(%folder, %error, not_logged = silent, "the names of pods cannot be read");
            }
            health.is_down(UNREADABLE, &format!("{folder}: {error}"));
            None
        }
    }
}

fn take(book: &mut Book, told: Told, health: &Health) -> Vec<Given> {
    match &told {
        Told::State(State::Syncing) => health.is_down(SYNCING, "the pods of this node are being listed"),
        Told::State(State::Watching { .. }) => health.is_up(),
        Told::State(State::Listing(_)) => health.is_up_with(ONLY_LISTS),
        // What the server says is in the log: not everybody may see it.
        Told::State(State::Failed(Fault { kind, .. })) => health.is_down(kind.as_str(), kind.sentence()),
        Told::Listed(_) | Told::Added(_) | Told::Modified(_) | Told::Deleted { .. } | Told::Unchanged => {
            health.has_heard();
        }
    }
    match told {
        Told::Listed(pods) => {
            let uids: HashSet<PodId> = pods.iter().map(|pod| pod.uid).collect();
            book.keep(&uids);
            pods.iter().flat_map(|pod| book.put(pod, workload_of(pod))).collect()
        }
        Told::Added(pod) | Told::Modified(pod) => book.put(&pod, workload_of(&pod)),
        Told::Deleted { uid } => {
            book.delete(&uid);
            Vec::new()
        }
        Told::Unchanged | Told::State(_) => Vec::new(),
    }
}

/// Takes what woke the thread.
fn empty(awake: &mut UnixStream) {
    let mut bytes = [0; 64];
    loop {
        match awake.read(&mut bytes) {
            Ok(count) if count == bytes.len() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernetes::Kind;
    use tcpvitals_metrics::workloads::Rules;

    #[test]
    fn what_the_watch_tells_of_itself_is_its_health_without_the_words_of_the_server() {
        let (health, mut book) = (Health::default(), Book::new(Rules::default(), true, 8));
        health.begin("kubernetes", None, None);
        let mut tell = |told| {
            take(&mut book, told, &health);
            health.told().unwrap()
        };
        assert_eq!(tell(Told::State(State::Syncing)).off.as_deref(), Some("syncing"));
        let listed = tell(Told::Listed(Vec::new()));
        assert!(listed.last_update.is_some() && listed.off.is_some());
        let since = Duration::ZERO;
        let forbidden = || Fault {
            kind: Kind::Forbidden,
            message: "geheim".to_owned(),
        };
        let listing = tell(Told::State(State::Listing(forbidden())));
        assert_eq!((listing.off, listing.note.as_deref()), (None, Some(ONLY_LISTS)));
        let watching = tell(Told::State(State::Watching { since }));
        assert_eq!((watching.off, watching.note), (None, None));
        let failed = tell(Told::State(State::Failed(forbidden())));
        assert_eq!(
            (failed.off.as_deref(), failed.last_update),
            (Some("forbidden"), listed.last_update)
        );
        assert!(
            failed
                .note
                .is_some_and(|note| note.contains("403") && !note.contains("geheim"))
        );
        assert!(tell(Told::Unchanged).last_update > listed.last_update);
    }

    #[test]
    fn auto_without_a_token_takes_paths_and_says_why() {
        let (source, note) = chosen(WorkloadSource::Auto);
        // The test itself may run in a pod.
        let has_token = in_cluster::has_token();
        assert_eq!(source == WorkloadSource::Kubernetes, has_token);
        assert_eq!(note.is_some_and(|note| note.contains(in_cluster::TOKEN)), !has_token);
        assert_eq!(chosen(WorkloadSource::PodLogs), (WorkloadSource::PodLogs, None));
    }
}
