//! Numbers as people read them. The script of the page writes the same words for what it computes (`page.js`).

use super::{
    model::{Connections, Drops, Of, Rtt},
    severity::COLUMNS,
};
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

/// A share in per cent, by its first two digits.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        ..0.01 => "< 0.01 %".to_owned(),
        ..1.0 => format!("{percent:.2} %"),
        ..10.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// A time in the unit that suits it.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        0.0 => "0 s".to_owned(),
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
    match per_second {
        0.0 => "0".to_owned(),
        ..0.01 => "< 0.01".to_owned(),
        _ => three_digits(per_second),
    }
}

/// Events per second of a time; nothing is known of no time.
pub(super) fn rate_over(count: u64, seconds: Option<f64>) -> String {
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    seconds.map_or_else(
        || NONE.to_owned(),
        |seconds| rate(crate::families::number(count) / seconds),
    )
}

/// Megabits per second, out and in.
pub(super) fn megabits(row: &Connections, seconds: Option<f64>) -> String {
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    let one = |bytes: Option<u64>| {
        let both = bytes.zip(seconds);
        both.map_or_else(
            || NONE.to_owned(),
            |(bytes, seconds)| rate(crate::families::number(bytes) * 8e-6 / seconds),
        )
    };
    format!("{} / {}", one(row.transmitted), one(row.received))
}

/// The first three digits at least, and no fraction of what is large.
fn three_digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => whole_number(value),
    }
}

/// A count that came as another number.
pub(super) fn whole_number(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a cast saturates"
    )]
    let whole = value.round() as u64;
    count(whole)
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

/// Packets and bytes.
pub(super) fn amount(Drops { packets, bytes: of, .. }: &Drops) -> String {
    let packets = format!("{} packets", count(*packets));
    of.map_or_else(|| packets.clone(), |of| format!("{packets}, {}", bytes(of)))
}

/// A direction, as people say it.
pub(super) fn way(direction: &str) -> &str {
    match direction {
        "transmit" => "out",
        "receive" => "in",
        other => other,
    }
}

/// A text as a value in a URL.
pub(super) fn in_url(text: &str) -> impl std::fmt::Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

/// The time of day, as logs have it.
pub(super) fn clock(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A share of a row as it stands in its cell.
pub(super) fn share(of: Option<Of>) -> String {
    of.and_then(Of::share).map_or_else(|| NONE.to_owned(), percent)
}

/// The shares that are not 0, in a line.
pub(super) fn shares(row: &Connections) -> String {
    let columns = COLUMNS.iter().filter_map(|column| {
        let share = (column.of)(row).and_then(Of::share).filter(|share| *share > 0.0)?;
        Some(format!("{} {}", column.title.to_lowercase(), percent(share)))
    });
    let all: Vec<String> = columns.collect();
    if all.is_empty() {
        "nothing to see".to_owned()
    } else {
        all.join(", ")
    }
}

/// What the shares of a row are of, in the order of its cells, and its bytes.
pub(super) fn told(row: &Connections) -> [String; 6] {
    let counts = |of: Option<Of>, what: &str| {
        of.map_or_else(
            || NONE.to_owned(),
            |Of { part, whole }| format!("{} of {} {what}", whole_number(part), whole_number(whole)),
        )
    };
    let mut opens = counts(row.opens_failed(), "opens");
    let reasons: Vec<String> = row
        .failures()
        .map(|(reason, count_of)| format!("{reason} {}", count(count_of)))
        .collect();
    if !reasons.is_empty() {
        opens += &format!(" ({})", reasons.join(", "));
    }
    if let Some(syns) = row.syns.filter(|syns| *syns > 0) {
        opens += &format!(", {} SYNs retransmitted", count(syns));
    }
    let waits = row.waits().map_or_else(
        || NONE.to_owned(),
        |Of { part, whole }| format!("{} of {} busy", time(part), time(whole)),
    );
    let amount = |of: Option<u64>| of.map_or_else(|| NONE.to_owned(), bytes);
    [
        counts(row.retransmitted(), "data segments"),
        counts(row.ours(), "retransmitted"),
        counts(row.dropped_here(), "segments"),
        opens,
        waits,
        format!("{} out, {} in", amount(row.transmitted), amount(row.received)),
    ]
}

/// The same in a line, with what it is.
pub(super) fn told_together(row: &Connections) -> String {
    let [retransmitted, ours, dropped, failed, waits, amount] = told(row);
    format!(
        "Retransmitted {retransmitted} · after a drop here {ours} · dropped here {dropped} · failed {failed} · waited for the peer {waits} · {amount}"
    )
}

/// The smallest round-trip time, the median and the 90th percentile; a unit stands once where its neighbors have it too.
pub(super) fn round_trips(row: &Connections) -> String {
    let quantile = |share| row.rtt.as_ref().and_then(|rtt| rtt.quantile(share));
    let all = [row.floor.map(Quantile::At), quantile(0.5), quantile(0.9)].map(|time| {
        time.map_or_else(
            || (NONE.to_owned(), ""),
            |time| match time {
                Quantile::At(seconds) => two_digits(seconds),
                Quantile::Beyond(seconds) => {
                    let (digits, unit) = two_digits(seconds);
                    (format!("> {digits}"), unit)
                }
            },
        )
    });
    let mut text = String::new();
    for (place, (digits, unit)) in all.iter().enumerate() {
        text += if place == 0 { "" } else { " / " };
        text += digits;
        let next = all.get(place + 1).map(|(_, unit)| *unit);
        if next != Some(*unit) && !unit.is_empty() {
            text += &format!(" {unit}");
        }
    }
    text
}

/// A time by its first two digits, and its unit.
fn two_digits(seconds: f64) -> (String, &'static str) {
    let (value, unit) = match seconds {
        ..0.001 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    (digits, unit)
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
            [0.0, 0.000_01, 0.002_34, 0.0123, 0.956, 1.0].map(percent),
            ["0 %", "< 0.01 %", "0.23 %", "1.2 %", "96 %", "100 %"]
        );
        assert_eq!(
            [0.000_18, 0.0025, 0.25, 12.0].map(time),
            ["180 µs", "2.50 ms", "250 ms", "12.0 s"]
        );
        assert_eq!(
            [999, 1000, 25_500, 1 << 40].map(bytes),
            ["999 B", "1.00 kB", "25.5 kB", "1.10 TB"]
        );
        assert_eq!([0.0, 0.001, 3.0, 12_345.6].map(rate), ["0", "< 0.01", "3.00", "12,346"]);
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
    }

    #[test]
    fn the_three_round_trips_share_their_units() {
        let of = |floor, buckets: &[(i32, u64)]| {
            round_trips(&Connections {
                floor,
                rtt: Some(Rtt {
                    schema: 2,
                    buckets: buckets.iter().copied().collect(),
                    last: 29,
                }),
                ..Connections::default()
            })
        };
        assert_eq!(of(Some(0.000_008), &[(-32, 1)]), "8.0 µs / 3.6 / 3.8 ms");
        assert_eq!(of(Some(0.003), &[(-32, 1)]), "3.0 / 3.6 / 3.8 ms");
        assert_eq!(of(None, &[(29, 1)]), "– / > 128 / > 128 s");
        assert_eq!(round_trips(&Connections::default()), "– / – / –");
    }

    #[test]
    fn counts_stand_behind_shares() {
        let row = Connections {
            sent: Some(38_425),
            again: Some(709),
            repaired: Some(700),
            opened: Some(28),
            failed: [("refused".to_owned(), 10), ("unanswered".to_owned(), 2)].into(),
            syns: Some(20),
            transmitted: Some(8_100_000),
            ..Connections::default()
        };
        assert_eq!(
            told(&row),
            [
                "709 of 38,425 data segments",
                "700 of 709 retransmitted",
                "700 of 39,125 segments",
                "12 of 40 opens (refused 10, unanswered 2), 20 SYNs retransmitted",
                NONE,
                "8.10 MB out, – in"
            ]
        );
        assert_eq!(
            shares(&row),
            "retransmitted 1.8 %, dropped here 1.8 %, opens failed 30 %"
        );
        assert_eq!(shares(&Connections::default()), "nothing to see");
        assert_eq!(megabits(&row, Some(8.1)), "8.00 / –");
        assert_eq!(clock(Duration::from_secs(1_700_007_200)), "00:13:20");
    }
}
