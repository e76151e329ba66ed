//! Why there is no snapshot.

use crate::lifecycle::worker::NotDone;
use tcpvitals_kernel::read::ReadError;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The kernel could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The thread that reads it did not.
    #[error("the kernel was not read: {0}")]
    NotDone(#[from] NotDone),
    /// The thread that put an answer together ended early.
    #[error("the answer ended early: {0}")]
    Ended(#[from] tokio::task::JoinError),
}
