//! What the service manager is told, where one wants to know (`NOTIFY_SOCKET`, `WATCHDOG_USEC`; sd_notify(3)): ready,
//! reloading, stopping, alive.
//! It must never hold anything up: who is not listening is not told. From `serve`.

use crate::{
    lifecycle::throttle::{self, Throttle},
    serve::collect::Collector,
};
use sd_notify::NotifyState;
use std::{convert::Infallible, future::pending};
use tokio::time::{MissedTickBehavior, interval};

pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It re-reads its configuration, until [`reloaded`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the clock cannot be read"),
    }
}

/// It has re-read its configuration; `how` that went is what `systemctl status` shows.
pub fn reloaded(how: &str) {
    // A line break would begin another message.
    let line = how.replace('\n', " ");
    tell(&[NotifyState::Ready, NotifyState::Status(&line)]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says twice in the time of the watchdog that it is alive, but only after a collection that succeeded: who can collect
/// no more is started anew. Without a watchdog it does nothing, for ever.
pub async fn stay_alive(collector: &Collector) -> Infallible {
    if let Some(time) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) {
        let mut turn = interval(time / 2);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            match collector.collect(false).await {
                Ok(_) => tell(&[NotifyState::Watchdog]),
                Err(error) => tracing::debug!(%error, "the collection failed, so the watchdog is told nothing"),
            }
        }
    }
    pending().await
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        const FAILED: &str = "the service manager could not be told";
        static LOG: Throttle = Throttle::new(throttle::FAULT);
        if let Some(silent) = LOG.log(FAILED) {
            tracing::warn!(%error, not_logged = silent, "{FAILED}");
        }
    }
}
