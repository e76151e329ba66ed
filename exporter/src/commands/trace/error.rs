//! Why a trace ends, or does not begin.

use super::binary::Fault;
use crate::{
    cli::filters::FilterError,
    lifecycle::{
        exit::{Ends, Exit},
        start::StartError,
    },
};
use std::io;

/// Why there is no trace, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No record can be what is asked for.
    #[error(transparent)]
    Filters(#[from] FilterError),
    /// No record of a file can be of a workload.
    #[error("--{0}: the trace was recorded without workloads; its configuration named no source (workloads.source)")]
    NoWorkloads(&'static str),
    /// Nobody can read it.
    #[error(
        "no binary trace is written to a terminal: redirect it to a file (> trace.bin), or choose --output text or json"
    )]
    Terminal,
    /// The kernel cannot be read.
    #[error(transparent)]
    Read(#[from] tcpvitals_kernel::read::ReadError),
    /// A recorded trace cannot be opened.
    #[error("--read={path}: {source}")]
    Open {
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A recorded trace cannot be read, or no further.
    #[error("--read={path}: {source}")]
    Recorded {
        path: String,
        /// What is wrong with it.
        source: Fault,
    },
    /// Standard output cannot be written.
    #[error("write to standard output: {0}")]
    Write(#[source] io::Error),
    /// An event cannot be written as JSON.
    #[error("write an event as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The kernel does not wake this process.
    #[error("wait for events: {0}")]
    Wait(#[source] io::Error),
}

impl Ends for TraceError {
    fn exit(&self) -> Exit {
        match self {
            Self::Start(error) => error.exit(),
            Self::Filters(error) => error.exit(),
            Self::NoWorkloads(_) | Self::Terminal => Exit::Usage,
            Self::Read(_)
            | Self::Open { .. }
            | Self::Recorded { .. }
            | Self::Write(_)
            | Self::Json(_)
            | Self::Wait(_) => Exit::Failed,
        }
    }
}
