//! What the HTTP server did: the server counts here, and every collection takes a copy. Also the bound that a reload may change.
//! It must never hold more than numbers, and nobody holds its lock for longer than it takes to copy them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use tcpvitals_metrics::snapshot::{self, Refusal};

/// The counts so far.
#[derive(Debug, Default)]
pub struct Served {
    counts: Mutex<snapshot::Served>,
    connections_per_peer: AtomicUsize,
}

impl Served {
    /// Nothing so far; a peer may have this many connections.
    pub fn new(connections_per_peer: usize) -> Self {
        Self {
            counts: Mutex::default(),
            connections_per_peer: AtomicUsize::new(connections_per_peer),
        }
    }

    /// Most connections of one peer from now on.
    pub fn limit(&self, connections_per_peer: usize) {
        self.connections_per_peer.store(connections_per_peer, Ordering::Relaxed);
    }

    /// Most connections of one peer.
    pub fn connections_per_peer(&self) -> usize {
        self.connections_per_peer.load(Ordering::Relaxed)
    }

    /// So many connections are open.
    pub fn connections(&self, open: u64) {
        self.lock().connections = open;
    }

    /// An answer with this status code.
    pub fn answered(&self, code: u16) {
        *self.lock().answers.entry(code).or_default() += 1;
    }

    /// A connection or a request was refused.
    pub fn refused(&self, why: Refusal) {
        if let Some(count) = self.lock().refused.get_mut(why as usize) {
            *count += 1;
        }
    }

    /// The counts.
    pub fn read(&self) -> snapshot::Served {
        self.lock().clone()
    }

    /// Numbers are whole even if whoever changed them panicked.
    fn lock(&self) -> MutexGuard<'_, snapshot::Served> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let served = Served::new(16);
        served.connections(3);
        for code in [200, 200, 503] {
            served.answered(code);
        }
        served.refused(Refusal::Host);
        served.limit(7);
        let read = served.read();
        assert_eq!((read.connections, served.connections_per_peer()), (3, 7));
        assert_eq!(read.answers, [(200, 2), (503, 1)].into());
        assert_eq!(read.refused.iter().sum::<u64>(), read.refused[Refusal::Host as usize]);
    }
}
