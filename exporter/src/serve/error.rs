//! Why the exporter does not run.

use crate::{
    lifecycle::{
        exit::{Ends, Exit},
        start::StartError,
    },
    serve::process::TooFewDescriptors,
};
use std::{io, net::SocketAddr};

/// Why the exporter does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be served.
    #[error("--web.listen-address={address}: {source}; choose an address of this host that nobody else serves")]
    Listen {
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
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
            Self::Listen { .. } | Self::Descriptors(_) | Self::Serve(_) => Exit::Failed,
        }
    }
}
