//! When a capture ends: at a signal, or when its time is over.

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// The signals that end a capture, and its time.
#[derive(Debug)]
pub struct Stop {
    signals: SignalFd,
    /// When the capture is over.
    end: Option<Instant>,
    /// When nobody is waited for any more.
    given_up: Option<Instant>,
}

impl Stop {
    /// From now on SIGINT, SIGTERM and SIGHUP end the capture, and so does `duration`.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn new(duration: Option<Duration>) -> io::Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            signals: SignalFd::with_flags(&signals, flags)?,
            end: duration.map(|duration| now() + duration),
            given_up: None,
        })
    }

    /// To be waited for.
    pub fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Takes a signal if there is one; from then on others are waited for as long as `patience`.
    pub fn take_signal(&mut self, patience: Duration) {
        if matches!(self.signals.read_signal(), Ok(Some(_))) {
            self.hurry(patience);
        }
    }

    /// Ends the capture; others are waited for as long as `patience`.
    pub fn hurry(&mut self, patience: Duration) {
        self.given_up.get_or_insert_with(|| now() + patience);
    }

    /// Whether the capture should end.
    pub fn is_due(&self) -> bool {
        self.given_up.is_some() || self.end.is_some_and(|end| end <= now())
    }

    /// How long it may still last; `None` for ever.
    pub fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(now()))
    }

    /// Whether nobody is waited for any more.
    pub fn is_over(&self) -> bool {
        self.given_up.is_some_and(|end| end <= now())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock that a capture ends by")]
fn now() -> Instant {
    Instant::now()
}
