//! Numbers as people read them. The script of the page writes the same words for what it computes (`page.js`).

use super::model::{Connections, Drops, Rtt};
use std::time::Duration;

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// A count with a comma between thousands.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in per cent.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 {
        "< 0.01 %".to_owned()
    } else {
        format!("{percent:.2} %")
    }
}

/// A time in the unit that suits it.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{} µs", three_digits(seconds * 1e6)),
        ..1.0 => format!("{} ms", three_digits(seconds * 1e3)),
        _ => format!("{} s", three_digits(seconds)),
    }
}

/// An amount of bytes in the unit that suits it.
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = crate::families::number(bytes);
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            let whole = unit == "B";
            return if whole {
                format!("{value:.0} B")
            } else {
                format!("{} {unit}", three_digits(value))
            };
        }
        value /= 1000.0;
    }
    format!("{} PB", three_digits(value))
}

/// Events per second.
pub(super) fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 0.01 {
        "< 0.01".to_owned()
    } else {
        three_digits(per_second)
    }
}

/// The first three digits at least, and no fraction of what is large.
fn three_digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative, and a cast saturates"
            )]
            let whole = value.round() as u64;
            count(whole)
        }
    }
}

/// How long ago, by its two largest units.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// Retransmitted over sent segments; none while nothing was sent.
pub(super) fn ratio(row: &Connections) -> Option<f64> {
    let (again, sent) = (row.again?, row.sent?);
    (sent != 0).then(|| crate::families::number(again) / crate::families::number(sent))
}

/// The share of a row among all.
pub(super) fn share(part: &Drops, all: &Drops) -> f64 {
    crate::families::number(part.packets) / crate::families::number(all.packets.max(1))
}

/// A quantile of round-trip times; "> " and the last bound where it is beyond that.
pub(super) fn quantile(rtt: Option<&Rtt>, quantile: f64) -> String {
    let Some(rtt) = rtt else { return NONE.to_owned() };
    match rtt.quantile(quantile) {
        None => NONE.to_owned(),
        Some(Quantile::At(seconds)) => time(seconds),
        Some(Quantile::Beyond(seconds)) => format!("> {}", time(seconds)),
    }
}

/// Where a quantile lies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantile {
    /// At so many seconds.
    At(f64),
    /// Beyond the last bound.
    Beyond(f64),
}

impl Rtt {
    /// As Prometheus has it for native histograms: exponential interpolation within the bucket.
    fn quantile(&self, quantile: f64) -> Option<Quantile> {
        let total: u64 = self.buckets.values().sum();
        let rank = quantile * crate::families::number(total);
        let per_octave = f64::exp2(self.schema.into());
        let mut below = 0.0;
        for (index, count) in &self.buckets {
            let count = crate::families::number(*count);
            if below + count >= rank {
                let lower = f64::from(*index - 1);
                return Some(if *index == self.last {
                    Quantile::Beyond(f64::exp2(lower / per_octave))
                } else {
                    Quantile::At(f64::exp2((lower + (rank - below) / count) / per_octave))
                });
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_words_of_three_digits() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.000_01, 0.0123, 1.0].map(percent),
            ["0.00 %", "< 0.01 %", "1.23 %", "100.00 %"]
        );
        assert_eq!(
            [0.000_18, 0.0025, 0.25, 12.0].map(time),
            ["180 µs", "2.50 ms", "250 ms", "12.0 s"]
        );
        assert_eq!(
            [999, 1000, 25_500, 1 << 40].map(bytes),
            ["999 B", "1.00 kB", "25.5 kB", "1.10 TB"]
        );
        assert_eq!(
            [0.0, 0.001, 3.0, 12_345.6].map(rate),
            ["0.00", "< 0.01", "3.00", "12,346"]
        );
        let told = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [5, 125, 7260, 180_000].map(told),
            ["5 s", "2 min 5 s", "2 h 1 min", "2 d 2 h"]
        );
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let rtt = |buckets: &[(i32, u64)]| Rtt {
            schema: 2,
            buckets: buckets.iter().copied().collect(),
            last: 29,
        };
        // One bucket from 1/2 to 2^(-3/4): its middle is 2^(-7/8).
        assert_eq!(rtt(&[(-3, 10)]).quantile(0.5), Some(Quantile::At(f64::exp2(-0.875))));
        // Half of the values end at the bound between two buckets.
        assert_eq!(rtt(&[(-4, 1), (4, 1)]).quantile(0.5), Some(Quantile::At(0.5)));
        assert_eq!(rtt(&[(-4, 1), (29, 9)]).quantile(0.9), Some(Quantile::Beyond(128.0)));
        assert_eq!(rtt(&[]).quantile(0.5), None);
        assert_eq!(quantile(None, 0.5), NONE);
    }
}
