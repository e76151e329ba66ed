//! Standard output, and the signals that end a trace. A reader that does not read holds the trace up, but never keeps a
//! signal from ending it.

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::fd::{AsFd, BorrowedFd},
};

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All are written.
    All,
    /// The reader went away, or did not read when it was time to end.
    NotAll,
}

/// What waiting ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// There is something to read.
    Ready,
    /// It is time to end.
    Stop,
    /// The time is over.
    Late,
}

/// Standard output, unbuffered but for what waits here.
#[derive(Debug)]
pub(super) struct Output {
    to: File,
    waiting: Vec<u8>,
    signals: SignalFd,
    is_stopped: bool,
}

/// A pipe that can be written at all takes so much at once (`PIPE_BUF`).
const PIECE: usize = 4096;
/// So much may wait.
const FULL: usize = 64 << 10;
/// For how long a reader may read nothing once it is time to end.
const PATIENCE_MILLISECONDS: u16 = 1000;

impl Output {
    /// From now on SIGINT, SIGTERM and SIGHUP are noticed here and do nothing else.
    pub(super) fn new() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGINT);
        mask.add(Signal::SIGTERM);
        mask.add(Signal::SIGHUP);
        mask.thread_block()?;
        Ok(Self {
            to: io::stdout().as_fd().try_clone_to_owned()?.into(),
            waiting: Vec::new(),
            signals: SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            is_stopped: false,
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

    /// Whether a signal said to end.
    pub(super) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Writes all that waits.
    pub(super) fn write(&mut self) -> io::Result<Written> {
        let mut written = 0;
        while let Some(piece) = self.waiting.get(written..).filter(|left| !left.is_empty()) {
            let piece = piece.get(..PIECE).unwrap_or(piece);
            let patience = if self.is_stopped {
                PATIENCE_MILLISECONDS.into()
            } else {
                PollTimeout::NONE
            };
            let woken = wait(self.to.as_fd(), PollFlags::POLLOUT, &self.signals, patience)?;
            match woken {
                // It has come once; from now on there is little time.
                Woken::Stop => self.take_signal()?,
                Woken::Late => {
                    self.waiting.clear();
                    return Ok(Written::NotAll);
                }
                Woken::Ready => match (&self.to).write(piece) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                        self.waiting.clear();
                        return Ok(Written::NotAll);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                    Err(error) => return Err(error),
                },
            }
        }
        self.waiting.clear();
        Ok(Written::All)
    }

    /// Waits until there is something to read from `from`, a signal comes, or the time is over.
    pub(super) fn wait(&mut self, from: BorrowedFd<'_>, time: PollTimeout) -> io::Result<Woken> {
        let woken = wait(from, PollFlags::POLLIN, &self.signals, time)?;
        if woken == Woken::Stop {
            self.take_signal()?;
        }
        Ok(woken)
    }

    fn take_signal(&mut self) -> io::Result<()> {
        while self.signals.read_signal()?.is_some() {
            self.is_stopped = true;
        }
        Ok(())
    }
}

fn wait(fd: BorrowedFd<'_>, flags: PollFlags, signals: &SignalFd, time: PollTimeout) -> io::Result<Woken> {
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(fd, flags)];
    match poll(&mut fds, time) {
        Ok(0) => return Ok(Woken::Late),
        Ok(_) => {}
        // Looked at again by the caller.
        Err(nix::errno::Errno::EINTR) => return Ok(Woken::Ready),
        Err(error) => return Err(error.into()),
    }
    let signalled = fds[0].any().unwrap_or(true);
    Ok(if signalled { Woken::Stop } else { Woken::Ready })
}
