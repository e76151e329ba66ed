//! All traffic but that of the live flows, at once, and the generator's own account of it.

mod failing;
mod lossy;
mod short;
mod storm;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle, sleep};
use std::time::Duration;

use anyhow::{Result, bail};

pub(crate) use failing::Failed;
pub(crate) use storm::Sent;

use super::stage::Stage;
use super::sums::Sums;
use tests::net::traffic::Ending;

/// Whether work shall end. Whoever fails ends the others' too.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_now(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Starts a thread whose failure ends everything.
    pub(crate) fn spawn<'scope, T: Send + 'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        work: impl FnOnce() -> Result<T> + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, Result<T>> {
        scope.spawn(move || {
            let done = work();
            if done.is_err() {
                self.now();
            }
            done
        })
    }

    /// Waits, unless it is over sooner.
    pub(crate) fn pause(&self, length: Duration) {
        const STEP: Duration = Duration::from_millis(100);
        let mut left = length;
        while !left.is_zero() && !self.is_now() {
            let step = left.min(STEP);
            sleep(step);
            left -= step;
        }
    }
}

/// The result of a thread.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| bail!("a thread panicked"))
}

/// What the generator made.
#[derive(Debug)]
pub(crate) struct Made {
    /// Transfers under loss.
    pub(crate) lossy: Sums,
    /// Connections that ended in order.
    pub(crate) short: u64,
    /// Connections that were reset.
    pub(crate) reset: u64,
    /// Connections that did not come about.
    pub(crate) failed: Failed,
    /// Datagrams.
    pub(crate) sent: Sent,
}

/// Runs until told to stop; all that was begun is over when it returns.
pub(crate) fn run(stage: &Stage, stop: &Stop) -> Result<Made> {
    std::thread::scope(|scope| {
        let lossy = stop.spawn(scope, || lossy::run(&stage.lossy, stop));
        let short = stop.spawn(scope, || short::run(&stage.short, Ending::Orderly, stop));
        let reset = stop.spawn(scope, || short::run(&stage.reset, Ending::Reset, stop));
        let failed = stop.spawn(scope, || failing::run(&stage.failing, stop));
        let sent = stop.spawn(scope, || storm::run(&stage.storm, stop));
        Ok(Made {
            lossy: join(lossy)?,
            short: join(short)?,
            reset: join(reset)?,
            failed: join(failed)?,
            sent: join(sent)?,
        })
    })
}
