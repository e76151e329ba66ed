//! Histogram buckets: exponential, with boundaries that are exact powers of the base in base units.
//!
//! A bucket's boundary is its inclusive upper bound, as in Prometheus native histograms (schema 2 for round-trip times,
//! schema 0 for the rest) and OpenTelemetry exponential histograms (scale 2 and 0). Values are integers: microseconds,
//! segments, bytes or bytes per second. A value above the last bound is counted in the last bucket.

use crate::kernel::verifier::masked;
use zerocopy::FromBytes;

/// Microseconds in a second.
pub const MICROS: u64 = 1_000_000;

/// Buckets of a round-trip time: four per power of two, from 2^(-79/4) s (1.1 µs) to 2^(29/4) s (152 s).
pub const RTT_BUCKETS: usize = 109;
/// The exponent of the first bound of [`RTT_BOUNDS`], in quarters: the index of its bucket in a native histogram of schema 2.
pub const RTT_FIRST_EXPONENT: i32 = -79;
/// Upper bounds of a round-trip time, in microseconds, rounded down.
pub const RTT_BOUNDS: [u32; RTT_BUCKETS] = rtt_bounds();

/// The same, followed by bounds that nothing exceeds: four for each possible position of a highest bit.
static RTT_STEPS: [u32; 128] = {
    let mut steps = [u32::MAX; 128];
    let mut i = 0;
    while i < RTT_BUCKETS - 1 {
        steps[i] = RTT_BOUNDS[i];
        i += 1;
    }
    steps
};

/// The exponent of the first bound of a histogram of times with one bucket per power of two: 2^-19 s (1.9 µs).
pub const TIME_FIRST_EXPONENT: i32 = -19;
/// Buckets of a time up to 2^8 s (256 s): handshake, smoothed round-trip time, retransmission time-out.
pub const TIME_BUCKETS: usize = 28;
/// Buckets of a duration up to 2^24 s (194 days).
pub const DURATION_BUCKETS: usize = 44;

/// The exponent of the first bound of a histogram of sizes: 2^0 = 1.
pub const SIZE_FIRST_EXPONENT: i32 = 0;
/// Buckets of a size up to 2^23: congestion window, slow-start threshold, maximum segment size.
pub const SIZE_BUCKETS: usize = 24;

/// The exponent of the first bound of a histogram of rates: 2^17 bytes per second, one megabit.
pub const RATE_FIRST_EXPONENT: i32 = 17;
/// Buckets of a rate up to 2^30 bytes per second, 9 gigabits.
pub const RATE_BUCKETS: usize = 14;

/// A histogram as it lies in a map: the number of values is the sum of the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Histogram<const N: usize> {
    /// Sum of the values.
    pub sum: u64,
    /// Number of values per bucket; not cumulative.
    pub buckets: [u64; N],
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            sum: 0,
            buckets: [0; N],
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().copied().fold(0, u64::wrapping_add)
    }

    /// Adds the values of another histogram.
    pub fn merge(&mut self, other: &Self) {
        let Self { sum, buckets } = self;
        *sum = sum.wrapping_add(other.sum);
        for (bucket, more) in buckets.iter_mut().zip(&other.buckets) {
            *bucket = bucket.wrapping_add(*more);
        }
    }

    /// What has been added since `before`.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        let Self { sum, buckets } = &mut self;
        *sum = sum.wrapping_sub(before.sum);
        for (bucket, old) in buckets.iter_mut().zip(&before.buckets) {
            *bucket = bucket.wrapping_sub(*old);
        }
        self
    }

    /// Raises every number to what it was before, so that none ever falls.
    pub fn clamp(&mut self, before: &Self) {
        let Self { sum, buckets } = self;
        *sum = not_below(*sum, before.sum);
        for (bucket, old) in buckets.iter_mut().zip(&before.buckets) {
            *bucket = not_below(*bucket, *old);
        }
    }
}

/// A counter that may have been read before a negative delta's counterpart: never below what was shown before, and a sum
/// that is negative for a moment is no huge number.
pub(crate) const fn not_below(now: u64, before: u64) -> u64 {
    if now > before && now < 1 << 63 { now } else { before }
}

/// The bucket of a round-trip time in microseconds.
#[inline(always)]
pub fn rtt_bucket(micros: u32) -> usize {
    // A value of l binary digits lies in one of five buckets, 4 l to 4 l + 4, because 4 log2(10^6) is 79.7. Bounds that it
    // exceeds are added up without a branch.
    let first = 4 * masked::<32>(log2(micros) as usize);
    let mut bucket = first;
    let mut step = 0;
    while step < 4 {
        bucket += (micros > RTT_STEPS[first + step]) as usize;
        step += 1;
    }
    if bucket < RTT_BUCKETS { bucket } else { RTT_BUCKETS - 1 }
}

/// The bucket, out of `buckets`, of a time in microseconds.
#[inline(always)]
pub fn time_bucket(micros: u64, buckets: usize) -> usize {
    let exponent = log2_wide(micros);
    // 2^(exponent - 19) s in microseconds is 10^6 2^exponent / 2^19, and 10^6 / 2^19 lies between 1 and 2. The shift overflows
    // from 2^45 on, where the time lies behind the last bucket in any case.
    let bound = MICROS.wrapping_shl(exponent) >> 19;
    let bucket = exponent as usize + (micros > bound) as usize;
    if bucket < buckets { bucket } else { buckets - 1 }
}

/// The bucket of a size.
#[inline(always)]
pub fn size_bucket(size: u32) -> usize {
    let exponent = log2(size);
    let bucket = exponent as usize + (size > 1 << exponent) as usize;
    if bucket < SIZE_BUCKETS {
        bucket
    } else {
        SIZE_BUCKETS - 1
    }
}

/// The bucket of a rate in bytes per second.
#[inline(always)]
pub fn rate_bucket(rate: u64) -> usize {
    let exponent = log2_wide(rate);
    let bound = 1_u64.wrapping_shl(exponent);
    let bucket = exponent as usize + (rate > bound) as usize;
    let first = RATE_FIRST_EXPONENT as usize;
    if bucket < first {
        0
    } else if bucket - first < RATE_BUCKETS {
        bucket - first
    } else {
        RATE_BUCKETS - 1
    }
}

/// The position of the highest bit of a byte; 0 for 0.
static LOG2_OF_BYTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 2;
    while i < table.len() {
        table[i] = table[i / 2] + 1;
        i += 1;
    }
    table
};

/// The position of the highest bit; 0 for 0. BPF has no instruction for it, and what the compiler makes of `leading_zeros` is
/// five times as long.
#[inline(always)]
fn log2(value: u32) -> u32 {
    let (value, above) = if value < 1 << 16 { (value, 0) } else { (value >> 16, 16) };
    let (value, above) = if value < 1 << 8 {
        (value, above)
    } else {
        (value >> 8, above + 8)
    };
    above + LOG2_OF_BYTE[masked::<256>(value as usize)] as u32
}

#[expect(clippy::cast_possible_truncation, reason = "takes a word apart")]
#[inline(always)]
fn log2_wide(value: u64) -> u32 {
    if value >> 32 == 0 {
        log2(value as u32)
    } else {
        32 + log2((value >> 32) as u32)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "109 buckets")]
const fn rtt_bounds() -> [u32; RTT_BUCKETS] {
    let mut bounds = [0; RTT_BUCKETS];
    let mut i = 0;
    while i < RTT_BUCKETS {
        bounds[i] = rtt_bound(RTT_FIRST_EXPONENT + i as i32);
        i += 1;
    }
    bounds
}

/// The largest whole number of microseconds that is not above 2^(quarters/4) s: the largest v with v^4 <= 10^24 2^quarters.
#[expect(clippy::cast_possible_truncation, reason = "below 2^28 by the bounds of the search")]
const fn rtt_bound(quarters: i32) -> u32 {
    const MICROS_TO_THE_4TH: u128 = 1_000_000_000_000_000_000_000_000;
    let limit = if quarters < 0 {
        MICROS_TO_THE_4TH >> -quarters
    } else {
        MICROS_TO_THE_4TH << quarters
    };
    let (mut low, mut high) = (0u128, 1u128 << 28);
    while low + 1 < high {
        let middle = (low + high) / 2;
        if middle * middle * middle * middle <= limit {
            low = middle;
        } else {
            high = middle;
        }
    }
    low as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bucket by the definition: the first whose bound in base units is not below the value.
    fn by_definition(value: f64, first: i32, per_octave: f64, buckets: usize) -> usize {
        (0..buckets)
            .find(|i| value <= f64::powf(2.0, (f64::from(first) + *i as f64) / per_octave))
            .unwrap_or(buckets - 1)
    }

    proptest! {
        #[test]
        fn an_rtt_falls_into_the_bucket_of_the_definition(micros in prop_oneof![0u32..4096, any::<u32>()]) {
            prop_assert_eq!(rtt_bucket(micros), by_definition(f64::from(micros) / 1e6, RTT_FIRST_EXPONENT, 4.0, RTT_BUCKETS));
        }

        #[test]
        fn a_time_falls_into_the_bucket_of_the_definition(micros in prop_oneof![0u64..4096, 0u64..1 << 45, any::<u64>()]) {
            for buckets in [TIME_BUCKETS, DURATION_BUCKETS] {
                prop_assert_eq!(time_bucket(micros, buckets), by_definition(micros as f64 / 1e6, TIME_FIRST_EXPONENT, 1.0, buckets));
            }
        }

        #[test]
        fn a_size_falls_into_the_bucket_of_the_definition(size in any::<u32>()) {
            prop_assert_eq!(size_bucket(size), by_definition(f64::from(size), SIZE_FIRST_EXPONENT, 1.0, SIZE_BUCKETS));
        }

        #[test]
        fn a_rate_falls_into_the_bucket_of_the_definition(rate in prop_oneof![0u64..1 << 20, 0u64..1 << 40]) {
            prop_assert_eq!(rate_bucket(rate), by_definition(rate as f64, RATE_FIRST_EXPONENT, 1.0, RATE_BUCKETS));
        }
    }

    #[test]
    fn every_rtt_bound_and_its_neighbors_are_placed() {
        for bound in RTT_BOUNDS {
            for micros in [bound, bound + 1] {
                // The first bounds are the same whole number of microseconds.
                let first = RTT_BOUNDS.iter().position(|b| micros <= *b).unwrap_or(RTT_BUCKETS - 1);
                assert_eq!(rtt_bucket(micros), first, "{micros}");
            }
        }
    }

    #[test]
    fn bounds_of_rates_and_their_neighbors_are_placed() {
        for (bucket, exponent) in (RATE_FIRST_EXPONENT..).take(RATE_BUCKETS).enumerate() {
            let bound = 1_u64 << exponent;
            assert_eq!(rate_bucket(bound), bucket);
            assert_eq!(rate_bucket(bound + 1), (bucket + 1).min(RATE_BUCKETS - 1));
        }
        assert_eq!((rate_bucket(0), rate_bucket(u64::MAX)), (0, RATE_BUCKETS - 1));
    }

    #[test]
    fn bounds_are_powers_of_the_base_in_seconds() {
        assert_eq!(RTT_BOUNDS[79], 1_000_000);
        assert_eq!(RTT_BOUNDS[83], 2_000_000);
        assert_eq!(RTT_BOUNDS[75], 500_000);
        assert_eq!(RTT_BOUNDS[0], 1);
        assert!(RTT_BOUNDS.is_sorted());
    }
}
