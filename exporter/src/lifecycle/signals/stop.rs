//! When a command ends that waits for descriptors: at a signal, or when its time is over. A reader that does not read holds it up,
//! but never keeps a signal from ending it.

use crate::lifecycle::{clock::now, signals};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{signal::SigSet, signalfd::SignalFd},
};
use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

/// How long a reader is waited for once the command is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Whatever it reads meanwhile.
    InAll(Duration),
    /// Since it has read something.
    Idle(Duration),
}

impl Grace {
    const fn duration(self) -> Duration {
        match self {
            Self::InAll(duration) | Self::Idle(duration) => duration,
        }
    }
}

/// How much of what was to be written is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    All,
    /// Nobody reads any more.
    Closed,
    /// Nobody read in the time that is left after a signal.
    Stuck,
}

/// The signals that end a command, and its time.
#[derive(Debug)]
pub struct Stop {
    signals: SignalFd,
    grace: Grace,
    /// When the time is over.
    end: Option<Instant>,
    /// When nobody is waited for any more.
    given_up: Option<Instant>,
}

impl Stop {
    /// From now on SIGINT, SIGTERM and SIGHUP end the command, and so does `duration`.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn new(duration: Option<Duration>, grace: Grace) -> io::Result<Self> {
        let handled: SigSet = signals::HANDLED.into_iter().collect();
        handled.thread_block()?;
        Ok(Self {
            signals: signals::held_back(&handled)?,
            grace,
            end: duration.map(|duration| now() + duration),
            given_up: None,
        })
    }

    /// Whether a signal has ended the command.
    pub const fn is_asked(&self) -> bool {
        self.given_up.is_some()
    }

    /// Whether the command should end.
    pub fn is_due(&self) -> bool {
        self.is_asked() || self.end.is_some_and(|end| end <= now())
    }

    /// How long it may still last; `None` for ever.
    pub fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(now()))
    }

    /// Ends the command: from now on others are waited for as long as the grace says.
    pub fn hurry(&mut self) {
        let end = now() + self.grace.duration();
        self.given_up.get_or_insert(end);
    }

    /// Waits for one of these descriptors, a signal, or the time; what each descriptor is ready for.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn wait(
        &mut self,
        others: &[(BorrowedFd<'_>, PollFlags)],
        time: Option<Duration>,
    ) -> io::Result<Vec<PollFlags>> {
        let mut waited = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        waited.extend(others.iter().map(|(fd, events)| PollFd::new(*fd, *events)));
        match poll(&mut waited, time.map_or(PollTimeout::NONE, timeout)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = waited
            .iter()
            .map(|fd| fd.revents().unwrap_or(PollFlags::empty()))
            .collect::<Vec<_>>();
        if !ready.remove(0).is_empty() {
            while matches!(self.signals.read_signal(), Ok(Some(_))) {
                self.hurry();
            }
        }
        Ok(ready)
    }

    /// Writes all of it, as fast as it is read.
    ///
    /// # Errors
    /// When it takes no more for another reason than that nobody reads.
    pub fn write(&mut self, mut to: &File, bytes: &[u8]) -> io::Result<Written> {
        /// `PIPE_BUF`: a pipe that is ready takes as much at once.
        const AT_ONCE: usize = 4096;
        let mut rest = bytes;
        while !rest.is_empty() {
            let patience = self.given_up.map(|end| end.saturating_duration_since(now()));
            if patience.is_some_and(|left| left.is_zero()) {
                return Ok(Written::Stuck);
            }
            let ready = self.wait(&[(to.as_fd(), PollFlags::POLLOUT)], patience)?;
            if ready.iter().all(PollFlags::is_empty) {
                continue;
            }
            match to.write(rest.get(..AT_ONCE).unwrap_or(rest)) {
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    if let (Some(end), Grace::Idle(grace)) = (&mut self.given_up, self.grace) {
                        *end = now() + grace;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Ok(Written::Closed);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Written::All)
    }
}

/// Rounded up: whoever is woken too early would sleep again.
fn timeout(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}
