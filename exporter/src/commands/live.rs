//! What the commands that look at the kernel themselves have in common: programs of their own, and a reading now and then until
//! somebody ends it.

use crate::{
    lifecycle::{setup, signals, threads},
    serve::{
        HIDDEN_SYMBOLS, RunError,
        collect::{Collector, clock},
    },
};
use std::{io, path::Path, sync::Arc, time::Duration};
use tcpvitals_config::{Config, numbering::Numbering};
use tcpvitals_kernel::{
    Kernel,
    load::capabilities,
    plan::{self, purpose::Purpose},
    probe::features,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// Loads the programs for a configuration and gives up all privileges.
///
/// # Errors
/// [`RunError`]; nothing stays loaded.
pub fn load(config: &Config, btf: Option<&Path>) -> Result<Collector, RunError> {
    let btf = setup::btf_file(btf);
    let (features, reasons) = features::read(&btf, &plan::tracepoints(), &plan::iterators())?;
    let plan = plan::plan(setup::selection(config), &features, Purpose::Serve)?;
    capabilities::keep_needed()?;
    let numbering = Numbering::new(config);
    let started = clock();
    let kernel = Kernel::load(&setup::setup(config, &numbering, reasons, btf), plan)?;
    capabilities::drop_all()?;
    if kernel.hides_symbols() {
        tracing::warn!("{HIDDEN_SYMBOLS}");
    }
    let counted = (Arc::default(), Arc::default());
    Ok(Collector::new(kernel, config, numbering, counted, started)?)
}

/// A runtime for one thread that waits; the kernel is read on another one.
///
/// # Errors
/// [`RunError::Threads`]
pub fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    Ok(threads::runtime("tcpvitals", 0, 1)?)
}

/// Ticks, and the signals that end a command.
#[derive(Debug)]
pub struct Ticker {
    interval: Duration,
    at: Instant,
    terminate: Signal,
    interrupt: Signal,
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
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
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

    /// Waits for the tick that is due; `false` when it is over. Waiting may be given up and taken up again.
    pub async fn is_due(&mut self) -> bool {
        let is_last = self.end.is_some_and(|end| end < self.at);
        let until = if is_last { self.end.unwrap_or(self.at) } else { self.at };
        tokio::select! {
            biased;
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.hangup.recv() => false,
            () = tokio::time::sleep_until(until) => !is_last,
        }
    }
}
