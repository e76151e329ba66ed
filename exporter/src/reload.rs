//! Re-reads the configuration file when somebody asks, by signal or over HTTP, and says in the log how that went.

use crate::{
    collect::{Collector, ReloadError},
    config::Config,
    otlp::{self, client::Receiver},
};
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};
use tokio::sync::{Mutex, watch};

/// Where the pusher pushes, if anywhere.
type Destination = watch::Sender<Option<Arc<Receiver>>>;

/// Knows what to re-read, and who is to follow it.
#[derive(Debug)]
pub struct Reloader {
    file: Option<PathBuf>,
    collector: Arc<Collector>,
    /// None once the pusher is to end. Its lock is the turn of a reload.
    destination: Mutex<Option<Destination>>,
}

impl Reloader {
    /// Re-reads `file`; without one there is only the built-in configuration.
    pub fn new(file: Option<PathBuf>, collector: Arc<Collector>, destination: Destination) -> Self {
        Self {
            file,
            collector,
            destination: Mutex::new(Some(destination)),
        }
    }

    /// The pusher pushes a last time and ends. Not to be called by a task.
    pub fn end(&self) {
        self.destination.blocking_lock().take();
    }

    /// Goes over to what the file says now. One reload runs after the other.
    ///
    /// # Errors
    /// [`ReloadError`]; then everything is as it was.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let destination = self.destination.lock().await;
        let file = self.file.clone();
        let receiver = Arc::new(OnceLock::new());
        let found = Arc::clone(&receiver);
        let read = move || {
            let config = Config::read_or_built_in(file.as_deref())?;
            let receiver = otlp::receiver(&config)?;
            found.get_or_init(|| receiver);
            Ok(config)
        };
        match self.collector.reload(read).await {
            Ok(_) => {
                if let (Some(destination), Some(receiver)) = (&*destination, receiver.get()) {
                    push_to(destination, receiver.clone());
                }
                tracing::info!("the configuration is reloaded");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the configuration stays as it was");
                Err(error)
            }
        }
    }
}

/// Leaves the pusher alone where nothing has changed, which with TLS nobody knows: files may have.
fn push_to(destination: &Destination, receiver: Option<Arc<Receiver>>) {
    destination.send_if_modified(|current| {
        let same = match (&*current, &receiver) {
            (None, None) => true,
            (Some(old), Some(new)) => old.settings() == new.settings() && !new.settings().target.is_encrypted(),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !same {
            *current = receiver;
        }
        !same
    });
}
