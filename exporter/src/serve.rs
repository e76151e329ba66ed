//! `serve`: wires the stages. What needs privileges comes first, on one thread; then they are given up, and the server runs.

pub mod collect;
pub mod http;
pub mod process;
pub mod push;
pub mod reload;
mod running;
mod starting;
pub mod systemd;
pub mod web;

use crate::{
    cli::ServeArguments,
    lifecycle::{
        exit::{Ends, Exit},
        signals::EndAtOnce,
        start::StartError,
    },
    serve::{process::TooFewDescriptors, starting::Checked},
};
use std::{io, net::SocketAddr};
use tcpvitals_kernel::sys::memory;

/// Why the exporter does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be served.
    #[error("--web.listen-address={address}: {source}; choose an address of this host that nobody else serves")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The system gives too few descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The server stopped.
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

/// Descriptors that serving takes: one for each of 512 connections, and as many as the programs, their maps and a collection
/// need.
const LEAST_DESCRIPTORS: u64 = 640;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`]; nothing stays loaded.
pub fn serve(arguments: &ServeArguments) -> Result<(), ServeError> {
    // Nobody has had an answer yet that would have to be finished.
    let starting = EndAtOnce::new().map_err(ServeError::Serve)?;
    memory::keep_little();
    process::raise_descriptors(LEAST_DESCRIPTORS)?;
    Checked::new(arguments)?
        .bind()?
        .load()?
        .drop_capabilities()?
        .start()?
        .serve(starting)
        .map_err(ServeError::Serve)
}
