//! A histogram as an exponential histogram of OpenTelemetry, bucket by bucket, or as one with explicit bounds.
//!
//! Both count values above a bucket's lower bound and up to its upper one, the upper one included, and the scale is the
//! schema. They number the buckets differently: Prometheus by the upper bound, base^index, OpenTelemetry by the lower one,
//! base^index too, so the index here is one less. Our first bucket also holds what is smaller, our last one what is larger:
//! they stay where they are, so that count and sum are exact and only such a value's size is not.

use super::reading::Nanos;
use crate::families::HistogramValue;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, exponential_histogram_data_point::Buckets,
};
use tcpvitals_config::ClassicBuckets;

/// The data point without attributes.
pub fn data_point(value: &HistogramValue, since: Nanos, until: Nanos) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: since,
        time_unix_nano: until,
        count: value.count(),
        sum: Some(value.sum),
        scale: value.schema,
        positive: Some(buckets(value)),
        ..ExponentialHistogramDataPoint::default()
    }
}

/// With the bounds of classic buckets; without attributes too.
pub fn explicit_data_point(
    value: &HistogramValue,
    buckets: &ClassicBuckets,
    since: Nanos,
    until: Nanos,
) -> HistogramDataPoint {
    let (bounds, counts): (Vec<f64>, Vec<u64>) = value.classic(buckets).into_iter().unzip();
    HistogramDataPoint {
        start_time_unix_nano: since,
        time_unix_nano: until,
        count: value.count(),
        sum: Some(value.sum),
        bucket_counts: counts,
        // That of the last bucket is infinite, and goes without saying.
        explicit_bounds: bounds.into_iter().filter(|bound| bound.is_finite()).collect(),
        ..HistogramDataPoint::default()
    }
}

/// Without the empty ones at both ends, which need not travel.
fn buckets(HistogramValue { first, buckets, .. }: &HistogramValue) -> Buckets {
    let is_filled = |count: &u64| *count != 0;
    let Some(begin) = buckets.iter().position(is_filled) else {
        return Buckets::default();
    };
    let end = buckets.iter().rposition(is_filled).unwrap_or(begin);
    let skipped = i32::try_from(begin).unwrap_or(i32::MAX);
    Buckets {
        offset: (first - 1).saturating_add(skipped),
        bucket_counts: buckets.get(begin..=end).unwrap_or_default().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::histogram::{
        RTT_BOUNDS, RTT_BUCKETS, RTT_FIRST_EXPONENT, TIME_BUCKETS, TIME_FIRST_EXPONENT, rtt_bucket, time_bucket,
    };

    fn histogram(schema: i32, first: i32, size: usize, filled: &[usize]) -> HistogramValue {
        let mut buckets = vec![0; size];
        filled.iter().for_each(|index| buckets[*index] += 1);
        HistogramValue {
            sum: 1.5,
            schema,
            first,
            buckets,
        }
    }

    /// The lower and upper bound that OpenTelemetry gives the only bucket with a value.
    fn bounds(value: &HistogramValue) -> (f64, f64) {
        let point = data_point(value, 1, 2);
        let Buckets { offset, bucket_counts } = point.positive.unwrap();
        assert_eq!((bucket_counts.as_slice(), point.count), ([1].as_slice(), 1));
        let base = f64::exp2(f64::exp2(f64::from(-point.scale)));
        (base.powi(offset), base.powi(offset + 1))
    }

    #[test]
    fn a_value_lies_between_the_bounds_of_its_bucket_and_an_upper_bound_belongs_to_it() {
        // 2^(-40/4) s = 976.5625 us: the bound is rounded down, so 976 is below it and 977 above.
        for micros in [976, 977, RTT_BOUNDS[40], RTT_BOUNDS[40] + 1, 2_500, 90_000_000] {
            let value = histogram(2, RTT_FIRST_EXPONENT, RTT_BUCKETS, &[rtt_bucket(micros)]);
            let (lower, upper) = bounds(&value);
            let seconds = f64::from(micros) / 1e6;
            assert!(lower < seconds && seconds <= upper, "{micros}: {lower} {upper}");
        }
        // Exactly a power of two: 1 s and 1/64 s are the upper bounds of their buckets.
        for (micros, exponent) in [(1_000_000, 0), (15_625, -6), (1_000_001, 1)] {
            let value = histogram(
                0,
                TIME_FIRST_EXPONENT,
                TIME_BUCKETS,
                &[time_bucket(micros, TIME_BUCKETS)],
            );
            assert_eq!(
                bounds(&value),
                (f64::exp2(f64::from(exponent - 1)), f64::exp2(f64::from(exponent)))
            );
        }
    }

    #[test]
    fn first_and_last_bucket_keep_what_lies_outside() {
        let smallest = histogram(2, RTT_FIRST_EXPONENT, RTT_BUCKETS, &[rtt_bucket(0)]);
        assert_eq!(
            data_point(&smallest, 1, 2).positive.unwrap().offset,
            RTT_FIRST_EXPONENT - 1
        );
        let largest = histogram(2, RTT_FIRST_EXPONENT, RTT_BUCKETS, &[rtt_bucket(u32::MAX)]);
        assert_eq!(data_point(&largest, 1, 2).positive.unwrap().offset, 28);
    }

    #[test]
    fn explicit_bounds_are_those_of_classic_buckets() {
        let value = histogram(0, -2, 6, &[0, 2, 2, 5]);
        let of = |buckets: &ClassicBuckets| {
            let point = explicit_data_point(&value, buckets, 3, 4);
            assert_eq!((point.count, point.sum), (4, Some(1.5)));
            assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (3, 4));
            (point.explicit_bounds, point.bucket_counts)
        };
        let all = vec![0.25, 0.5, 1.0, 2.0, 4.0];
        assert_eq!(of(&ClassicBuckets::All), (all, vec![1, 0, 2, 0, 0, 1]));
        assert_eq!(
            of(&ClassicBuckets::UpTo(vec![0.5, 2.0])),
            (vec![0.5, 2.0], vec![1, 2, 1])
        );
        assert_eq!(of(&ClassicBuckets::UpTo(Vec::new())), (Vec::new(), vec![4]));
    }

    #[test]
    fn empty_buckets_travel_only_between_others() {
        let point = data_point(&histogram(0, 0, 8, &[2, 2, 5]), 3, 4);
        let Buckets { offset, bucket_counts } = point.positive.unwrap();
        assert_eq!((offset, bucket_counts), (1, vec![2, 0, 0, 1]));
        assert_eq!(
            (point.count, point.sum, point.zero_count, point.scale),
            (3, Some(1.5), 0, 0)
        );
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (3, 4));
        assert_eq!(
            data_point(&histogram(0, 0, 8, &[]), 3, 4).positive,
            Some(Buckets::default())
        );
    }
}
