//! How to log: arguments of every command.

use clap::{Args, ValueEnum};
use tracing::Level;

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// Least level that is logged: error, warn, info, debug or trace
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", global = true)]
    pub level: Level,
    /// Format of the log
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text", global = true)]
    pub format: LogFormat,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// One JSON object a line
    Json,
}
