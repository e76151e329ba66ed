//! The thread that reads the kernel, and what others write that a collection reads too.

use super::{CollectError, KernelState, pushes::Tally};
use crate::{
    lifecycle::{throttle::Throttle, worker::Worker},
    serve::{web::served::Served, workloads::Known as KnownWorkloads},
};
use std::sync::Arc;
use tcpvitals_kernel::read::ReadError;
use tcpvitals_metrics::host::Part;

/// Of whom others write what a collection reads.
#[derive(Debug, Default)]
pub struct Others {
    /// What became of pushes.
    pub tally: Arc<Tally>,
    /// What the HTTP server did.
    pub served: Arc<Served>,
    /// Names of workloads.
    pub workloads: Arc<KnownWorkloads>,
    /// What of the host is not read, and why.
    pub host_off: Vec<(Part, String)>,
}

/// The thread that reads the kernel, and what the log knows of it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) source: Worker<KernelState>,
    pub(super) log: Throttle,
}

impl Reader {
    /// Reads the kernel. The log says when that fails and when it does no more; not more often than helps, whoever asks.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut KernelState) -> Result<R, ReadError> + Send + 'static,
    ) -> Result<R, CollectError> {
        const FAILED: &str = "the kernel could not be read";
        let result = match self.source.ask(read).await {
            Ok(read) => read.map_err(CollectError::from),
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
