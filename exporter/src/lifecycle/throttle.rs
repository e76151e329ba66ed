//! What happens again and again is logged once, and then now and then with a count.
//! It must never hold more than one entry for each kind, and kinds are words of the program: so nobody outside fills it.
//! From whoever logs what others can cause.

use crate::lifecycle::clock::now;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Between two lines about a fault that lasts.
pub const FAULT: Duration = Duration::from_secs(10 * 60);

/// When each kind was last logged.
#[derive(Debug)]
pub struct Throttle {
    every: Duration,
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
}

#[derive(Debug)]
struct Kind {
    logged: Instant,
    /// Since then.
    silent: u64,
    /// It has not been over since.
    lasts: bool,
}

impl Throttle {
    /// At most one line of each kind in so much time.
    pub const fn new(every: Duration) -> Self {
        Self {
            every,
            kinds: Mutex::new(BTreeMap::new()),
        }
    }

    /// It has happened: whether to log it, and how often it was passed over since it was last logged.
    pub fn log(&self, kind: &'static str) -> Option<u64> {
        self.log_at(kind, now())
    }

    /// It is over: whether that is worth a line, because its beginning was.
    pub fn over(&self, kind: &'static str) -> bool {
        let mut kinds = self.lock();
        let Some(kind) = kinds.get_mut(kind) else { return false };
        std::mem::take(&mut kind.lasts)
    }

    /// The same at this moment.
    pub fn log_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.lock();
        let Some(known) = kinds.get_mut(kind) else {
            let first = Kind {
                logged: now,
                silent: 0,
                lasts: true,
            };
            kinds.insert(kind, first);
            return Some(0);
        };
        if now.saturating_duration_since(known.logged) < self.every {
            known.silent += 1;
            return None;
        }
        (known.logged, known.lasts) = (now, true);
        Some(std::mem::take(&mut known.silent))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once_and_then_now_and_then_with_a_count() {
        let (throttle, start) = (Throttle::new(FAULT), now());
        let at = |kind, seconds| throttle.log_at(kind, start + Duration::from_secs(seconds));
        assert_eq!((at("a", 0), at("b", 1)), (Some(0), Some(0)));
        assert_eq!([at("a", 2), at("a", 599), at("b", 600)], [None; 3]);
        assert_eq!([at("a", 600), at("a", 601), at("a", 1300)], [Some(2), None, Some(1)]);
    }

    #[test]
    fn the_end_is_worth_a_line_only_where_the_beginning_was() {
        let throttle = Throttle::new(FAULT);
        assert!(!throttle.over("a"));
        assert_eq!(throttle.log("a"), Some(0));
        assert!(throttle.over("a") && !throttle.over("a"));
        // It flaps.
        assert_eq!(throttle.log("a"), None);
        assert!(!throttle.over("a"));
    }
}
