//! How long to wait after failures: each time twice as long, for ever, and no two nodes at the same moments.
//! It must never wait itself. From the number of failures; to `watch`.

use std::{ops::RangeInclusive, time::Duration};

/// Failures in a row, and the pauses after them.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// From the pause after the first failure to the longest.
    pub(crate) const fn new(pauses: &RangeInclusive<Duration>) -> Self {
        Self {
            first: *pauses.start(),
            longest: *pauses.end(),
            failures: 0,
        }
    }

    /// The pause after a failure more. A server may ask for a longer one, up to the longest; `random` lies between 0 and 1.
    pub(crate) fn pause(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let least = asked.unwrap_or_default().min(self.longest).max(self.first);
        // Never below the first: that is what a server under load is promised.
        doubled.mul_f64(0.5 + random / 2.0).max(least)
    }

    /// All is well again.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff() -> Backoff {
        Backoff::new(&(SECOND..=60 * SECOND))
    }

    #[test]
    fn pauses_grow_from_a_second_to_a_minute_and_stay_there() {
        let mut longest = backoff();
        let pauses: Vec<u64> = (0..9).map(|_| longest.pause(None, 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let mut shortest = backoff();
        let pauses: Vec<u64> = (0..9).map(|_| shortest.pause(None, 0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
        for _ in 0..1000 {
            assert_eq!(longest.pause(None, 1.0), 60 * SECOND);
        }
        longest.failures = u32::MAX;
        assert_eq!(longest.pause(None, 1.0), 60 * SECOND);
        longest.reset();
        assert_eq!(longest.pause(None, 1.0), SECOND);
    }

    #[test]
    fn a_server_may_ask_for_a_longer_pause_but_not_for_silence() {
        for (asked, pause) in [(0, 1), (7, 7), (3600, 60)] {
            assert_eq!(backoff().pause(Some(asked * SECOND), 1.0), pause * SECOND, "{asked}");
        }
    }
}
