//! Why a capture does not run, and with which exit code it ends.

use crate::commands::capture::file::{output::OutputError, writer::WriteError};
use std::{io, process::ExitCode};
use tcpvitals_config::ConfigError;
use tcpvitals_kernel::{
    LoadError, load::capabilities::CapabilitiesError, plan::Unsupported, probe::features::FeaturesError,
    read::ReadError,
};

/// Why nothing, or no more, is captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Wireshark asks for what there is not.
    #[error("{0}")]
    Refused(String),
    /// Nowhere to write.
    #[error("nothing says where packets go; give -w FILE, or -w - for a pipe")]
    Nowhere,
    /// The output cannot be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The kernel's type information cannot be read.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// The kernel leaves nothing to run.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The kernel lacks a hook or a field.
    #[error("this kernel cannot be captured from: {0}")]
    Lacking(String),
    /// The process may not load programs, or cannot give its privileges up.
    #[error(transparent)]
    Capabilities(#[from] CapabilitiesError),
    /// The programs could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What the programs left could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The reader of a pipe does not read.
    #[error("{0}: its reader took nothing more for 5 seconds after the end; what it has is incomplete")]
    Stuck(String),
    /// Waiting failed.
    #[error("wait for packets and signals: {0}")]
    Wait(#[source] io::Error),
}

impl CaptureError {
    /// The documented exit code: 2 for arguments and configuration, 3 for what the kernel does not have or permit, 1 for the
    /// rest.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Refused(_) | Self::Nowhere => ExitCode::from(2),
            Self::Output(
                OutputError::Terminal | OutputError::NotAFile | OutputError::Folder { .. } | OutputError::NeverRotated,
            ) => ExitCode::from(2),
            Self::Load(LoadError::EndAsked) => ExitCode::SUCCESS,
            Self::Features(_) | Self::Unsupported(_) | Self::Lacking(_) | Self::Capabilities(_) | Self::Load(_) => {
                ExitCode::from(3)
            }
            Self::Output(_) | Self::Read(_) | Self::Write(_) | Self::Stuck(_) | Self::Wait(_) => ExitCode::from(1),
        }
    }
}
