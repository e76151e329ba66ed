//! Numbers with a unit: byte sizes, durations, plain counts; written as Kubernetes, Prometheus and Go write them.
//! It must never round up or wrap: what is finer than the smallest unit is cut off, and what is too big becomes the biggest number
//! and fails its range.
//! From the text of a setting; to the `parse` function that names the allowed range.

use std::{ops::RangeInclusive, time::Duration};

use crate::file::Problem;

/// A size in bytes: `32MiB`, `32Mi`, `64MB`, `1.5G`, `1048576`.
pub(crate) const SIZE: Quantity = Quantity {
    units: &[
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("Gi", 1 << 30),
        ("Mi", 1 << 20),
        ("Ki", 1 << 10),
        ("G", 1_000_000_000),
        ("M", 1_000_000),
        ("k", 1_000),
        ("KB", 1_000),
        ("B", 1),
        ("", 1),
    ],
    joins: false,
    noun: "a size",
    form: "a number with KiB, MiB, GiB (or Ki, Mi, Gi), kB, MB, GB (or k, M, G) or nothing for bytes, for example 32MiB",
};

/// A duration in nanoseconds: `500ms`, `1s`, `1m30s`, `1.5h`.
pub(crate) const DURATION: Quantity = Quantity {
    units: &[
        ("d", 24 * 3600 * SECOND),
        ("h", 3600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
        ("ms", MILLISECOND),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ns", 1),
    ],
    joins: true,
    noun: "a duration",
    form: "numbers with d, h, m, s or ms, for example 500ms, 2s or 1m30s",
};

/// A number without a unit.
pub(crate) const COUNT: Quantity = Quantity {
    units: &[("", 1)],
    joins: false,
    noun: "a whole number",
    form: "digits only",
};

/// In nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// In nanoseconds.
pub(crate) const MILLISECOND: u64 = 1_000_000;

/// A size in bytes that a flag gives.
///
/// # Errors
/// A sentence with what is wrong and what is allowed.
pub fn size(text: &str, allowed: RangeInclusive<u64>) -> Result<u64, String> {
    SIZE.number(text, allowed)
}

/// How long a command goes on, or one of its files: from a millisecond to a year.
///
/// # Errors
/// A sentence that says what a duration is.
pub fn length(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    duration(text, Duration::from_millis(1)..=YEAR)
}

/// A duration that a flag gives, or a file of another format.
///
/// # Errors
/// The same.
pub fn duration(text: &str, allowed: RangeInclusive<Duration>) -> Result<Duration, String> {
    let nanoseconds = |duration: &Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let allowed = nanoseconds(allowed.start())..=nanoseconds(allowed.end());
    DURATION.number(text, allowed).map(Duration::from_nanos)
}

/// A kind of number: its units, biggest first, and its words for errors.
pub(crate) struct Quantity {
    units: &'static [(&'static str, u64)],
    /// Whether numbers with a unit may follow each other, and add up.
    joins: bool,
    noun: &'static str,
    form: &'static str,
}

impl Quantity {
    /// The number that `text` stands for, if it is one and allowed.
    pub(crate) fn read<T: TryFrom<u64>>(
        &self,
        key: &str,
        text: &str,
        allowed: RangeInclusive<u64>,
    ) -> Result<T, Problem> {
        self.number(text, allowed).map_err(|what| Problem::new(key, what))
    }

    fn number<T: TryFrom<u64>>(&self, text: &str, allowed: RangeInclusive<u64>) -> Result<T, String> {
        let Some(number) = self.parse(text) else {
            let Self { noun, form, .. } = self;
            let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_bare {
                format!("{text:?} has no unit; write {text}s")
            } else {
                format!("{text:?} is not {noun}; write {form}")
            });
        };
        let fitting = Some(number).filter(|number| allowed.contains(number));
        fitting.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let (least, most) = (self.format(*allowed.start()), self.format(*allowed.end()));
            format!("{text:?} is out of range; allowed are {least} to {most}")
        })
    }

    /// Each unit, and the whole numbers that stand before it in the allowed range. Finer ones than a millisecond are left out: few
    /// write them, and their patterns are long.
    pub(crate) fn ranges(
        &self,
        allowed: &RangeInclusive<u64>,
    ) -> impl Iterator<Item = (&'static str, RangeInclusive<u64>)> {
        let (least, most) = (*allowed.start(), *allowed.end());
        let ranges = self
            .units
            .iter()
            .filter(|(_, factor)| !self.joins || *factor >= MILLISECOND)
            .map(move |(unit, factor)| (*unit, least.div_ceil(*factor)..=most / factor));
        ranges.filter(|(_, range)| !range.is_empty())
    }

    /// A pattern of the other forms: fractions, and what [`Self::ranges`] leaves out. Their range is not looked at.
    pub(crate) fn other_forms(&self) -> Option<String> {
        let names = |least: u64| {
            let units = self.units.iter().filter(|(_, factor)| *factor > least);
            units.map(|(unit, _)| *unit).collect::<Vec<_>>().join("|")
        };
        let (divisible, all) = (names(1), names(0));
        if divisible.is_empty() {
            return None;
        }
        let fraction = format!(r"[0-9]+\.[0-9]+(?:{divisible})");
        Some(if self.joins {
            format!(r"{fraction}|[0-9]+(?:us|µs|μs|ns)|(?:[0-9]+(?:\.[0-9]+)?(?:{all})){{2,}}")
        } else {
            fraction
        })
    }

    /// Whether a number may stand without a unit.
    pub(crate) fn has_plain_numbers(&self) -> bool {
        self.units.iter().any(|(unit, _)| unit.is_empty())
    }

    /// What it is, without an article, and how it is written.
    pub(crate) fn words(&self) -> (&'static str, &'static str) {
        (self.noun.trim_start_matches("a "), self.form)
    }

    /// The number in the smallest unit; a lone `0` needs no unit.
    pub(crate) fn parse(&self, text: &str) -> Option<u64> {
        if text == "0" {
            return Some(0);
        }
        let is_of_number = |char: char| char.is_ascii_digit() || char == '.';
        let (mut rest, mut sum) = (text, 0_u64);
        loop {
            let (number, behind) = rest.split_at(rest.find(|char| !is_of_number(char)).unwrap_or(rest.len()));
            let (unit, behind) = behind.split_at(behind.find(is_of_number).unwrap_or(behind.len()));
            let (_, factor) = self.units.iter().find(|(name, _)| *name == unit)?;
            sum = sum.saturating_add(times(number, *factor)?);
            if behind.is_empty() {
                return Some(sum);
            }
            if !self.joins {
                return None;
            }
            rest = behind;
        }
    }

    /// The shortest text that `parse` takes back, in the first unit that divides the number.
    pub(crate) fn format(&self, number: u64) -> String {
        let exact = self.units.iter().find(|(_, factor)| number.is_multiple_of(*factor));
        match exact {
            Some((name, factor)) if number != 0 => format!("{}{name}", number / factor),
            _ => number.to_string(),
        }
    }
}

/// A decimal number times a factor, without what is finer than 1. Where nothing can be finer, a fraction is no number.
fn times(number: &str, factor: u64) -> Option<u64> {
    /// Most digits of a fraction that fit.
    const MOST: usize = 18;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if digits(fraction) && factor > 1 => (whole, &fraction[..fraction.len().min(MOST)]),
        Some(_) => return None,
        None => (number, ""),
    };
    if !digits(whole) {
        return None;
    }
    // Digits that do not parse are too many of them.
    let whole = whole.parse().unwrap_or(u64::MAX).saturating_mul(factor);
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor);
    Some(whole.saturating_add(u64::try_from(parts / u128::from(scale)).ok()?))
}
