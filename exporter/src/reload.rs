//! Re-reads the configuration file when somebody asks, by signal or over HTTP, and says in the log how that went.

use crate::{
    collect::{Collector, ReloadError},
    config::Config,
};
use std::{path::PathBuf, sync::Arc};

/// Knows what to re-read, and who is to follow it.
#[derive(Debug)]
pub struct Reloader {
    file: Option<PathBuf>,
    collector: Arc<Collector>,
}

impl Reloader {
    /// Re-reads `file`; without one there is only the built-in configuration.
    pub const fn new(file: Option<PathBuf>, collector: Arc<Collector>) -> Self {
        Self { file, collector }
    }

    /// Goes over to what the file says now. One reload runs after the other.
    ///
    /// # Errors
    /// [`ReloadError`]; then everything is as it was.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let file = self.file.clone();
        let read = move || match file {
            Some(file) => Config::read(&file).map_err(ReloadError::from),
            None => Ok(Config::built_in()),
        };
        match self.collector.reload(read).await {
            Ok(_) => {
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
