//! How often somebody is answered: a bucket for each peer, and one for each user of a peer who has logged in.
//! It must never let one use up what is another's.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

use super::login::Tag;
use crate::serve::web::{config::RateLimit, transport::peer::Peer};

/// Most buckets; of more, the one that was asked for longest ago is forgotten, and is full again.
const MOST_BUCKETS: usize = 4096;

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// Whoever has not proved anything.
    Stranger(Peer),
    /// A client whose certificate was verified.
    Certified(Peer),
    /// A user, by what they have shown.
    User(Peer, Tag),
}

/// Token buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    limit: RateLimit,
    levels: Mutex<HashMap<Who, Level>>,
}

#[derive(Debug)]
struct Level {
    requests: f64,
    at: Instant,
}

impl Buckets {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            levels: Mutex::default(),
        }
    }

    /// Whether this one may be answered.
    pub(crate) fn take(&self, who: Who) -> bool {
        self.take_at(who, Instant::now())
    }

    fn take_at(&self, who: Who, now: Instant) -> bool {
        let RateLimit { interval, burst } = self.limit;
        let burst = f64::from(burst);
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MOST_BUCKETS && !levels.contains_key(&who) {
            let oldest = levels.iter().min_by_key(|(_, level)| level.at);
            if let Some(oldest) = oldest.map(|(who, _)| *who) {
                levels.remove(&oldest);
            }
        }
        let level = levels.entry(who).or_insert(Level {
            requests: burst,
            at: now,
        });
        let passed = now.saturating_duration_since(level.at);
        level.requests = (level.requests + gained(passed, interval)).min(burst);
        level.at = level.at.max(now);
        let full = level.requests >= 1.0;
        if full {
            level.requests -= 1.0;
        }
        full
    }

    /// After how many seconds a request is answered again.
    pub(crate) fn pause(&self) -> u64 {
        self.limit.interval.as_secs().max(1)
    }
}

fn gained(passed: Duration, interval: Duration) -> f64 {
    passed.as_secs_f64() / interval.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> Peer {
        Peer::new([192, 0, 2, number].into())
    }

    #[test]
    fn a_bucket_lets_through_its_burst_and_then_one_each_interval() {
        let interval = Duration::from_secs(10);
        let buckets = Buckets::new(RateLimit { interval, burst: 3 });
        let start = Instant::now();
        let who = Who::Stranger(peer(1));
        let takes = |at: Duration| (0..5).filter(|_| buckets.take_at(who, start + at)).count();
        assert_eq!(takes(Duration::ZERO), 3);
        assert_eq!(takes(interval.checked_sub(Duration::from_millis(1)).unwrap()), 0);
        assert_eq!(takes(2 * interval), 2);
        // It holds no more than the burst, and time does not run backwards.
        assert_eq!(takes(100 * interval), 3);
        assert_eq!(takes(interval), 0);
    }

    #[test]
    fn nobody_uses_up_what_is_another_s() {
        let limit = RateLimit {
            interval: Duration::from_secs(3600),
            burst: 1,
        };
        let buckets = Buckets::new(limit);
        let one = peer(1);
        let all = [
            Who::Stranger(one),
            Who::Stranger(peer(2)),
            Who::Certified(one),
            Who::User(one, [1; 32]),
            Who::User(one, [2; 32]),
        ];
        for who in all {
            assert!(buckets.take(who) && !buckets.take(who), "{who:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let limit = RateLimit {
            interval: Duration::from_secs(1),
            burst: 1,
        };
        let buckets = Buckets::new(limit);
        for number in 0..=MOST_BUCKETS {
            let mut tag = [0; 32];
            tag[..8].copy_from_slice(&number.to_le_bytes());
            assert!(buckets.take(Who::User(peer(1), tag)));
            assert!(buckets.levels.lock().unwrap().len() <= MOST_BUCKETS);
        }
    }
}
