//! How many connections each peer has, those for health apart.

use std::collections::HashMap;

use super::entry::Entry;
use crate::serve::web::transport::peer::Peer;

/// The number of each peer that has any.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<Peer, usize>);

impl Shares {
    pub(super) fn of(&self, peer: Peer) -> usize {
        self.0.get(&peer).copied().unwrap_or(0)
    }

    /// Counts a connection that has come.
    pub(super) fn add(&mut self, entry: &Entry) {
        if !entry.only_health {
            *self.0.entry(entry.peer).or_default() += 1;
        }
    }

    /// Counts a connection off that has gone.
    pub(super) fn remove(&mut self, entry: &Entry) {
        if entry.only_health {
            return;
        }
        if let Some(share) = self.0.get_mut(&entry.peer) {
            *share = share.saturating_sub(1);
            if *share == 0 {
                self.0.remove(&entry.peer);
            }
        }
    }
}
