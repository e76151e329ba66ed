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
