//! What became of pushes over OTLP: the pusher counts here, and every collection takes a copy.
//! It must never hold more than numbers, and nobody holds its lock for longer than it takes to copy them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tcpvitals_metrics::snapshot::{Push, Pushes};

/// The counts so far; none while nothing is to be pushed.
#[derive(Debug, Default)]
pub struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    on: bool,
    pushes: Pushes,
}

impl Tally {
    /// Whether anything is to be pushed. What was counted before stays, so that no counter falls.
    pub fn switch(&self, on: bool) {
        self.lock().on = on;
    }

    /// Adds to one of the counts.
    pub fn add(&self, push: Push, more: u64) {
        if let Some(count) = self.lock().pushes.counts.get_mut(push as usize) {
            *count += more;
        }
    }

    /// The receiver took a request, so many seconds after 1970.
    pub fn taken(&self, at: f64) {
        self.lock().pushes.last_taken = Some(at);
    }

    /// The counts, if anything is to be pushed.
    pub fn read(&self) -> Option<Pushes> {
        let state = self.lock();
        state.on.then(|| state.pushes.clone())
    }

    /// Numbers are whole even if whoever changed them panicked.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_shown_while_there_is_something_to_push_and_survive_a_pause() {
        let tally = Tally::default();
        tally.add(Push::Retries, 2);
        assert_eq!(tally.read(), None);
        tally.switch(true);
        tally.add(Push::Retries, 1);
        tally.taken(7.5);
        let pushes = tally.read().unwrap();
        assert_eq!((pushes.counts, pushes.last_taken), ([0, 0, 0, 0, 3, 0, 0], Some(7.5)));
        tally.switch(false);
        assert_eq!(tally.read(), None);
        tally.switch(true);
        assert_eq!(tally.read(), Some(pushes));
    }
}
