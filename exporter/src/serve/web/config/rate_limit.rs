//! How often the server answers at most.
//! It must never be a limit that lets nobody in.
//! From `rate_limit`; to the guard.

use std::time::Duration;

use tcpvitals_config::file::Problem;

use super::raw::RawRateLimit;

/// A token bucket: it holds `burst` requests and gets one more each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

impl RateLimit {
    pub(super) fn parse(raw: &RawRateLimit) -> Result<Option<Self>, Problem> {
        let RawRateLimit { interval, burst } = raw;
        let burst = match burst.as_deref() {
            None => 0,
            Some(text) => text.parse().map_err(|_unsaid| {
                let what = format!("{text:?} is not a number of requests; write digits only, for example 20");
                Problem::new("rate_limit.burst", what)
            })?,
        };
        let interval = match interval.as_deref() {
            None => Duration::ZERO,
            Some(text) => duration(text).ok_or_else(|| {
                let what = format!("{text:?} is not a duration; write for example 100ms, 1s or 1m30s");
                Problem::new("rate_limit.interval", what)
            })?,
        };
        if interval.is_zero() {
            return Ok(None);
        }
        if burst == 0 {
            let what = "without a burst of at least 1 every request would be refused; set rate_limit.burst, for \
                        example to 20";
            return Err(Problem::new("rate_limit", what));
        }
        Ok(Some(Self { interval, burst }))
    }
}

/// A duration as Go writes it: numbers, with or without a fraction, each with its unit.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    loop {
        let end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, behind) = rest.split_at(end);
        let end = behind
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * factor;
        if behind.is_empty() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        rest = behind;
    }
}
