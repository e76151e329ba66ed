//! `trace`: the events of flows as they happen, as text, JSON or a file that is read again. What needs privileges comes
//! first, then they are given up; one thread does the rest, and sleeps until there is something to say.

pub mod binary;
mod error;
pub mod filter;
mod instances;
pub mod json;
mod live;
mod output;
mod printer;
mod recorded;
pub mod seed;
pub mod text;

use crate::cli::{TraceArguments, TraceOutput};
pub use error::TraceError;
use std::io::{self, IsTerminal};
pub use tcpvitals_metrics::rows::trace::{item, names};

/// Traces, or prints what was traced.
///
/// # Errors
/// [`TraceError`]
pub fn trace(arguments: &TraceArguments) -> Result<(), TraceError> {
    if arguments.output == TraceOutput::Binary && io::stdout().is_terminal() {
        return Err(TraceError::Terminal);
    }
    match &arguments.read {
        Some(path) => recorded::print(path, arguments),
        None => live::trace(arguments),
    }
}
