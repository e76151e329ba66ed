//! Since when slots count, by the time of day. Pure.

use std::time::Duration;

/// Since when slots count, by the time of day as it was when the exporter started: a clock that is set later moves none of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Births {
    /// When the programs were loaded, since 1970.
    pub(super) loaded: Duration,
    /// What added to nanoseconds of `CLOCK_BOOTTIME`, wrapping, makes those since 1970.
    pub(super) boottime_to_1970: u64,
}

impl Births {
    /// When a slot was born, since 1970. `born` is in nanoseconds of `CLOCK_BOOTTIME`, and 0 where it is there since the load.
    pub(super) fn since_1970(&self, born: u64) -> Duration {
        match born {
            0 => self.loaded,
            born => Duration::from_nanos(born.wrapping_add(self.boottime_to_1970)).max(self.loaded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_is_moved_by_the_difference_of_the_clocks_and_never_before_the_load() {
        const SECOND: u64 = 1_000_000_000;
        let births = Births {
            loaded: Duration::from_secs(1000),
            boottime_to_1970: 900 * SECOND,
        };
        assert_eq!(births.since_1970(0), Duration::from_secs(1000));
        assert_eq!(births.since_1970(150 * SECOND), Duration::from_secs(1050));
        assert_eq!(births.since_1970(99 * SECOND), Duration::from_secs(1000));
        // A clock that is behind the time since the boot.
        let behind = Births {
            loaded: Duration::from_secs(10),
            boottime_to_1970: (50 * SECOND).wrapping_neg(),
        };
        assert_eq!(behind.since_1970(70 * SECOND), Duration::from_secs(20));
    }
}
