//! The exit codes, as they are documented, and which error ends with which. From the errors of the commands; to `main`.

use std::{fmt::Display, process::ExitCode};
use tcpvitals_config::ConfigError;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As it was asked to.
    Asked = 0,
    /// It cannot do what was asked.
    Failed = 1,
    /// Arguments or configuration are wrong.
    Usage = 2,
    /// The kernel lacks something or does not permit it.
    Kernel = 3,
    /// Something is wrong with the traffic.
    Findings = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command.
pub trait Ends: Display {
    /// With which exit code.
    fn exit(&self) -> Exit;
}

impl Ends for ConfigError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}
