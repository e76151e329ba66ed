//! Why the exporter does not run.

use crate::{
    lifecycle::{
        exit::{Ends, Exit},
        start::StartError,
    },
    serve::{listen::ListenError, process::TooFewDescriptors},
};
use std::io;

/// Why the exporter does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address cannot be served.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system gives too few descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    #[error("serve: {0}")]
    Serve(#[source] io::Error),
}

impl Ends for ServeError {
    fn exit(&self) -> Exit {
        match self {
            Self::Start(error) => error.exit(),
            Self::Listen(_) | Self::Descriptors(_) | Self::Serve(_) => Exit::Failed,
        }
    }
}
