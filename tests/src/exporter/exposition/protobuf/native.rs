//! Native histograms: what their spans and differences say, and that it is what the classic buckets say.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use super::messages::{Bucket, Histogram, Span};

/// Index and count of each native bucket. The bucket's upper bound is 2^(index / 2^schema).
pub fn native_buckets(histogram: &Histogram) -> Result<BTreeMap<i32, u64>> {
    let mut deltas = histogram.positive_delta.iter();
    let (mut index, mut count) = (0_i32, 0_i64);
    let mut buckets = BTreeMap::new();
    for (number, Span { offset, length }) in histogram.positive_span.iter().enumerate() {
        ensure!(
            number == 0 || *offset > 0,
            "span {number} begins {offset} after the one before"
        );
        ensure!(*length > 0, "span {number} is empty");
        index += offset;
        for _ in 0..*length {
            count += deltas.next().context("a bucket without a count")?;
            let count = u64::try_from(count).with_context(|| format!("a count of {count}"))?;
            buckets.insert(index, count);
            index += 1;
        }
    }
    ensure!(deltas.len() == 0, "{} counts without a bucket", deltas.len());
    Ok(buckets)
}

/// Native and classic buckets both add up to the count, and agree at every classic bound.
pub(super) fn check(histogram: &Histogram) -> Result<()> {
    let Histogram {
        sample_count,
        bucket,
        schema,
        zero_threshold,
        zero_count,
        ..
    } = histogram;
    ensure!((-4..=8).contains(schema), "the schema {schema}");
    let native = native_buckets(histogram)?;
    let infinity = (1024 << schema) + 1;
    ensure!(
        native.keys().all(|index| *index <= infinity),
        "a bucket that lies behind the one of infinity"
    );
    let upper = |index: i32| match index {
        index if index == infinity => f64::INFINITY,
        index => f64::exp2(f64::from(index) / f64::exp2(f64::from(*schema))),
    };
    ensure!(
        *zero_threshold > 0.0 && native.keys().all(|index| upper(index - 1) >= *zero_threshold),
        "the bucket of zeros is as broad as {zero_threshold}"
    );
    let up_to = |bound: f64| {
        let below = native.iter().filter(|(index, _)| upper(**index) <= bound);
        zero_count + below.map(|(_, count)| count).sum::<u64>()
    };
    ensure!(
        up_to(f64::INFINITY) == *sample_count,
        "the native buckets do not add up to {sample_count}"
    );
    ensure!(
        bucket.is_sorted_by(|left, right| left.upper_bound < right.upper_bound),
        "the classic bounds do not rise"
    );
    for Bucket {
        cumulative_count,
        upper_bound,
    } in bucket
    {
        ensure!(
            up_to(*upper_bound) == *cumulative_count,
            "{cumulative_count} values up to {upper_bound} by the classic buckets, {} by the native ones",
            up_to(*upper_bound)
        );
    }
    let last = bucket.last().context("no classic buckets")?;
    ensure!(last.upper_bound == f64::INFINITY, "no classic bucket without a bound");
    Ok(())
}
