//! In which order strangers go where there are too many. It is looked at from time to time and not for each that comes, so that a
//! flood of connections is fended off in less time than it takes to send it. It has no clock.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};
use tokio::time::Instant;

use super::{
    entry::{Entry, Rank, YOUNG},
    shares::Shares,
};

/// How old the order may be; and where nobody is left in it, how long one waits before one looks again.
const OLDEST: Duration = YOUNG;
const PAUSE: Duration = Duration::from_millis(1);

/// With so many that have said nothing and are about to be old enough to go, those that have said something stay: who comes waits for
/// [`YOUNG`] at most. With fewer, whoever opens some now and then would keep others waiting for more.
pub(super) const MANY_SILENT: usize = 128;

/// The order of a moment.
#[derive(Debug, Default)]
pub(super) struct Order {
    made: Option<Instant>,
    /// Who goes first is last.
    turns: Vec<(Rank, Reverse<u64>)>,
    /// There were [`MANY_SILENT`].
    soon: bool,
}

impl Order {
    /// The stranger that goes first; none if all have just come.
    pub(super) fn first(&mut self, entries: &mut BTreeMap<u64, Entry>, shares: &Shares, now: Instant) -> Option<u64> {
        let age = self.made.map(|made| now.saturating_duration_since(made));
        let is_old = |oldest| age.is_none_or(|age| age >= oldest);
        if is_old(OLDEST) {
            self.make(entries, shares, now);
        }
        let first = self.next(entries, shares, now);
        if first.is_some() || !is_old(PAUSE) {
            return first;
        }
        self.make(entries, shares, now);
        self.next(entries, shares, now)
    }

    fn make(&mut self, entries: &BTreeMap<u64, Entry>, shares: &Shares, now: Instant) {
        self.made = Some(now);
        let strangers = || entries.iter().filter(|(_, entry)| entry.is_strange());
        let silent = strangers().filter(|(_, entry)| entry.is_silent() && entry.is_young(now));
        self.soon = silent.count() >= MANY_SILENT;
        let strangers = strangers().filter(|(_, entry)| !entry.is_young(now));
        self.turns.clear();
        self.turns
            .extend(strangers.map(|(number, entry)| (entry.rank(now, shares.of(entry.peer)), Reverse(*number))));
        self.turns.sort_unstable();
    }

    /// The first that has done nothing since, as far as its socket knows too.
    fn next(&mut self, entries: &mut BTreeMap<u64, Entry>, shares: &Shares, now: Instant) -> Option<u64> {
        while let Some((rank, Reverse(number))) = self.turns.last() {
            let entry = entries.get_mut(number).filter(|entry| entry.is_strange());
            if let Some(entry) = entry
                && entry.rank(now, shares.of(entry.peer)) >= *rank
                && !entry.is_found_asking(now)
            {
                let stays = self.soon && !entry.is_silent() && !entry.rows;
                return (!stays).then_some(*number);
            }
            self.turns.pop();
        }
        None
    }
}
