//! `serve`: wires the stages. What needs privileges comes first, on one thread; then they are given up, and the server runs.

pub mod collect;
pub mod demo;
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

use crate::{
    cli::{DemoArguments, ServeArguments},
    lifecycle::{signals::EndAtOnce, start::StartError},
    serve::{
        demo::{Demo, DemoError},
        starting::Checked,
    },
};
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
    run(|| Checked::new(arguments))
}

/// Serves a recording until SIGTERM or SIGINT.
///
/// # Errors
/// [`DemoError`]
pub fn serve_recording(arguments: &DemoArguments) -> Result<(), DemoError> {
    let demo = Demo::read(arguments)?;
    Ok(run(|| Checked::of_recording(&arguments.serve, demo))?)
}

fn run<'a>(check: impl FnOnce() -> Result<Checked<'a>, StartError>) -> Result<(), ServeError> {
    // Nobody has had an answer yet that would have to be finished.
    let starting = EndAtOnce::new().map_err(ServeError::Serve)?;
    memory::keep_little();
    process::raise_descriptors(LEAST_DESCRIPTORS)?;
    check()?
        .bind()?
        .load()?
        .drop_capabilities()?
        .start()?
        .serve(starting)
        .map_err(ServeError::Serve)
}
