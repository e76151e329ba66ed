//! Counts as the numbers of metrics.

use std::time::Duration;

/// A count as a metric's number: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// `count` times a unit of time, in seconds. One division at the end, so that 105 us is 0.000105 s and not a little less.
pub fn seconds(count: u64, unit: Duration) -> f64 {
    const NANOSECONDS: f64 = 1e9;
    #[expect(clippy::cast_precision_loss, reason = "units are far below a second")]
    let unit = unit.as_nanos() as f64;
    number(count) * unit / NANOSECONDS
}
