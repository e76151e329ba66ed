//! Ticks for a command that reads the kernel now and then until a signal or its time ends it.

use crate::lifecycle::signals::{self, Ends};
use std::{io, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// Ticks, and what ends them.
#[derive(Debug)]
pub struct Ticker {
    interval: Duration,
    at: Instant,
    ends: Ends,
    hangup: Signal,
    end: Option<Instant>,
}

impl Ticker {
    /// Ticks each `interval` from now on, and ends after `duration` if there is one.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(interval: Duration, duration: Option<Duration>) -> io::Result<Self> {
        let at = Instant::now();
        let ticker = Self {
            interval,
            at,
            ends: Ends::new()?,
            hangup: signal(SignalKind::hangup())?,
            end: duration.map(|duration| at + duration),
        };
        signals::let_through()?;
        Ok(ticker)
    }

    /// The next tick is due an interval after this one, or half an interval from now if the work of this one took too long.
    pub fn advance(&mut self) {
        self.at = Instant::max(self.at + self.interval, Instant::now() + self.interval / 2);
    }

    /// Waits for the next tick; `None` when it is over. Waiting may be given up and taken up again.
    pub async fn tick(&mut self) -> Option<()> {
        let is_last = self.end.is_some_and(|end| end < self.at);
        let until = if is_last { self.end.unwrap_or(self.at) } else { self.at };
        tokio::select! {
            biased;
            _ = self.ends.next() => None,
            _ = self.hangup.recv() => None,
            () = tokio::time::sleep_until(until) => (!is_last).then_some(()),
        }
    }
}
