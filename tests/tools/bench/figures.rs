//! From samples to rows.

use std::time::Duration;

use crate::report::model::Row;

/// Median and quartiles.
pub(crate) fn quartiles(label: impl Into<String>, samples: &[f64]) -> Row {
    row(label, samples, 0.25, 0.75)
}

/// Median, the least, and the 99th percentile.
pub(crate) fn latency(label: impl Into<String>, samples: &[f64]) -> Row {
    row(label, samples, 0.0, 0.99)
}

/// One measurement.
pub(crate) fn single(label: impl Into<String>, value: f64) -> Row {
    row(label, &[value], 0.0, 1.0)
}

fn row(label: impl Into<String>, samples: &[f64], low: f64, high: f64) -> Row {
    Row {
        label: label.into(),
        median: quantile(samples, 0.5),
        low: quantile(samples, low),
        high: quantile(samples, high),
        samples: samples.len(),
        ..Row::default()
    }
}

/// The smallest sample that so many are not above; 0 of none.
pub(crate) fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a length, not below 0"
    )]
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// In milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// In microseconds.
pub(crate) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&samples, 0.5), 50.0);
        assert_eq!(quantile(&samples, 0.99), 99.0);
        assert_eq!((quantile(&samples, 0.0), quantile(&samples, 1.0)), (1.0, 100.0));
        assert_eq!(quantile(&[3.0], 0.25), 3.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
