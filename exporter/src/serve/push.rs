//! Push over OTLP: the same families as a scrape shows, as OpenTelemetry has them.
//!
//! `client` asks a receiver once, `answer` says what its answer means, `hint` what may be wrong, and `pusher` decides when. It has a
//! thread of its own, so that nothing of it can hold up a scrape.

pub mod answer;
pub mod client;
mod hint;
pub mod pusher;
pub mod resource;
mod tls;

use crate::{
    lifecycle::threads::{self, TooFew},
    serve::{
        collect::{Collector, pushes::Tally},
        push::pusher::{Destination, Pusher},
    },
};
use client::Receiver;
use std::{
    sync::{Arc, OnceLock},
    thread,
};
use tcpvitals_config::{Config, ConfigError, OtlpSettings};

/// Where to push, if anywhere; an error when files that variables name cannot be used.
pub type Ready = Result<Option<Arc<Receiver>>, ConfigError>;

/// Starts the pusher. It ends, after a last push, once the sender of `destination` is gone; then what is given back is set.
///
/// # Errors
/// [`TooFew`] when the system gives no thread.
pub fn start(
    collector: Arc<Collector>,
    tally: Arc<Tally>,
    destination: Destination,
) -> Result<Arc<OnceLock<()>>, TooFew> {
    // For looking up names; one that hangs must not hold up the next.
    let runtime = threads::runtime("tcpvitals-names", 0, 2)?;
    let pusher = Pusher::new(collector, tally, resource::detect());
    let thread = thread::Builder::new().name("tcpvitals-otlp".to_owned());
    let ended = Arc::new(OnceLock::new());
    let end = Arc::clone(&ended);
    let started = thread.spawn(move || {
        runtime.block_on(pusher.run(destination));
        // A look-up of a name that hangs is no reason to stay.
        runtime.shutdown_background();
        end.get_or_init(|| ());
    });
    started.map_err(|error| TooFew::new(1, error))?;
    Ok(ended)
}

/// Where and how to push, if at all, by a configuration and the environment. What is wrong with the environment is logged.
///
/// # Errors
/// [`ConfigError`] when the file's endpoint cannot be one.
pub fn settings(config: &Config) -> Result<Option<OtlpSettings>, ConfigError> {
    let (settings, warnings) = config.otlp_settings()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// Where to push by such settings. Blocks.
///
/// # Errors
/// [`ConfigError`] when a file that the configuration names cannot be used.
pub fn receiver(settings: Option<OtlpSettings>) -> Result<Ready, ConfigError> {
    let is_by_environment = settings.as_ref().is_some_and(|settings| settings.is_by_environment);
    match settings.map(Receiver::new).transpose() {
        Err(error) if !is_by_environment => Err(error),
        receiver => Ok(receiver.map(|receiver| receiver.map(Arc::new))),
    }
}

/// Where to push at the start: a fault of the environment is logged, and nothing is pushed.
pub fn or_nowhere(receiver: Ready) -> Option<Arc<Receiver>> {
    receiver.unwrap_or_else(|error| {
        tracing::warn!("OTEL_EXPORTER_OTLP_*: {error}; until then nothing is pushed");
        None
    })
}
