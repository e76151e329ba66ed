//! The watch: lists what there is once, then hears of every change, for ever.
//! It must never end, ask more often than its pace allows, or take back what it told because the server is away.
//! From `connection`; to whoever is told. It reads two small files before requests: run it on a thread that serves nobody.

use super::{
    backoff::Backoff,
    connection::{Connection, Setback, broken, unreadable},
    in_cluster::Api,
    lines::Lines,
    objects::{self, Event, Line, pods::Pods},
    request::Part,
    resource::Resource,
    status::{Fault, Kind, State},
};
use crate::{
    client::chain,
    lifecycle::{
        clock::since_1970,
        throttle::{self, Throttle},
    },
};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::time::Duration;
use tcpvitals_metrics::workloads::{path::PodId, pods::PodMetadata};
use tokio::time::{Instant, sleep, timeout_at};

/// Objects of a page.
const LIMIT: u32 = 50;
/// Longest line of a watch: an object has 1.5 MiB at most in etcd.
const LONGEST_LINE: usize = 4 << 20;
/// HTTP's word for a version that the server has forgotten.
const GONE: u16 = 410;

/// What the watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<O = PodMetadata, K = PodId> {
    /// These are there, and no others.
    Listed(Vec<O>),
    /// One has come. A pod was bound to the node; its cgroup comes later.
    Added(O),
    /// One is there, and may have changed.
    Modified(O),
    /// One is gone.
    Deleted {
        /// Which.
        uid: K,
    },
    /// Nothing has changed: a bookmark.
    Unchanged,
    /// The watch itself has changed.
    State(State),
}

/// Tells of a node's pods. It never ends; whoever drops it ends it.
pub async fn watch(api: Api, pods: Pods, tell: impl FnMut(Told)) -> ! {
    watch_all(api, pods, tell).await
}

/// All objects of a resource by now, asked for once.
pub(crate) async fn list<R: Resource>(api: &Api, resource: R) -> Result<Vec<R::Object>, Fault> {
    let mut objects = None;
    let mut watcher = Watcher::new(api.clone(), resource, |told| {
        if let Told::Listed(all) = told {
            objects = Some(all);
        }
    });
    // Only of etcd does it come in pages.
    watcher.begin = Part::Latest;
    let connection = Connection::new(api)?;
    let mut listed = watcher.list(&connection).await;
    while let Err(Setback::TooLarge) = &listed
        && watcher.limit > 1
    {
        watcher.limit = (watcher.limit / 4).max(1);
        listed = watcher.list(&connection).await;
    }
    drop(watcher);
    match listed {
        Ok(_version) => Ok(objects.unwrap_or_default()),
        Err(Setback::Failed { fault, .. } | Setback::MayOnlyList(fault)) => Err(fault),
        Err(Setback::TooLarge) => Err(unreadable(
            api,
            &format!("a single {} is larger than can be", R::SINGULAR),
        )),
        Err(Setback::Gone | Setback::Broken) => Err(broken(api, "the list changed while it was read")),
    }
}

/// Tells of the objects of a resource. It never ends; whoever drops it ends it.
pub(crate) async fn watch_all<R: Resource>(api: Api, resource: R, tell: impl FnMut(Told<R::Object, R::Key>)) -> ! {
    let mut watcher = Watcher::new(api, resource, tell);
    loop {
        if let Err(setback) = watcher.round().await {
            let pause = watcher.set_back(setback);
            sleep(pause).await;
        }
    }
}

struct Watcher<R, F> {
    api: Api,
    resource: R,
    tell: F,
    /// As it was last told.
    state: Option<State>,
    /// None after every failure, so that the authority is read anew.
    connection: Option<Connection>,
    /// Since a stream did well.
    failures: Backoff,
    /// Versions that were too old since then.
    lists: Backoff,
    /// How the next list begins.
    begin: Part,
    /// Objects of a page.
    limit: u32,
    /// What to watch from, once there was a list.
    version: Option<String>,
    /// The last list led to no stream that did well.
    is_behind: bool,
    /// The last stream has broken.
    has_broken: bool,
    log: Throttle,
}

impl<R: Resource, F: FnMut(Told<R::Object, R::Key>)> Watcher<R, F> {
    fn new(api: Api, resource: R, tell: F) -> Self {
        Self {
            failures: Backoff::new(&api.pace().pauses),
            lists: Backoff::new(&api.pace().pauses),
            api,
            resource,
            tell,
            state: None,
            connection: None,
            begin: Part::Cached,
            limit: LIMIT,
            version: None,
            is_behind: false,
            has_broken: false,
            log: Throttle::new(throttle::FAULT),
        }
    }

    /// A list, if one is needed, and a watch until it ends.
    async fn round(&mut self) -> Result<(), Setback> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::new(&self.api)?,
        };
        let version = match &self.version {
            Some(version) => version.clone(),
            None => self.list(&connection).await?,
        };
        let followed = self.follow(&connection, &version).await;
        self.connection = Some(connection);
        match followed {
            Err(Setback::Failed { fault, asked: _ }) if fault.kind == Kind::Forbidden => {
                Err(Setback::MayOnlyList(fault))
            }
            Err(setback) => {
                self.connection = None;
                Err(setback)
            }
            Ok(()) => Ok(()),
        }
    }

    /// All objects by now, and the version of the list.
    async fn list(&mut self, connection: &Connection) -> Result<String, Setback> {
        self.turn(State::Syncing);
        let mut objects = Vec::new();
        let mut unusable = 0;
        let mut part = self.begin.clone();
        for _ in 0..R::MOST {
            let page = connection.page(&self.api, &self.resource, &part, self.limit).await?;
            objects.extend(page.objects);
            unusable += page.unusable;
            if objects.len() + unusable > R::MOST {
                break;
            }
            let Some(next) = page.next else {
                self.leave_out(unusable);
                (self.tell)(Told::Listed(objects));
                self.begin = Part::Cached;
                self.version = Some(page.version.clone());
                return Ok(page.version);
            };
            part = Part::Next(next);
        }
        let what = format!("it lists more than {} {}", R::MOST, self.resource.describe());
        Err(unreadable(&self.api, &what).into())
    }

    /// Hears of changes until the server ends the watch, or should have.
    async fn follow(&mut self, connection: &Connection, version: &str) -> Result<(), Setback> {
        let pace = self.api.pace();
        let (shortest, longest) = (pace.watch.start().as_secs(), pace.watch.end().as_secs());
        let seconds = rand::random_range(shortest..=longest.max(shortest));
        let mut body = connection.watch(&self.api, &self.resource, version, seconds).await?;
        let began = Instant::now();
        let end = began + Duration::from_secs(seconds) + self.api.pace().grace;
        self.turn(State::Watching { since: since_1970() });
        let followed = self.read(&mut body, end).await;
        // One that ends at once must not be asked for without a pause.
        if began.elapsed() >= *self.api.pace().pauses.start() {
            self.does_well();
        } else if matches!(followed, Ok(has_heard) if !has_heard) {
            return Err(Setback::Broken);
        }
        followed.map(drop)
    }

    /// Reads a stream until its end, and gives whether it brought anything.
    async fn read(&mut self, body: &mut Incoming, end: Instant) -> Result<bool, Setback> {
        let mut lines = Lines::new(LONGEST_LINE);
        let mut has_heard = false;
        loop {
            match timeout_at(end, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    let heard = lines.split(&piece, |line| {
                        self.hear(line)?;
                        has_heard = true;
                        Ok::<(), Setback>(())
                    });
                    if let Err(setback) = heard {
                        return Err(self.distrust(setback));
                    }
                }
                Ok(Some(Err(error))) => {
                    // Once is a matter of a moment: the next request tells.
                    let is_again = std::mem::replace(&mut self.has_broken, true) && !has_heard;
                    let fault = is_again.then(|| broken(&self.api, &chain(&error)));
                    return Err(fault.map_or(Setback::Broken, Setback::from));
                }
                Ok(None) => {
                    self.has_broken = false;
                    return Ok(has_heard);
                }
                // The connection is dead, or the server does not count seconds. Another connection will tell.
                Err(_elapsed) => return Err(Setback::Broken),
            }
        }
    }

    fn hear(&mut self, line: &[u8]) -> Result<(), Setback> {
        let line = objects::line(&self.resource, line).map_err(|error| unreadable(&self.api, &error))?;
        let (event, version) = match line {
            Line::Event(event, version) => (*event, version),
            Line::Error(status) if status.code == GONE => return Err(Setback::Gone),
            Line::Error(status) => return Err(Fault::of_event(R::PLURAL, &status, self.api.server()).into()),
        };
        self.version = Some(version);
        self.does_well();
        match event {
            Event::Added(object) => (self.tell)(Told::Added(object)),
            Event::Modified(object) => (self.tell)(Told::Modified(object)),
            Event::Deleted { uid } => (self.tell)(Told::Deleted { uid }),
            Event::Bookmark => (self.tell)(Told::Unchanged),
            Event::Unusable => self.leave_out(1),
        }
        Ok(())
    }

    const fn does_well(&mut self) {
        self.failures.reset();
        self.lists.reset();
        self.is_behind = false;
    }

    /// After a stream that said something odd only a list tells what is.
    fn distrust(&mut self, setback: Setback) -> Setback {
        if !matches!(setback, Setback::Gone) {
            self.version = None;
        }
        setback
    }

    /// How long to wait, and what to do then.
    fn set_back(&mut self, setback: Setback) -> Duration {
        let mut asked = None;
        match setback {
            Setback::Broken => {}
            Setback::Gone => {
                // What the cache says is too old for it twice: another server's cache, perhaps. Then etcd has to say it.
                self.begin = if self.is_behind { Part::Latest } else { Part::Cached };
                self.is_behind = true;
                self.version = None;
                self.turn(State::Syncing);
                // However long it was away before: it answers.
                self.failures.reset();
                return self.lists.pause(None, rand::random());
            }
            Setback::TooLarge if self.limit > 1 => {
                // Of the cache a server sends all at once, whatever the limit.
                self.begin = Part::Latest;
                self.limit = (self.limit / 4).max(1);
            }
            Setback::TooLarge => {
                let what = format!("a single {} is larger than can be", R::SINGULAR);
                let fault = unreadable(&self.api, &what);
                self.turn(State::Failed(fault));
            }
            Setback::MayOnlyList(fault) => {
                // The next round lists again.
                self.version = None;
                self.turn(State::Listing(fault));
            }
            Setback::Failed { fault, asked: by } => {
                asked = by;
                self.turn(State::Failed(fault));
            }
        }
        self.failures.pause(asked, rand::random())
    }

    /// Tells and logs a state that is another. A list after a failure is none: the watch has to begin first.
    fn turn(&mut self, state: State) {
        let is_told = match (&self.state, &state) {
            (None, _) => false,
            (Some(State::Failed(told)), State::Failed(fault)) => told.kind == fault.kind,
            (Some(State::Failed(_) | State::Listing(_)), State::Syncing) => true,
            (Some(told), state) => std::mem::discriminant(told) == std::mem::discriminant(state),
        };
        if is_told {
            return;
        }
        let (what, server) = (self.resource.describe(), self.api.server());
        match &state {
            State::Syncing => tracing::debug!(server, "{}: listing the {what}", R::PURPOSE),
            State::Watching { .. } => {
                let kinds = Kind::ALL.map(Kind::as_str).into_iter().chain([ONLY_LISTS]);
                let over = kinds.filter(|kind| self.log.over(kind)).count();
                let is_first = self.state.as_ref().is_none_or(|state| matches!(state, State::Syncing));
                if over > 0 || is_first {
                    tracing::info!(server, "{}: watching the {what}", R::PURPOSE);
                }
            }
            State::Listing(Fault { message, .. }) => {
                if let Some(silent) = self.log.log(ONLY_LISTS) {
                    let longest = self.api.pace().pauses.end();
                    tracing::warn!(
                        not_logged = silent,
                        "{}: {message}; until then the {what} are listed again and again, after {longest:?} at most",
                        R::PURPOSE
                    );
                }
            }
            State::Failed(Fault { kind, message }) => {
                if let Some(silent) = self.log.log(kind.as_str()) {
                    tracing::warn!(
                        not_logged = silent,
                        "{}: {message}; what is known of {} stays until then",
                        R::PURPOSE,
                        R::PLURAL
                    );
                }
            }
        }
        self.state = Some(state.clone());
        (self.tell)(Told::State(state));
    }

    fn leave_out(&self, count: usize) {
        if count > 0 && self.log.log(UNUSABLE).is_some() {
            tracing::warn!(
                count,
                "{}: {} without a usable UID or name, or events of an unknown kind, are left out",
                R::PURPOSE,
                R::PLURAL
            );
        }
    }
}

/// Kinds of the log, beside those of faults.
const UNUSABLE: &str = "unusable";
const ONLY_LISTS: &str = "only lists";
