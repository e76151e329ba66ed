//! Where the names of pods come from: the API server, which a thread of its own listens to, or the folders of their logs, which are
//! looked at when a pod is not known.

use super::kubernetes::{self, Api, Told, in_cluster};
use crate::lifecycle::{
    start::StartError,
    threads::{self, TooFew},
};
use nix::poll::{PollFd, PollFlags};
use std::{
    collections::HashSet,
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::PathBuf,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};
use tcpvitals_config::{
    WorkloadSource, Workloads,
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
        /// How long to wait until they are looked at again, while a pod is not known.
        pause: Duration,
    },
    /// The API server.
    Api {
        news: Receiver<Told>,
        /// Can be read when there are news.
        awake: UnixStream,
    },
}

/// The pauses of [`Source::Logs`].
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

impl Source {
    /// Whom the configuration names, of those that are there. It begins to tell.
    ///
    /// # Errors
    /// [`StartError`] when there is no such source, or no thread for it.
    pub(super) fn start(config: &Workloads) -> Result<Self, StartError> {
        match config.source {
            WorkloadSource::None | WorkloadSource::Cgroup => Ok(Self::Nobody),
            WorkloadSource::PodLogs => Ok(Self::Logs {
                folder: config.pod_logs.clone(),
                node: config.node(),
                pause: SHORTEST,
            }),
            WorkloadSource::Kubernetes => Self::listen(config),
            WorkloadSource::Auto if in_cluster::has_token() => Self::listen(config),
            WorkloadSource::Auto => Ok(Self::Nobody),
        }
    }

    fn listen(config: &Workloads) -> Result<Self, StartError> {
        let look_up = |name: &str| match name {
            in_cluster::NODE => config.node(),
            _ => variable(name),
        };
        let api = Api::in_cluster(look_up)?;
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
        let listen = move || -> () { runtime.block_on(kubernetes::watch(api, tell)) };
        let thread = thread::Builder::new().name("tcpvitals-pods".to_owned()).spawn(listen);
        thread.map(drop).map_err(failed)?;
        Ok(Self::Api { news, awake })
    }

    /// Whether somebody tells whose a pod is.
    pub(super) const fn has_pods(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// What to wait for, and how long at most.
    pub(super) fn wait_for(&self, book: &Book) -> (Option<PollFd<'_>>, Option<Duration>) {
        match self {
            Self::Nobody => (None, None),
            Self::Logs { pause, .. } => (None, book.is_waiting().then_some(*pause)),
            Self::Api { awake, .. } => (Some(PollFd::new(awake.as_fd(), PollFlags::POLLIN)), None),
        }
    }

    /// Writes the news into the book; the cgroups whose workload is known now. `has_met` is whether cgroups were met since the last time.
    pub(super) fn tell(&mut self, book: &mut Book, has_met: bool) -> Vec<Given> {
        match self {
            Self::Nobody => Vec::new(),
            Self::Logs { folder, node, pause } => {
                if !book.is_waiting() {
                    return Vec::new();
                }
                *pause = if has_met { SHORTEST } else { LONGEST.min(*pause * 2) };
                let folders = files::names_in(folder).unwrap_or_else(|error| {
                    tracing::warn!(folder = %folder.display(), %error, "the names of pods cannot be read");
                    Vec::new()
                });
                let pods = folders
                    .iter()
                    .filter_map(|name| logs::pod_of_folder(name, node.as_deref()));
                pods.flat_map(|pod| book.put(&pod, logs::workload_of(&pod))).collect()
            }
            Self::Api { news, awake } => {
                empty(awake);
                news.try_iter().flat_map(|told| take(book, told)).collect()
            }
        }
    }
}

fn take(book: &mut Book, told: Told) -> Vec<Given> {
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
        Told::State(_) => Vec::new(),
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
