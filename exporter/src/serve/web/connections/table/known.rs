//! Peers that have logged in, or shown a certificate, within the hour. It has no clock.

use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

use crate::serve::web::transport::peer::Peer;

/// How long a peer is known after it has logged in, and how many are.
pub(super) const KNOWN: Duration = Duration::from_secs(3600);
const MOST_KNOWN: usize = 1024;

/// Since when each is known.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Peer, Instant>);

impl Known {
    /// It has logged in; where there are too many, the one that did so longest ago is forgotten.
    pub(super) fn learn(&mut self, peer: Peer, now: Instant) {
        if self.0.len() >= MOST_KNOWN && !self.0.contains_key(&peer) {
            let oldest = self.0.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(peer, now);
    }

    /// Drops those that logged in too long ago, and tells whether there were any.
    pub(super) fn forget(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|_, since| is_recent(*since, now));
        self.0.len() < before
    }

    /// Whether it has logged in, as far as nobody has been forgotten since.
    pub(super) fn contains(&self, peer: Peer) -> bool {
        self.0.contains_key(&peer)
    }

    /// Whether it has logged in within the hour.
    pub(super) fn is_known(&self, peer: Peer, now: Instant) -> bool {
        self.0.get(&peer).is_some_and(|since| is_recent(*since, now))
    }
}

fn is_recent(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < KNOWN
}
