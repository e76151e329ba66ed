//! An API server in the test's own process: pods of one node, or nodes, by list and watch, and maps that are written, over TLS. It
//! refuses what a real one refuses, and whatever else a good client does not do; and it fails on request.
//!
//! `make test-cluster` holds it against a real kube-apiserver (`answers`): forms of lists, events, bookmarks and refusals; 400, 401, 403,
//! 406; a list of version 0 that ignores the limit; versions that a restarted server has forgotten, said by an event (410). A last page that
//! is empty was seen once. It is stricter where the real one ends a watch without a word (the form of lists for a watch) or takes what it
//! ignores (any parameter).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::events::Sender;
pub use super::odd::Odd;
use super::pods::Pod;
pub use super::rules::Verb;
use super::rules::{Refusal, Subject};
use super::serve::serve;
use crate::exporter::otlp::Authority;
use crate::machine::wait::until;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What was asked for; none if it was refused.
    pub verb: Option<Verb>,
    /// Path and query.
    pub uri: String,
    /// What the server makes of it, before it fails on request.
    pub status: u16,
    /// Who asked.
    pub token: String,
}

/// A change of a pod.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) pod: Value,
}

/// What the server has and how it is to behave.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) subject: Subject,
    /// ConfigMaps by their names, all of one namespace.
    pub(super) maps: BTreeMap<String, Value>,
    pub(super) token: String,
    pub(super) allowed: BTreeSet<Verb>,
    pub(super) version: u64,
    /// The oldest version that it knows.
    pub(super) oldest: u64,
    /// All changes, oldest first.
    pub(super) history: Vec<Change>,
    pub(super) watches: BTreeMap<u64, Sender>,
    pub(super) begun: u64,
    pub(super) asked: Vec<Asked>,
    pub(super) odd: BTreeMap<Verb, VecDeque<Odd>>,
    /// Lists of version 0 come whole.
    pub(super) has_cache: bool,
    /// It knows whole objects only.
    pub(super) is_old: bool,
    pub(super) says_gone_by_event: bool,
    pub(super) never_ends: bool,
    pub(super) forgets_between_pages: bool,
}

impl Store {
    /// All pods at a version.
    pub(super) fn at(&self, version: u64) -> Vec<Value> {
        let mut pods = BTreeMap::new();
        for Change { kind, pod, .. } in self.history.iter().filter(|change| change.version <= version) {
            let key = pod["metadata"]["uid"].to_string();
            if *kind == "DELETED" {
                pods.remove(&key);
            } else {
                pods.insert(key, pod.clone());
            }
        }
        pods.into_values().collect()
    }

    /// A pod of another node changes: nobody here hears of it.
    pub(super) fn change_elsewhere(&mut self) {
        self.version += 1;
    }

    fn change(&mut self, pod: Pod, is_deleted: bool) {
        self.version += 1;
        let node = match &self.subject {
            Subject::Pods { node } => Some(node.as_str()),
            Subject::Nodes => None,
        };
        let pod = pod.stored(node, self.version);
        let uid = &pod["metadata"]["uid"];
        let is_known = self
            .at(self.version)
            .iter()
            .any(|known| known["metadata"]["uid"] == *uid);
        let kind = match (is_deleted, is_known) {
            (true, _) => "DELETED",
            (false, true) => "MODIFIED",
            (false, false) => "ADDED",
        };
        self.watches.retain(|_, watch| watch.is_open());
        for watch in self.watches.values_mut() {
            watch.event(kind, &pod);
        }
        let version = self.version;
        self.history.push(Change { version, kind, pod });
    }
}

/// What cuts connections.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) epoch: AtomicU64,
    notify: Notify,
}

impl Cut {
    /// Waits until connections of this epoch are cut.
    pub(super) async fn after(&self, epoch: u64) {
        loop {
            let notified = self.notify.notified();
            if self.epoch.load(Ordering::SeqCst) > epoch {
                return;
            }
            notified.await;
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Shared {
    store: Arc<Mutex<Store>>,
    pub(super) cut: Arc<Cut>,
}

impl Shared {
    /// A panic of a test leaves a store that is whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server, which runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    authority: Authority,
    tls: Arc<ServerConfig>,
    shared: Shared,
    serving: Option<JoinHandle<()>>,
    runtime: Option<Runtime>,
}

impl Server {
    /// One with the pods of a node, which lets the token `first` list and watch them.
    pub fn start(node: &str) -> Result<Self> {
        let node = node.to_owned();
        Self::with(Subject::Pods { node }, &[Verb::List, Verb::Watch])
    }

    /// One with nodes, which lets the token `first` list and watch them, and write maps in the namespace `vitals`.
    pub fn of_nodes() -> Result<Self> {
        Self::with(Subject::Nodes, &[Verb::List, Verb::Watch, Verb::Patch, Verb::Create])
    }

    fn with(subject: Subject, allowed: &[Verb]) -> Result<Self> {
        let authority = Authority::new()?;
        let tls = Arc::new(authority.server()?);
        let store = Store {
            subject,
            maps: BTreeMap::new(),
            token: "first".to_owned(),
            allowed: allowed.iter().copied().collect(),
            version: 100,
            oldest: 1,
            history: Vec::new(),
            watches: BTreeMap::new(),
            begun: 0,
            asked: Vec::new(),
            odd: BTreeMap::new(),
            has_cache: true,
            is_old: false,
            says_gone_by_event: false,
            never_ends: false,
            forgets_between_pages: false,
        };
        let shared = Shared {
            store: Arc::new(Mutex::new(store)),
            cut: Arc::default(),
        };
        let mut server = Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            authority,
            tls,
            shared,
            serving: None,
            runtime: Some(Builder::new_multi_thread().worker_threads(1).enable_all().build()?),
        };
        server.go_on()?;
        Ok(server)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> &Path {
        self.authority.file()
    }

    /// Nobody listens any more, and all connections are gone.
    pub fn stop(&mut self) -> Result<()> {
        if let (Some(serving), Some(runtime)) = (self.serving.take(), &self.runtime) {
            serving.abort();
            runtime.block_on(serving).err().context("it had ended")?;
        }
        self.shared.lock().watches.clear();
        Ok(())
    }

    /// It listens again, at the same address.
    pub fn go_on(&mut self) -> Result<()> {
        let runtime = self.runtime.as_ref().context("a server has a runtime")?;
        let listener = runtime.block_on(TcpListener::bind(self.address));
        let listener = listener.with_context(|| format!("listen on {}", self.address))?;
        self.address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        self.serving = Some(runtime.spawn(serve(listener, acceptor, self.shared.clone())));
        Ok(())
    }

    /// From now on this is the one token that it accepts.
    pub fn accept(&self, token: &str) {
        self.shared.lock().token = token.to_owned();
    }

    /// From now on the token's owner may do this and no more.
    pub fn allow(&self, verbs: &[Verb]) {
        self.shared.lock().allowed = verbs.iter().copied().collect();
    }

    /// A pod is bound to the node, or changes.
    pub fn put(&self, pod: Pod) {
        self.shared.lock().change(pod, false);
    }

    /// A pod is gone.
    pub fn delete(&self, pod: Pod) {
        self.shared.lock().change(pod, true);
    }

    /// A pod of another node changes.
    pub fn change_elsewhere(&self) {
        self.shared.lock().change_elsewhere();
    }

    /// The data of a map.
    pub fn map(&self, name: &str) -> Option<Value> {
        Some(self.shared.lock().maps.get(name)?["data"].clone())
    }

    /// Somebody else writes a map, or takes it away.
    pub fn set_map(&self, name: &str, data: Option<Value>) {
        let maps = &mut self.shared.lock().maps;
        match data {
            Some(data) => drop(maps.insert(name.to_owned(), json!({"data": data}))),
            None => drop(maps.remove(name)),
        }
    }

    /// Tells those who watch of the version by now.
    pub fn bookmark(&self) -> u64 {
        let mut store = self.shared.lock();
        let version = store.version;
        let object = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null},
            "spec": {"containers": null}, "status": {},
        });
        for watch in store.watches.values_mut().filter(|watch| watch.has_bookmarks) {
            watch.event("BOOKMARK", &object);
        }
        version
    }

    /// It forgets all versions before the one by now.
    pub fn forget(&self) {
        let mut store = self.shared.lock();
        store.oldest = store.version;
    }

    /// It says that a version is too old by an event, not by the status of the answer; those who watch now are told so at once.
    pub fn say_gone_by_event(&self) {
        let mut store = self.shared.lock();
        store.says_gone_by_event = true;
        let gone = Refusal::gone(store.oldest, store.version).body();
        for mut watch in std::mem::take(&mut store.watches).into_values() {
            watch.event("ERROR", &gone);
        }
    }

    /// It ends all streams, as after their time.
    pub fn end_watches(&self) {
        self.shared.lock().watches.clear();
    }

    /// It cuts all connections.
    pub fn cut(&self) {
        self.shared.cut.epoch.fetch_add(1, Ordering::SeqCst);
        self.shared.cut.notify.notify_waiters();
    }

    /// It has no cache: every list comes in pages.
    pub fn without_cache(&self) {
        self.shared.lock().has_cache = false;
    }

    /// It forgets old versions after the next page that has another behind it.
    pub fn forget_between_pages(&self) {
        self.shared.lock().forgets_between_pages = true;
    }

    /// It knows whole objects only.
    pub fn be_old(&self) {
        self.shared.lock().is_old = true;
    }

    /// It does not end streams after the time that was asked for.
    pub fn never_end(&self, so: bool) {
        self.shared.lock().never_ends = so;
    }

    /// The next good requests of a kind get these answers.
    pub fn answer(&self, verb: Verb, odd: impl IntoIterator<Item = Odd>) {
        self.shared.lock().odd.entry(verb).or_default().extend(odd);
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }

    /// Those of a kind that were good.
    pub fn good(&self, verb: Verb) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.verb == Some(verb));
        asked
    }

    /// Waits until so many requests of a kind were good.
    pub fn wait_for(&self, verb: Verb, count: usize) -> Result<Vec<Asked>> {
        until(&format!("{count} requests to {verb:?}"), || {
            let good = self.good(verb);
            Ok((good.len() >= count).then_some(good))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Some handlers never answer.
            runtime.shutdown_background();
        }
    }
}
