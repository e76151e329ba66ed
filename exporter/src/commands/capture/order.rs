//! Packets in the order of their time. Pure: each CPU has a buffer of its own, and one may be read before another that
//! holds what is older.

/// What has a time.
pub trait Timed {
    /// When, in nanoseconds.
    fn time(&self) -> u64;
}

/// Holds back what may not be next yet.
#[derive(Debug)]
pub struct Ordered<T> {
    held: Vec<T>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { held: Vec::new() }
    }
}

impl<T: Timed> Ordered<T> {
    /// Adds one, in any order.
    pub fn add(&mut self, item: T) {
        self.held.push(item);
    }

    /// Takes all that are older than `until`, the oldest first. What comes later must not be older than that.
    pub fn take(&mut self, until: u64) -> Vec<T> {
        self.held.sort_by_key(Timed::time);
        let ready = self.held.partition_point(|item| item.time() < until);
        let rest = self.held.split_off(ready);
        std::mem::replace(&mut self.held, rest)
    }

    /// Whether nothing is held back.
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Timed for u64 {
        fn time(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn the_oldest_comes_first_and_what_is_too_young_waits() {
        let mut ordered = Ordered::default();
        for time in [5, 9, 3, 7] {
            ordered.add(time);
        }
        assert_eq!(ordered.take(7), [3, 5]);
        ordered.add(8);
        assert_eq!(ordered.take(9), [7, 8]);
        assert!(!ordered.is_empty());
        assert_eq!(ordered.take(u64::MAX), [9]);
        assert!(ordered.is_empty());
    }
}
