//! Reload: what a new configuration may change while the exporter runs, and how the last attempt went.
//! It must never half-apply: a configuration is taken whole or not at all.
//! From SIGHUP or `POST /-/reload`; to the kernel's tables and the labels.

use super::{CollectError, Collector, State, paths};
use crate::lifecycle::{clock::since_1970, worker::NotDone};
use std::time::Duration;
use tcpvitals_config::{Config, ConfigError};
use tcpvitals_kernel::LoadError;
use tcpvitals_metrics::encode::otlp::{
    delta::{Relabelled, Relabelling},
    reading::nanos,
};

/// Why the configuration stays what it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The programs are loaded for these settings, and the privileges to load others are given up.
    #[error("{0} cannot change while the exporter runs; restart it, or put the old value back")]
    NeedsRestart(String),
    /// Every number for an application protocol has been given out.
    #[error("app_protocols: too many names have come and gone since the exporter started; restart it")]
    NumbersUsedUp,
    /// The files are on a disk or at a server that does not answer.
    #[error("the files could not be read within {} s; check what they are mounted from", .0.as_secs())]
    Slow(Duration),
    /// The thread that reads files did not.
    #[error("the files were not read: {0}")]
    NotRead(NotDone),
    /// The reload itself ended early.
    #[error("the reload ended early")]
    Ended,
    /// The kernel's tables do not take it.
    #[error(transparent)]
    Kernel(#[from] LoadError),
    /// What was counted until now could not be read.
    #[error(transparent)]
    Collect(#[from] CollectError),
}

/// A reload that succeeded.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The configuration that is in force.
    pub config: Config,
    /// What that did to the labels.
    pub relabelled: Relabelled,
}

impl Collector {
    /// Goes over to a configuration, or says in the metrics that there is none. Whatever goes wrong, nothing has changed.
    ///
    /// # Errors
    /// [`ReloadError`] as a sentence with place and remedy.
    pub async fn reload(&self, config: Result<Config, ReloadError>) -> Result<Reloaded, ReloadError> {
        let mut last = self.last.lock().await;
        let result = self.reader.source.ask(move |source| {
            let result = config.and_then(|config| source.reload(config));
            let became = result.as_ref().map(|_| ()).map_err(ToString::to_string);
            source.last_reload.record(became, since_1970());
            result
        });
        let result = result
            .await
            .unwrap_or_else(|error| Err(CollectError::NotDone(error).into()));
        // In any case the next scrape shall see how it went.
        last.collection = None;
        if let Ok(reloaded) = &result {
            last.max_age = reloaded.config.collect.max_age;
            last.paths = paths(&reloaded.config);
            // However many reloads there are between two pushes, the pusher learns of them at once.
            if let Some(relabelled) = &mut last.relabelled {
                match relabelled {
                    Some(earlier) => earlier.then(&reloaded.relabelled),
                    None => *relabelled = Some(Relabelling::new(reloaded.relabelled.clone())),
                }
            }
        }
        result
    }
}

impl State {
    /// Everything counted so far goes to the old labels, then tables and labels change, and a fold labels live
    /// flows anew.
    fn reload(&mut self, config: Config) -> Result<Reloaded, ReloadError> {
        refuse_what_needs_a_restart(&self.config, &config)?;
        let numbering = self.numbering.with(&config).ok_or(ReloadError::NumbersUsedUp)?;
        let snapshot = self.snapshot()?;
        let (at, by_old) = (nanos(since_1970()), self.show(&snapshot).pushed);
        self.source.configure(&config, &numbering)?;
        self.labelling.configure(&config, &numbering);
        self.judge.rename(&self.labelling);
        self.served.limit(config.limits.connections_per_peer);
        (self.config, self.numbering) = (config.clone(), numbering);
        let by_new = self.show(&snapshot).pushed;
        if let Err(error) = self.collect() {
            tracing::warn!(%error, "live flows take their new labels at the next collection");
        }
        let relabelled = Relabelled { at, by_old, by_new };
        Ok(Reloaded { config, relabelled })
    }
}

/// Refuses what is built into the loaded programs and the size of their maps.
fn refuse_what_needs_a_restart(old: &Config, new: &Config) -> Result<(), ReloadError> {
    let changed = [
        ("tcp.detail", old.tcp.detail != new.tcp.detail),
        ("tcp.memory", old.tcp.memory != new.tcp.memory),
        ("devices.enabled", old.devices.enabled != new.devices.enabled),
        ("drops.enabled", old.drops.enabled != new.drops.enabled),
        ("local_loss.enabled", old.local_loss != new.local_loss),
        ("listeners.enabled", old.listeners != new.listeners),
        ("limits.memory", old.limits.memory != new.limits.memory),
        ("workloads", old.workloads != new.workloads),
        ("limits.workloads", old.limits.workloads != new.limits.workloads),
    ];
    let keys: Vec<&str> = changed
        .iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| *key)
        .collect();
    if keys.is_empty() {
        Ok(())
    } else {
        Err(ReloadError::NeedsRestart(keys.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_were_loaded_for_needs_a_restart() {
        let config = |yaml: &str| Config::from_yaml(yaml, "test.yaml").unwrap();
        let check = |old, new, refused: Option<&str>| {
            let result = refuse_what_needs_a_restart(&config(old), &config(new));
            let error = result.err().map(|error| error.to_string());
            assert_eq!(error.is_some(), refused.is_some(), "{error:?}");
            if let (Some(error), Some(keys)) = (error, refused) {
                assert!(error.starts_with(&format!("{keys} cannot change")), "{error}");
            }
        };
        check(
            "{}",
            "{labels: {tcp: []}, limits: {series: 100}, drops: {ignore: [{reason: X}]}}",
            None,
        );
        check(
            "{}",
            "{tcp: {detail: essential}, limits: {memory: 1MiB}}",
            Some("tcp.detail, limits.memory"),
        );
        check("drops: {enabled: false}", "{}", Some("drops.enabled"));
        check(
            "{}",
            "{devices: {enabled: true}, tcp: {memory: true}}",
            Some("tcp.memory, devices.enabled"),
        );
        check(
            "{}",
            "{workloads: {source: cgroup}, limits: {workloads: 7}}",
            Some("workloads, limits.workloads"),
        );
    }
}
