//! The table of connections. It has no clock: who asks says what time it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tcpvitals_metrics::snapshot::Refusal;
use tokio::time::Instant;

use super::ending::Ending;
use crate::serve::web::{
    access::peer::Peer,
    body::{BodyId, Kind},
};

/// Most connections at a time, besides those for [`HEALTH`]. In all well below the usual limit of open files, 1024.
pub(super) const MOST: usize = 496;

/// Of these, how many are for peers that have logged in.
const RESERVED: usize = 48;

/// Connections beyond what a peer may have that learn whether the exporter is healthy; and how many a peer has of these.
const HEALTH: usize = 16;
const HEALTH_PER_PEER: usize = 4;

/// How much longer than an idle connection one with an answer under way has to last, to be closed in its place.
const BUSY: u32 = 4;

/// How long it may be our own doing that a connection has no request yet: where the machine is busy, it has come and nobody has
/// read it.
const OWN: Duration = Duration::from_secs(1);

/// A connection this young is not closed for another: its first byte may be on its way. The next ones wait in the kernel's queue
/// meanwhile, so it is the time between connecting and writing and no more.
const YOUNG: Duration = Duration::from_millis(10);

/// A request of which only a part has come is closed before one that has come whole, within [`OWN`] too.
const PART: u32 = 64;

/// Connections that were told to close and still have their descriptor. With more, no other is taken in.
const MOST_LEAVING: usize = 32;

/// How long a peer is known after it has logged in, and how many are.
const KNOWN: Duration = Duration::from_secs(3600);
const MOST_KNOWN: usize = 1024;

/// Memory is given back once so many connections have gone that only half of them are left.
const MANY: usize = 32;

/// Every open connection, and the peers that have logged in.
#[derive(Debug, Default)]
pub(super) struct Table {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    /// Those of strangers that have said nothing yet, and how many strangers there are: so that a flood of them is fended off in less
    /// time than it takes to send it.
    silent: BTreeSet<u64>,
    strange: usize,
    known: HashMap<Peer, Instant>,
    /// How many were told to close and are still there.
    leaving: usize,
    /// Most connections since memory was given back.
    highest: usize,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    only_health: bool,
    /// Its peer has logged in within the hour.
    known: bool,
    opened: Instant,
    /// Whether its first byte has come, and whether it has had a request.
    heard: bool,
    served: bool,
    /// Since when it does nothing, if it does.
    since: Instant,
    requests: BTreeMap<u64, Request>,
    ending: Arc<Ending>,
}

#[derive(Debug)]
struct Request {
    since: Instant,
    /// Since when it is the client's turn: to take the answer.
    answered: Option<Instant>,
    body: Option<BodyId>,
}

impl Request {
    const fn new(since: Instant) -> Self {
        Self {
            since,
            answered: None,
            body: None,
        }
    }
}

/// A place in the table.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) number: u64,
    pub(super) ending: Arc<Ending>,
    pub(super) only_health: bool,
    /// Whether somebody was refused for it.
    pub(super) refused: Option<(Refusal, Peer)>,
}

impl Entry {
    /// When the oldest of its requests began.
    fn busy_since(&self) -> Option<Instant> {
        self.requests.values().map(|request| request.since).min()
    }

    /// How long it has kept us waiting: who does longest goes first. It does not while an answer is made, nor while it is so young
    /// that its first byte may be on its way. An answer that it takes slowly counts for less.
    fn waits(&self, now: Instant) -> Duration {
        if self.requests.values().any(|request| request.answered.is_none()) || self.is_young(now) {
            return Duration::ZERO;
        }
        if let Some(answered) = self.requests.values().filter_map(|request| request.answered).min() {
            return now.saturating_duration_since(answered) / BUSY;
        }
        let idle = now.saturating_duration_since(self.since);
        if self.ending.is_stalled() {
            return idle / BUSY;
        }
        if self.heard && !self.served {
            (idle / PART).max(idle.saturating_sub(OWN))
        } else {
            idle
        }
    }

    const fn is_strange(&self) -> bool {
        !self.known && !self.only_health
    }

    fn is_young(&self, now: Instant) -> bool {
        !self.served && now.saturating_duration_since(self.opened) < YOUNG
    }

    /// An answer is under way: it is made, or the client takes it slowly.
    fn is_busy(&self) -> bool {
        !self.requests.is_empty() || self.ending.is_stalled()
    }

    /// Whether it has had no answer that the kernel may still be delivering, or does not take the one that it has.
    fn is_cut_off(&self) -> bool {
        !self.served || self.is_busy()
    }
}

impl Table {
    pub(super) fn open(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Takes a connection in. A peer that has too many loses its longest idle one; while all of them are busy, the new one is
    /// good for nothing but the paths of health. Where all places are taken, the longest idle connection of all goes.
    pub(super) fn admit(&mut self, peer: Peer, per_peer: usize, now: Instant) -> Admission {
        let most = if peer.is_loopback() { MOST } else { per_peer };
        let own = |entry: &Entry| entry.peer == peer && !entry.only_health;
        let mut refused = None;
        let mut only_health = false;
        if self.count(own) >= most {
            refused = Some((Refusal::ConnectionsPerPeer, peer));
            match self.first(now, |entry| own(entry) && !entry.is_busy()) {
                Some(idle) => drop(self.close(idle)),
                None => only_health = true,
            }
        }
        if only_health {
            self.make_room_for_health(peer, now);
        } else {
            refused = self.make_room(peer, now).or(refused);
        }
        let number = self.next;
        self.next += 1;
        let ending = Arc::new(Ending::default());
        let known = self.known.contains_key(&peer);
        if !known && !only_health {
            self.strange += 1;
            self.silent.insert(number);
        }
        self.entries.insert(
            number,
            Entry {
                peer,
                only_health,
                known,
                opened: now,
                heard: false,
                served: false,
                since: now,
                requests: BTreeMap::new(),
                ending: Arc::clone(&ending),
            },
        );
        self.highest = self.highest.max(self.entries.len());
        Admission {
            number,
            ending,
            only_health,
            refused,
        }
    }

    fn make_room_for_health(&mut self, peer: Peer, now: Instant) {
        let own = |entry: &Entry| entry.only_health && entry.peer == peer;
        if self.count(own) >= HEALTH_PER_PEER
            && let Some(oldest) = self.first(now, own)
        {
            self.close(oldest);
        }
        if self.count(|entry| entry.only_health) >= HEALTH
            && let Some(oldest) = self.first(now, |entry| entry.only_health)
        {
            self.close(oldest);
        }
    }

    /// Who has logged in takes the place of somebody who has not, and never the other way round.
    fn make_room(&mut self, peer: Peer, now: Instant) -> Option<(Refusal, Peer)> {
        self.forget(now);
        let is_known = self.known.contains_key(&peer);
        let full = (!is_known && self.strange >= MOST - RESERVED) || self.count(|entry| !entry.only_health) >= MOST;
        if !full {
            return None;
        }
        let goes = self
            .first_stranger(now)
            .or_else(|| self.first(now, |entry| !entry.only_health))?;
        let loser = self.entries.get(&goes)?.peer;
        self.close(goes);
        Some((Refusal::Connections, loser))
    }

    fn count(&self, which: impl Fn(&Entry) -> bool) -> usize {
        self.entries.values().filter(|entry| which(entry)).count()
    }

    /// The one that goes first of these.
    fn first(&self, now: Instant, which: impl Fn(&Entry) -> bool) -> Option<u64> {
        let entries = self.entries.iter().rev().filter(|(_, entry)| which(entry));
        let (number, _) = entries.max_by_key(|(_, entry)| entry.waits(now))?;
        Some(*number)
    }

    /// The stranger that goes first: the first of those that have said nothing, or whoever waits longest.
    fn first_stranger(&self, now: Instant) -> Option<u64> {
        let silent = self.silent.first().filter(|number| {
            let entry = self.entries.get(number);
            entry.is_some_and(|entry| !entry.is_young(now))
        });
        silent.copied().or_else(|| self.first(now, Entry::is_strange))
    }

    /// Whether a stranger may be taken in without that anybody goes who has just come, or that too many are about to go.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.leaving < MOST_LEAVING
            && (self.strange < MOST - RESERVED
                || self
                    .first_stranger(now)
                    .and_then(|first| self.entries.get(&first))
                    .is_none_or(|first| !first.is_young(now)))
    }

    fn take_out(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.silent.remove(&number);
        self.strange -= usize::from(entry.is_strange());
        Some(entry)
    }

    fn close(&mut self, number: u64) -> Option<Peer> {
        let entry = self.take_out(number)?;
        self.leaving += 1;
        if entry.is_cut_off() {
            entry.ending.reset();
        }
        entry.ending.tell();
        Some(entry.peer)
    }

    pub(super) fn close_one(&mut self, now: Instant) {
        if let Some(goes) = self.first(now, |_| true) {
            self.close(goes);
        }
    }

    /// Closes the connections of whoever holds the oldest body of this kind, unless somebody has begun it within `young`.
    pub(super) fn cut_off_oldest_answer(
        &mut self,
        kind: Kind,
        now: Instant,
        young: Duration,
    ) -> Option<(BodyId, Vec<Peer>)> {
        let requests = self.entries.values().flat_map(|entry| entry.requests.values());
        let bodies = requests.filter_map(|request| request.body);
        let oldest = bodies.filter(|body| body.kind == kind).min()?;
        let holds = |request: &Request| request.body == Some(oldest);
        let is_young = |request: &Request| now.saturating_duration_since(request.since) < young;
        let mut holders = Vec::new();
        for (number, entry) in &self.entries {
            if entry
                .requests
                .values()
                .any(|request| holds(request) && is_young(request))
            {
                return None;
            }
            if entry.requests.values().any(holds) {
                holders.push(*number);
            }
        }
        Some((
            oldest,
            holders.into_iter().filter_map(|number| self.close(number)).collect(),
        ))
    }

    /// Whether only half of those are left that there were once.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        if self.take_out(number).is_none() {
            self.leaving = self.leaving.saturating_sub(1);
        }
        let left = self.entries.len();
        let fell = self.highest >= MANY && left <= self.highest / 2;
        if fell {
            self.highest = left;
        }
        fell
    }

    pub(super) fn heard(&mut self, number: u64, now: Instant) {
        self.silent.remove(&number);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.heard = true;
            entry.since = now;
        }
    }

    pub(super) fn begin(&mut self, number: u64, now: Instant) -> u64 {
        let request = self.next;
        self.next += 1;
        self.silent.remove(&number);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.served = true;
            entry.requests.insert(request, Request::new(now));
        }
        request
    }

    /// It is answered: the client has yet to take this body, if it is large.
    pub(super) fn answer(&mut self, number: u64, request: u64, body: Option<BodyId>, now: Instant) {
        let entry = self.entries.get_mut(&number);
        if let Some(request) = entry.and_then(|entry| entry.requests.get_mut(&request)) {
            (request.answered, request.body) = (Some(now), body);
        }
    }

    pub(super) fn end(&mut self, number: u64, request: u64, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.requests.remove(&request);
            entry.since = now;
        }
    }

    /// When it has waited for too long, and whether it is busy; none once it is closed.
    pub(super) fn due(&self, number: u64, answer: Duration, idle: Duration) -> Option<(Instant, bool)> {
        let entry = self.entries.get(&number)?;
        Some(match entry.busy_since() {
            Some(since) => (since + answer, true),
            None if entry.ending.is_stalled() => (entry.since + answer, true),
            None => (entry.since + idle, false),
        })
    }

    pub(super) fn learn(&mut self, peer: Peer, now: Instant) {
        if self.known.len() >= MOST_KNOWN && !self.known.contains_key(&peer) {
            let oldest = self.known.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(peer, now);
        self.mark_known();
    }

    /// Those who have logged in too long ago are strangers again.
    fn forget(&mut self, now: Instant) {
        let known = self.known.len();
        self.known
            .retain(|_, since| now.saturating_duration_since(*since) < KNOWN);
        if self.known.len() < known {
            self.mark_known();
        }
    }

    /// Each connection is looked at for each one that comes, without looking its peer up.
    fn mark_known(&mut self) {
        self.silent.clear();
        self.strange = 0;
        for (number, entry) in &mut self.entries {
            entry.known = self.known.contains_key(&entry.peer);
            if entry.is_strange() {
                self.strange += 1;
                if !entry.heard && !entry.served {
                    self.silent.insert(*number);
                }
            }
        }
    }

    pub(super) fn knows(&self, peer: Peer, now: Instant) -> bool {
        let since = self.known.get(&peer);
        since.is_some_and(|since| now.saturating_duration_since(*since) < KNOWN)
    }
}

#[cfg(test)]
mod tests;
