//! Why there is no snapshot.

use crate::lifecycle::worker::NotDone;
use tcpvitals_kernel::read::ReadError;
use tcpvitals_metrics::recording::Unreadable;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The kernel could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The recording that is in its place could not be read.
    #[error("the recording cannot be read: {0}")]
    Recording(#[from] Unreadable),
    /// The thread that reads it did not.
    #[error("the kernel was not read: {0}")]
    NotDone(#[from] NotDone),
    /// The thread that put an answer together ended early.
    #[error("the answer ended early: {0}")]
    Ended(#[from] tokio::task::JoinError),
}
