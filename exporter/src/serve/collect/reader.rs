//! The thread that reads the kernel, and what others write that a collection reads too.

use super::{error::CollectError, pushes::Tally, state::State};
use crate::{
    lifecycle::{throttle::Throttle, worker::Worker},
    serve::web::served::Served,
};
use std::sync::Arc;

/// Of whom others write what a collection reads.
#[derive(Debug, Default)]
pub struct Others {
    /// What became of pushes.
    pub tally: Arc<Tally>,
    /// What the HTTP server did.
    pub served: Arc<Served>,
}

/// The thread that reads the kernel, and what the log knows of it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) source: Worker<State>,
    pub(super) log: Throttle,
}

impl Reader {
    /// Reads the kernel. The log says when that fails and when it does no more; not more often than helps, whoever asks.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut State) -> Result<R, CollectError> + Send + 'static,
    ) -> Result<R, CollectError> {
        const FAILED: &str = "the kernel could not be read";
        let result = match self.source.ask(read).await {
            Ok(read) => read,
            Err(not_done) => Err(not_done.into()),
        };
        match &result {
            Err(error) => {
                if let Some(silent) = self.log.log(FAILED) {
                    tracing::error!(%error, not_logged = silent, "{FAILED}");
                }
            }
            Ok(_) if self.log.over(FAILED) => tracing::info!("the kernel can be read again"),
            Ok(_) => {}
        }
        result
    }
}
