//! The sparse buckets of a native histogram: our buckets are its buckets, so that only empty ones are left out.

use crate::families::HistogramValue;
use prometheus_client::encoding::{NativeHistogram, NativeHistogramBuckets};

/// 2^-128, as Prometheus' own clients have it: below every value of ours, so that the bucket of zeros is empty.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// So many empty buckets take less room than the beginning of another span.
const CHEAPER_THAN_A_SPAN: i32 = 2;

/// Buckets as a native histogram has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Native {
    schema: i32,
    /// How many indices are skipped, and how many buckets follow.
    spans: Vec<(i32, u32)>,
    /// Count of each bucket in a span, as the difference to the one before.
    deltas: Vec<i64>,
}

impl From<&HistogramValue> for Native {
    fn from(value: &HistogramValue) -> Self {
        let mut native = Self {
            schema: value.schema,
            ..Self::default()
        };
        let (mut next, mut before) = (0, 0);
        for (index, count) in taken(value) {
            let skipped = index - next;
            if native.spans.is_empty() || skipped > CHEAPER_THAN_A_SPAN {
                native.spans.push((skipped, 0));
            } else {
                for _ in 0..skipped {
                    native.push(0, &mut before);
                }
            }
            native.push(count, &mut before);
            next = index + 1;
        }
        native
    }
}

impl Native {
    fn push(&mut self, count: u64, before: &mut i64) {
        let count = count.cast_signed();
        self.deltas.push(count.wrapping_sub(*before));
        *before = count;
        if let Some((_, length)) = self.spans.last_mut() {
            *length += 1;
        }
    }

    /// What the encoder takes.
    pub(super) fn borrowed(&self) -> NativeHistogram<'_> {
        NativeHistogram {
            schema: self.schema,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: 0,
            negative: NativeHistogramBuckets {
                spans: &[],
                deltas: &[],
            },
            positive: NativeHistogramBuckets {
                spans: &self.spans,
                deltas: &self.deltas,
            },
            created: None,
        }
    }
}

/// Index and count of the buckets that are not empty. Our last one also holds what is larger than its bound: in a native histogram
/// only the bucket of infinity claims no bound that such a value exceeds.
fn taken(value: &HistogramValue) -> impl Iterator<Item = (i32, u64)> {
    let last = value.buckets.len().saturating_sub(1);
    let indices = (value.first..).zip(0..).map(move |(index, position)| {
        if position == last {
            infinity(value.schema)
        } else {
            index
        }
    });
    indices
        .zip(value.buckets.iter().copied())
        .filter(|(_, count)| *count != 0)
}

/// The bucket after the one that ends with the largest finite number, just below 2^1024.
const fn infinity(schema: i32) -> i32 {
    (f64::MAX_EXP << schema) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(schema: i32, first: i32, buckets: &[u64]) -> (Vec<(i32, u32)>, Vec<i64>) {
        let Native {
            schema: own,
            spans,
            deltas,
        } = Native::from(&HistogramValue {
            sum: 1.0,
            schema,
            first,
            buckets: buckets.to_vec(),
        });
        assert_eq!(own, schema);
        (spans, deltas)
    }

    #[test]
    fn counts_are_differences_and_up_to_two_empty_buckets_are_bridged() {
        assert_eq!(
            native(2, -79, &[5, 3, 0, 0, 7, 0]),
            (vec![(-79, 5)], vec![5, -2, -3, 0, 7])
        );
        assert_eq!(
            native(2, -79, &[0, 3, 0, 0, 0, 7, 0]),
            (vec![(-78, 1), (3, 1)], vec![3, 4])
        );
    }

    #[test]
    fn what_exceeds_every_bound_is_in_the_bucket_of_infinity() {
        assert_eq!(native(0, -1, &[0, 2, 9]), (vec![(0, 1), (1024, 1)], vec![2, 7]));
        assert_eq!(native(0, 3, &[1, 9]), (vec![(3, 1), (1021, 1)], vec![1, 8]));
        assert_eq!(native(2, 3, &[9]), (vec![(4097, 1)], vec![9]));
    }

    #[test]
    fn nothing_observed_is_a_native_histogram_by_its_threshold() {
        assert_eq!(native(2, -79, &[0, 0]), (vec![], vec![]));
        assert_eq!(native(2, -79, &[]), (vec![], vec![]));
        assert_eq!(Native::default().borrowed().zero_threshold, f64::exp2(-128.0));
    }
}
