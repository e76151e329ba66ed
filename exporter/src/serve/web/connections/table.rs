//! The table of connections. It has no clock: who asks says what time it is.

mod entry;
mod known;
mod order;
mod shares;

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tcpvitals_metrics::snapshot::Refusal;
use tokio::time::Instant;

use super::bodies::{BodyId, Kind};
use crate::serve::web::transport::{ending::Ending, peer::Peer};
use entry::{Entry, Request};
use known::Known;
use order::Order;
use shares::Shares;

/// Most connections at a time, besides those for [`HEALTH`]. In all well below the usual limit of open files, 1024.
pub(super) const MOST: usize = 496;

/// Of these, how many are for peers that have logged in.
const RESERVED: usize = 48;

/// Connections beyond what a peer may have that learn whether the exporter is healthy; and how many a peer has of these.
const HEALTH: usize = 16;
const HEALTH_PER_PEER: usize = 4;

/// Connections that were told to close and still have their descriptor. With more, no other is taken in.
const MOST_LEAVING: usize = 32;

/// A request that comes sooner after the last one of its connection has to wait for its turn. Scrapers take a longer pause.
const PAUSE: Duration = Duration::from_millis(100);

/// Memory is given back once so many connections have gone that only half of them are left.
const MANY: usize = 32;

/// Every open connection, and the peers that have logged in.
#[derive(Debug, Default)]
pub(super) struct Table {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    shares: Shares,
    /// How many are strangers', and in which order these go.
    strange: usize,
    order: Order,
    known: Known,
    /// How many were told to close and are still there.
    leaving: usize,
    /// Most connections since memory was given back.
    highest: usize,
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

impl Table {
    pub(super) fn open(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Takes a connection in. A peer that has too many loses its longest idle one; while all of them are busy, the new one is
    /// good for nothing but the paths of health. Where all places are taken, another goes, in the order of their ranks.
    pub(super) fn admit(&mut self, peer: Peer, per_peer: usize, now: Instant) -> Admission {
        let most = if peer.is_local() { MOST } else { per_peer };
        let own = |entry: &Entry| entry.peer == peer && !entry.only_health;
        let mut refused = None;
        let mut only_health = false;
        if self.shares.of(peer) >= most {
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
        let entry = Entry {
            only_health,
            known: self.known.contains(peer),
            ..Entry::new(peer, now)
        };
        let ending = Arc::clone(&entry.ending);
        self.strange += usize::from(entry.is_strange());
        self.shares.add(&entry);
        self.entries.insert(number, entry);
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
        if self.known.forget(now) {
            self.mark_known();
        }
        let is_known = self.known.contains(peer);
        let full = (!is_known && self.strange >= MOST - RESERVED) || self.count(|entry| !entry.only_health) >= MOST;
        if !full {
            return None;
        }
        let goes = self
            .order
            .first(&mut self.entries, &self.shares, now)
            .or_else(|| self.first(now, |entry| !entry.only_health && entry.is_silent()))
            .or_else(|| self.first(now, |entry| !entry.only_health))?;
        let loser = self.entries.get(&goes)?.peer;
        self.close(goes);
        Some((Refusal::Connections, loser))
    }

    fn count(&self, which: impl Fn(&Entry) -> bool) -> usize {
        self.entries.values().filter(|entry| which(entry)).count()
    }

    /// The one that goes first of these.
    fn first(&mut self, now: Instant, which: impl Fn(&Entry) -> bool) -> Option<u64> {
        loop {
            let entries = self.entries.iter_mut().rev().filter(|(_, entry)| which(entry));
            let (number, entry) = entries.max_by_key(|(_, entry)| entry.waits(now))?;
            // One whose socket says so comes later.
            if !entry.is_found_asking(now) {
                return Some(*number);
            }
        }
    }

    /// Whether a stranger may be taken in without that anybody goes who has just come, or that too many are about to go.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        self.leaving < MOST_LEAVING
            && (self.strange < MOST - RESERVED || self.order.first(&mut self.entries, &self.shares, now).is_some())
    }

    fn take_out(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.strange -= usize::from(entry.is_strange());
        self.shares.remove(&entry);
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
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.heard = true;
            entry.asks = None;
            entry.since = now;
        }
    }

    /// Whether the next request of a connection follows the last one so soon that it has to wait for its turn; `row` if there is more
    /// behind it already.
    pub(super) fn presses(&mut self, number: u64, row: bool, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(&number) else {
            return false;
        };
        let is_soon = now.saturating_duration_since(entry.since) < PAUSE;
        entry.rows |= row;
        entry.presses = entry.served && (is_soon || !entry.requests.is_empty());
        entry.presses
    }

    pub(super) fn begin(&mut self, number: u64, now: Instant) -> u64 {
        let request = self.next;
        self.next += 1;
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.served = true;
            (entry.asks, entry.presses) = (None, false);
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
            None if entry.ending.is_untaken() => (entry.since + answer, true),
            None => (entry.since + idle, false),
        })
    }

    pub(super) fn learn(&mut self, peer: Peer, now: Instant) {
        self.known.learn(peer, now);
        self.mark_known();
    }

    /// Each connection is looked at for each one that comes, without looking its peer up.
    fn mark_known(&mut self) {
        for entry in self.entries.values_mut() {
            entry.known = self.known.contains(entry.peer);
        }
        self.strange = self.count(Entry::is_strange);
    }

    pub(super) fn knows(&self, peer: Peer, now: Instant) -> bool {
        self.known.is_known(peer, now)
    }
}

#[cfg(test)]
mod tests;
