//! The clocks: for ages, for the time of day, and the kernel's own, by which programs stamp what they see.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// For ages and deadlines.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day, since 1970; zero before.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The kernel's clock, `CLOCK_MONOTONIC`, in nanoseconds.
pub fn monotonic() -> u64 {
    // Every Linux has this clock.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    nanoseconds(time)
}

/// What added to the kernel's clock makes the time of day, in nanoseconds: it wraps where that is less than the time since the boot.
pub fn monotonic_to_1970() -> u64 {
    nanoseconds(since_1970()).wrapping_sub(monotonic())
}

/// The kernel's clock that counts the time asleep too, `CLOCK_BOOTTIME`, in nanoseconds.
pub fn boottime() -> u64 {
    // Every Linux has this clock, too.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    nanoseconds(time)
}

/// A time in nanoseconds.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
