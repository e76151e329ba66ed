//! The watch of the own node's pods against an API server that is stricter than a real one: what it tells, what it asks, and what it
//! says of all that can go wrong.

mod faults;
mod hostile;
mod nodes;
mod truth;

use std::collections::BTreeMap;
use std::fs::write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tcpvitals::kubernetes::{Api, Kind, Pace, Pods, State, Told, watch};
use tcpvitals_metrics::workloads::path::PodId;
use tcpvitals_metrics::workloads::pods::PodMetadata;
use tempfile::{TempDir, tempdir};
use tests::kubernetes::api::Server;
use tests::machine::settings::patience;
use tests::machine::wait::Deadline;
use tokio::sync::oneshot;

const NODE: &str = "node-1.example";

/// A watch in a thread of its own, which ends when it is dropped.
struct Watch {
    told: Receiver<Told>,
    /// The pods by what was told so far.
    pods: BTreeMap<PodId, PodMetadata>,
    /// How often all pods were listed.
    lists: usize,
    folder: TempDir,
    _end: oneshot::Sender<()>,
}

/// So fast that tests need not wait, and with watches that do not end by themselves.
fn fast() -> Pace {
    Pace {
        pauses: Duration::from_millis(20)..=Duration::from_millis(200),
        answer: patience(),
        watch: Duration::from_secs(300)..=Duration::from_secs(600),
        grace: Duration::from_secs(15),
    }
}

impl Watch {
    fn start(server: &Server) -> Result<Self> {
        Self::at(server, fast())
    }

    fn at(server: &Server, pace: Pace) -> Result<Self> {
        let folder = tempdir()?;
        let [token, authority] = ["token", "ca.crt"].map(|name| folder.path().join(name));
        write(&token, "first\n")?;
        std::fs::copy(server.authority(), &authority)?;
        let api = Api::new(server.url(), token, authority).at(pace);
        let pods = Pods::on(Some(NODE))?;
        let (tell, told) = channel();
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // Nobody listens once a test is over.
                    _ = watch(api, pods, |what| drop(tell.send(what))) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self {
            told,
            pods: BTreeMap::new(),
            lists: 0,
            folder,
            _end: end,
        })
    }

    /// Another token in its file.
    fn token(&self, token: &str) -> Result<()> {
        Ok(write(self.folder.path().join("token"), token)?)
    }

    /// What is told next, besides that nothing has changed.
    fn next(&mut self) -> Result<Told> {
        loop {
            let told = self.told.recv_timeout(patience()).context("nothing is told")?;
            if told != Told::Unchanged {
                self.note(&told);
                return Ok(told);
            }
        }
    }

    fn note(&mut self, told: &Told) {
        let mut insert = |pod: &PodMetadata| drop(self.pods.insert(pod.uid, pod.clone()));
        match told {
            Told::Listed(pods) => {
                self.pods.clear();
                self.lists += 1;
                for pod in pods {
                    self.pods.insert(pod.uid, pod.clone());
                }
            }
            Told::Added(pod) | Told::Modified(pod) => insert(pod),
            Told::Deleted { uid } => drop(self.pods.remove(uid)),
            Told::Unchanged | Told::State(_) => {}
        }
    }

    /// Waits until it watches.
    fn watches(&mut self) -> Result<()> {
        self.until("to watch", |told, _| {
            matches!(told, Told::State(State::Watching { .. }))
        })
    }

    /// Waits until it has failed so, and gives what it says.
    fn fails(&mut self, kind: Kind) -> Result<String> {
        let mut message = String::new();
        self.until(&format!("to fail: {kind:?}"), |told, _| {
            let Told::State(State::Failed(fault)) = told else {
                return false;
            };
            message.clone_from(&fault.message);
            fault.kind == kind
        })?;
        Ok(message)
    }

    /// Waits until these pods, by name, are there.
    fn knows(&mut self, names: &[&str]) -> Result<()> {
        let is_so = |pods: &BTreeMap<PodId, PodMetadata>| {
            let mut own: Vec<&str> = pods.values().map(|pod| pod.name.as_str()).collect();
            own.sort_unstable();
            own == names
        };
        if is_so(&self.pods) {
            return Ok(());
        }
        self.until(&format!("to know {names:?}"), |_, pods| is_so(pods))
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&Told, &BTreeMap<PodId, PodMetadata>) -> bool) -> Result<()> {
        let deadline = Deadline::after(patience());
        let mut all = Vec::new();
        loop {
            match self.told.recv_timeout(deadline.left()) {
                Ok(told) => {
                    self.note(&told);
                    if is_so(&told, &self.pods) {
                        return Ok(());
                    }
                    all.push(told);
                }
                Err(RecvTimeoutError::Timeout) => bail!("waited for the watch {what} in vain; it told {all:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the watch has ended; it told {all:?}"),
            }
        }
    }

    /// Nothing is told for some time, but that nothing has changed.
    fn is_quiet(&self) -> Result<()> {
        let deadline = Deadline::after(Duration::from_millis(300));
        loop {
            match self.told.recv_timeout(deadline.left()) {
                Ok(Told::Unchanged) => {}
                Ok(told) => bail!("it told {told:?}"),
                Err(_) => return Ok(()),
            }
        }
    }
}

/// A parameter of a request.
fn parameter<'a>(uri: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = uri.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
