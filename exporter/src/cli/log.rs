//! How to log: arguments of every command.

use super::values::ADVANCED;
use clap::{Args, ValueEnum};
use tracing::Level;

/// How to log.
#[derive(Clone, Debug, Args)]
pub struct Log {
    /// Log level: error, warn, info, debug or trace
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", global = true, value_parser = level, help_heading = ADVANCED)]
    pub level: Level,
    /// Log format
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "text", global = true, help_heading = ADVANCED)]
    pub format: LogFormat,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// key=value pairs, as Prometheus writes them
    Logfmt,
    /// One JSON object per line
    Json,
}

fn level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "error" => Ok(Level::ERROR),
        "warn" | "warning" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err("use error, warn, info, debug or trace".to_owned()),
    }
}
