//! One connection of the table: what it does, and for how long it has kept the server waiting. It has no clock.

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

use crate::serve::web::{
    connections::bodies::BodyId,
    transport::{ending::Ending, peer::Peer},
};

/// How much longer than an idle connection one with an answer under way has to last, to be closed in its place.
pub(super) const BUSY: u32 = 4;

/// How long it may be our own doing that a connection has no request yet: where the machine is busy, it has come and nobody has
/// read it.
pub(super) const OWN: Duration = Duration::from_secs(1);

/// A connection this young is not closed for another: its first byte may be on its way. The next ones wait in the kernel's queue
/// meanwhile, so it is the time between connecting and writing and no more.
pub(super) const YOUNG: Duration = Duration::from_millis(10);

/// Nor is one that has said something, which takes its time on a busy machine: to be read, to be answered, and to be taken. It is as
/// short as that, since the next ones wait meanwhile.
pub(super) const FRESH: Duration = Duration::from_millis(30);

/// A request of which only a part has come is closed before one that has come whole, within [`OWN`] too.
pub(super) const PART: u32 = 64;

/// A connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: Peer,
    pub(super) only_health: bool,
    /// Its peer has logged in within the hour.
    pub(super) known: bool,
    pub(super) opened: Instant,
    /// Whether its first byte has come, and whether it has had a request.
    pub(super) heard: bool,
    pub(super) served: bool,
    /// Since when it does nothing, if it does.
    pub(super) since: Instant,
    pub(super) requests: BTreeMap<u64, Request>,
    /// Since when it is known that its client has sent something that is not read yet.
    pub(super) asks: Option<Instant>,
    /// Its client has sent more before it had its answer, as no scraper does.
    pub(super) rows: bool,
    /// Its next request waits for its turn; meanwhile nothing is read.
    pub(super) presses: bool,
    pub(super) ending: Arc<Ending>,
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) since: Instant,
    /// Since when it is the client's turn: to take the answer.
    pub(super) answered: Option<Instant>,
    pub(super) body: Option<BodyId>,
}

impl Request {
    pub(super) const fn new(since: Instant) -> Self {
        Self {
            since,
            answered: None,
            body: None,
        }
    }
}

/// How many connections a peer has at most before it is the first to lose one, where all places are taken: enough for a scraper, a
/// probe and a person, and no gain for whoever has as many addresses as there are places.
pub(super) const FEW: usize = 4;

/// Who goes first: of those that keep the server waiting, whoever sends requests in a row, and then those whose peer has more than
/// [`FEW`]; then those that have said nothing, then those that wait longest. More is sooner.
pub(super) type Rank = (bool, bool, bool, Duration);

impl Entry {
    /// One that has just been opened.
    pub(super) fn new(peer: Peer, now: Instant) -> Self {
        Self {
            peer,
            only_health: false,
            known: false,
            opened: now,
            heard: false,
            served: false,
            since: now,
            requests: BTreeMap::new(),
            asks: None,
            rows: false,
            presses: false,
            ending: Arc::default(),
        }
    }

    /// When the oldest of its requests began.
    pub(super) fn busy_since(&self) -> Option<Instant> {
        self.requests.values().map(|request| request.since).min()
    }

    /// How long it has kept us waiting: who does longest goes first. It does not while an answer is made, nor while it is so young
    /// that its first byte may be on its way. An answer that it takes slowly counts for less.
    pub(super) fn waits(&self, now: Instant) -> Duration {
        if self.requests.values().any(|request| request.answered.is_none()) || self.is_young(now) {
            return Duration::ZERO;
        }
        if let Some(answered) = self.requests.values().filter_map(|request| request.answered).min() {
            return now.saturating_duration_since(answered) / BUSY;
        }
        let idle = now.saturating_duration_since(self.since);
        if self.ending.is_untaken() {
            return idle / BUSY;
        }
        let asks = self.asks.or((self.heard && !self.served).then_some(self.since));
        let Some(asks) = asks else { return idle };
        let asks = now.saturating_duration_since(asks);
        (asks / PART).max(asks.saturating_sub(OWN))
    }

    /// Its place among strangers, if its peer has so many connections.
    pub(super) fn rank(&self, now: Instant, share: usize) -> Rank {
        let waits = self.waits(now);
        let silent = self.is_silent();
        let keeps_waiting = !waits.is_zero();
        (self.rows && keeps_waiting, share > FEW && keeps_waiting, silent, waits)
    }

    /// Asks the socket of one that seems to do nothing, and tells whether that has changed its rank: its client has sent something, and
    /// it is the server that has not read it. That counts once for each request, and not while the server reads nothing on purpose.
    pub(super) fn is_found_asking(&mut self, now: Instant) -> bool {
        let is_known_to_ask = self.asks.is_some() || (self.heard && !self.served);
        if is_known_to_ask || self.presses || self.is_busy() || !self.ending.has_unread() {
            return false;
        }
        self.asks = Some(if self.served { now } else { self.since });
        true
    }

    pub(super) const fn is_strange(&self) -> bool {
        !self.known && !self.only_health
    }

    /// Nothing has come of its client, as far as is known.
    pub(super) const fn is_silent(&self) -> bool {
        !self.heard && !self.served && self.asks.is_none()
    }

    /// It is not closed for another yet, unless there is nobody else.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        let young = if self.is_silent() { YOUNG } else { FRESH };
        now.saturating_duration_since(self.opened) < young
    }

    /// An answer is under way: it is made, or the client takes it slowly.
    pub(super) fn is_busy(&self) -> bool {
        !self.requests.is_empty() || self.ending.is_untaken()
    }

    /// Whether it has had no answer that the kernel may still be delivering, or does not take the one that it has.
    pub(super) fn is_cut_off(&self) -> bool {
        !self.served || self.is_busy()
    }
}
