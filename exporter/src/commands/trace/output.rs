//! Standard output, unbuffered but for what waits here, and the signals that end a trace.

use crate::lifecycle::signals::stop::{Grace, Stop, Written};
use nix::poll::PollFlags;
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// Bytes on their way to standard output.
#[derive(Debug)]
pub(super) struct Output {
    to: File,
    waiting: Vec<u8>,
    stop: Stop,
}

/// So much may wait.
const FULL: usize = 64 << 10;
/// For how long a reader may read nothing once it is time to end.
const GRACE: Grace = Grace::Idle(Duration::from_secs(1));

impl Output {
    /// From now on SIGINT, SIGTERM and SIGHUP are noticed here and do nothing else; after `duration` it is time to end, too.
    pub(super) fn new(duration: Option<Duration>) -> io::Result<Self> {
        Ok(Self {
            to: io::stdout().as_fd().try_clone_to_owned()?.into(),
            waiting: Vec::new(),
            stop: Stop::new(duration, GRACE)?,
        })
    }

    /// Adds to what waits.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Whether enough waits to be written.
    pub(super) const fn is_full(&self) -> bool {
        self.waiting.len() >= FULL
    }

    /// Whether a signal has ended it.
    pub(super) const fn is_asked_to_end(&self) -> bool {
        self.stop.is_asked()
    }

    /// Whether it is time to end.
    pub(super) fn is_due(&self) -> bool {
        self.stop.is_due()
    }

    /// Writes all that waits. What nobody reads is thrown away.
    pub(super) fn write(&mut self) -> io::Result<Written> {
        self.stop.write(&self.to, &std::mem::take(&mut self.waiting))
    }

    /// Waits until there is something to read from `from`, or it is time to end or for something else.
    pub(super) fn wait(&mut self, from: BorrowedFd<'_>, time: Option<Duration>) -> io::Result<()> {
        let left = self.stop.left().into_iter().chain(time).min();
        // Whatever it was that woke it is found when the caller looks around.
        self.stop.wait(&[(from, PollFlags::POLLIN)], left).map(drop)
    }
}
