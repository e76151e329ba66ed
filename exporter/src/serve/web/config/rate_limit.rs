//! How often the server answers at most.
//! It must never be a limit that lets nobody in.
//! From `rate_limit`; to the guard.

use std::time::Duration;

use tcpvitals_config::{duration, file::Problem};

use super::raw::RawRateLimit;

/// A request a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

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
            Some(text) => {
                duration(text, Duration::ZERO..=LONGEST).map_err(|what| Problem::new("rate_limit.interval", what))?
            }
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
