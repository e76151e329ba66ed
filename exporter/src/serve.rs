//! `serve`: wires the stages. What needs privileges comes first, on one thread; then they are given up, and the server runs.

pub mod collect;
mod error;
mod host;
pub mod http;
pub mod listen;
pub mod process;
pub mod push;
pub mod reload;
mod running;
mod starting;
pub mod systemd;
pub mod watched;
pub mod web;
pub mod workloads;

use crate::{cli::ServeArguments, lifecycle::signals::EndAtOnce, serve::starting::Checked};
use tcpvitals_kernel::sys::memory;

pub use error::ServeError;

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
