//! Whole numbers with a unit: byte sizes, durations, plain counts.
//! It must never round, wrap or accept a fraction: what is too big becomes the biggest number and fails its range.
//! From the text of a setting; to the `parse` function that names the allowed range.

use std::{ops::RangeInclusive, time::Duration};

use crate::file::Problem;

/// A size in bytes: `32MiB`, `64MB`, `1048576`.
pub(crate) const SIZE: Quantity = Quantity {
    units: &[
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("KB", 1_000),
        ("B", 1),
        ("", 1),
    ],
    noun: "a size",
    form: "a whole number with KiB, MiB, GiB, kB, MB, GB or nothing for bytes, for example 32MiB",
};

/// A duration in milliseconds: `500ms`, `1s`, `2m`, `1h`.
pub(crate) const DURATION: Quantity = Quantity {
    units: &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)],
    noun: "a duration",
    form: "a whole number with ms, s, m or h, for example 500ms",
};

/// A number without a unit.
pub(crate) const COUNT: Quantity = Quantity {
    units: &[("", 1)],
    noun: "a whole number",
    form: "digits only",
};

/// A size in bytes that a flag gives.
///
/// # Errors
/// A sentence with what is wrong and what is allowed.
pub fn size(text: &str, allowed: RangeInclusive<u64>) -> Result<u64, String> {
    SIZE.read("size", text, allowed).map_err(|problem| problem.to_string())
}

/// How long a command goes on, or one of its files: from a millisecond to a year.
///
/// # Errors
/// A sentence that says what a duration is.
pub fn length(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    duration(text, Duration::from_millis(1)..=YEAR)
}

/// A duration that a flag gives.
///
/// # Errors
/// The same.
pub fn duration(text: &str, allowed: RangeInclusive<Duration>) -> Result<Duration, String> {
    let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let allowed = millis(allowed.start())..=millis(allowed.end());
    DURATION
        .read("duration", text, allowed)
        .map(Duration::from_millis)
        .map_err(|problem| problem.to_string())
}

/// A kind of number: its units, biggest first, and its words for errors.
pub(crate) struct Quantity {
    units: &'static [(&'static str, u64)],
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
        let Some(number) = self.parse(text) else {
            let Self { noun, form, .. } = self;
            let what = format!("{text:?} is not {noun}; write {form}");
            return Err(Problem::new(key, what));
        };
        let fitting = Some(number).filter(|number| allowed.contains(number));
        fitting.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let (least, most) = (self.format(*allowed.start()), self.format(*allowed.end()));
            let what = format!("{text:?} is out of range; allowed are {least} to {most}");
            Problem::new(key, what)
        })
    }

    /// Each unit, and the numbers that stand before it in the allowed range.
    pub(crate) fn ranges(
        &self,
        allowed: &RangeInclusive<u64>,
    ) -> impl Iterator<Item = (&'static str, RangeInclusive<u64>)> {
        let (least, most) = (*allowed.start(), *allowed.end());
        let ranges = self
            .units
            .iter()
            .map(move |(unit, factor)| (*unit, least.div_ceil(*factor)..=most / factor));
        ranges.filter(|(_, range)| !range.is_empty())
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
        let unit_at = text.find(|char: char| !char.is_ascii_digit());
        let (digits, unit) = text.split_at(unit_at.unwrap_or(text.len()));
        let (_, factor) = self.units.iter().find(|(name, _)| *name == unit)?;
        if digits.is_empty() {
            return None;
        }
        // Digits that do not parse are too many of them.
        let number = digits.parse().unwrap_or(u64::MAX);
        Some(number.saturating_mul(*factor))
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
