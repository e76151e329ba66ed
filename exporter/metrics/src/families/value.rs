//! Values of metrics, in base units.

use crate::{number::seconds, snapshot::CpuTime};
use common::histogram::Histogram;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number that never falls.
    Count(u64),
    Number(f64),
    Histogram(HistogramValue),
    /// Over OTLP the conventions tell user and system time apart, a scrape does not.
    CpuTime(CpuTime),
}

impl CpuTime {
    /// Both together.
    pub fn seconds(self) -> f64 {
        nanoseconds(self.user + self.system)
    }

    /// Words of the conventions, and seconds.
    pub fn by_mode(self) -> [(&'static str, f64); 2] {
        [("user", nanoseconds(self.user)), ("system", nanoseconds(self.system))]
    }
}

fn nanoseconds(count: u64) -> f64 {
    seconds(count, Duration::from_nanos(1))
}

/// A histogram in base units.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramValue {
    /// Sum of the values.
    pub sum: f64,
    /// Prometheus schema and OpenTelemetry scale: 2^schema buckets per power of two.
    pub schema: i32,
    /// Index of the first bucket in a Prometheus native histogram: its upper bound is 2^(first / 2^schema).
    pub first: i32,
    /// Values per bucket, not cumulative; the last one also holds what is larger.
    pub buckets: Vec<u64>,
}

impl HistogramValue {
    pub(super) fn new<const N: usize>(
        histogram: &Histogram<N>,
        schema: i32,
        first: i32,
        sum: impl Fn(u64) -> f64,
    ) -> Self {
        Self {
            sum: sum(histogram.sum),
            schema,
            first,
            buckets: histogram.buckets.to_vec(),
        }
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Upper bound and count, not cumulative: one bucket per power of two, and one for the rest.
    pub(super) fn octaves(&self) -> Vec<(f64, u64)> {
        let per_octave = 1 << self.schema;
        let mut classic = Vec::new();
        let mut count = 0;
        let last = self.buckets.len().saturating_sub(1);
        for (exponent, (index, bucket)) in (self.first..).zip(self.buckets.iter().enumerate()) {
            count += bucket;
            if index != last && exponent.rem_euclid(per_octave) == 0 {
                classic.push((f64::exp2(f64::from(exponent / per_octave)), count));
                count = 0;
            }
        }
        classic.push((f64::INFINITY, count));
        classic
    }
}
