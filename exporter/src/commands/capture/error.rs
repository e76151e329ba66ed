//! Why a capture does not run, and with which exit code it ends.

use crate::{
    cli::filters::FilterError,
    commands::capture::file::{output::OutputError, writer::WriteError},
    lifecycle::{
        exit::{Ends, Exit},
        start::StartError,
    },
};
use std::io;
use tcpvitals_kernel::read::ReadError;

/// Why nothing, or no more, is captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The programs do not run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No packet can be what is asked for.
    #[error(transparent)]
    Filters(#[from] FilterError),
    /// Wireshark asks for what there is not.
    #[error("{0}")]
    Refused(String),
    #[error("no output for packets; give -w FILE, or -w - for a pipe")]
    Nowhere,
    /// The output cannot be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The kernel lacks a hook or a field.
    #[error("this kernel cannot be captured from: {0}")]
    Lacking(String),
    /// What the programs left could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The reader of a pipe does not read.
    #[error("{0}: its reader took nothing more for 5 seconds after the end; what it has is incomplete")]
    Stuck(String),
    #[error("wait for packets and signals: {0}")]
    Wait(#[source] io::Error),
}

impl Ends for CaptureError {
    fn exit(&self) -> Exit {
        match self {
            Self::Start(error) => error.exit(),
            Self::Filters(error) => error.exit(),
            Self::Refused(_) | Self::Nowhere => Exit::Usage,
            Self::Output(
                OutputError::Terminal | OutputError::NotAFile | OutputError::Folder { .. } | OutputError::NeverRotated,
            ) => Exit::Usage,
            Self::Lacking(_) => Exit::Kernel,
            Self::Output(_) | Self::Read(_) | Self::Write(_) | Self::Stuck(_) | Self::Wait(_) => Exit::Failed,
        }
    }
}
