//! The arguments of `cardinality`.

use super::values::Output;
use clap::Args;
use std::path::PathBuf;

/// Of `cardinality`.
#[derive(Clone, Debug, Args)]
pub struct CardinalityArguments {
    /// URL of the exporter
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10717")]
    pub from: String,
    /// File with user:password, if the exporter requires a password
    #[arg(long, value_name = "FILE")]
    pub login_file: Option<PathBuf>,
    /// PEM file of the trusted certificates for https, instead of those of the system
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}
