//! What the commands that look at the kernel themselves have in common: programs of their own, and a reading now and then until
//! somebody ends it.

use crate::{
    collect::{Collector, clock},
    config::Config,
    kernel::{Kernel, capabilities, features, plan, purpose::Purpose},
    numbering::Numbering,
    pushes::Tally,
    run::{HIDDEN_SYMBOLS, RunError},
};
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

/// Loads the programs for a configuration and gives up all privileges.
///
/// # Errors
/// [`RunError`]; nothing stays loaded.
pub fn load(config: &Config, btf: Option<&Path>) -> Result<Collector, RunError> {
    let (features, reasons) = features::read(btf, &plan::tracepoints(), &plan::iterators())?;
    let plan = plan::plan(config, &features, Purpose::Serve)?;
    capabilities::keep_needed()?;
    let numbering = Numbering::new(config);
    let started = clock();
    let kernel = Kernel::load(config, &numbering, plan, reasons, btf)?;
    capabilities::drop_all()?;
    if kernel.hides_symbols() {
        tracing::warn!("{HIDDEN_SYMBOLS}");
    }
    Ok(Collector::new(
        kernel,
        config,
        numbering,
        Arc::new(Tally::default()),
        started,
    ))
}

/// A runtime for one thread that waits; the kernel is read on another one.
///
/// # Errors
/// What the system says.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Ticks, and the signals that end a command.
#[derive(Debug)]
pub struct Ticker {
    ticks: Interval,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    began: Instant,
    end: Option<Instant>,
}

impl Ticker {
    /// Ticks each `interval` from now on, and ends after `duration` if there is one.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(interval: Duration, duration: Option<Duration>) -> io::Result<Self> {
        let began = Instant::now();
        let mut ticks = interval_at(began + interval, interval);
        // A reading that took long shall not be followed by several at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            ticks,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            began,
            end: duration.map(|duration| began + duration),
        })
    }

    /// Time since the first reading at the next tick; `None` when it is over.
    pub async fn next(&mut self) -> Option<Duration> {
        let end = self
            .end
            .unwrap_or_else(|| self.began + Duration::from_secs(365 * 24 * 3600));
        tokio::select! {
            biased;
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
            _ = self.hangup.recv() => None,
            at = self.ticks.tick() => Some(at - self.began),
            () = tokio::time::sleep_until(end) => None,
        }
    }
}
