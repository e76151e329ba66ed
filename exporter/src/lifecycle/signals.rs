//! Signals from the first moment on: they are held back until whoever handles them is ready, so that none has the effect that
//! the system gives it by default.
//! It must be called before there is a second thread: threads take over what is held back. From `main` and the commands.

pub mod stop;
pub mod ticker;

use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use signal_hook::flag::register_conditional_shutdown;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::signal::unix::{self, SignalKind, signal};

/// Those that a command handles: to end, to end at a terminal, and to reload, or where nothing reloads to end.
const HANDLED: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Those of them that end the process.
const ENDS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// Holds them back, in this thread and those that it starts; for good the one that ends a process whose file may not grow: what is
/// written gets an error, and a log that is full is no reason to end.
///
/// # Errors
/// What the system says.
pub fn hold_back() -> Result<(), Errno> {
    HANDLED
        .into_iter()
        .chain([Signal::SIGXFSZ])
        .collect::<SigSet>()
        .thread_block()
}

/// Lets them through: to whoever handles them by now, and those that came meanwhile at once.
///
/// # Errors
/// What the system says.
pub fn let_through() -> Result<(), Errno> {
    HANDLED.into_iter().collect::<SigSet>().thread_unblock()
}

/// Whether one that ends the process is held back; it is taken then.
pub fn end_is_asked() -> bool {
    held_back(&ENDS.into_iter().collect()).is_ok_and(|pending| matches!(pending.read_signal(), Ok(Some(_))))
}

/// Where those that are held back can be read.
fn held_back(signals: &SigSet) -> Result<SignalFd, Errno> {
    SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// The signals that end the process, as the runtime hears them.
#[derive(Debug)]
pub struct Ends {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Ends {
    /// From now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one; its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// While this is there, a signal that ends the process does so at once, with exit code 0, whatever the process is at: reading types of the
/// kernel and loading programs may take seconds each, and the kernel unloads the programs of a process that is gone.
#[derive(Debug)]
pub struct EndAtOnce(Arc<AtomicBool>);

impl EndAtOnce {
    /// From now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        let lasts = Arc::new(AtomicBool::new(true));
        for signal in ENDS {
            register_conditional_shutdown(signal as libc::c_int, 0, Arc::clone(&lasts))?;
        }
        ENDS.into_iter().collect::<SigSet>().thread_unblock()?;
        Ok(Self(lasts))
    }
}

impl Drop for EndAtOnce {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
