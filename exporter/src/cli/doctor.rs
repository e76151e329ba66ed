//! The arguments of `doctor`.

use super::values::Output;
use clap::Args;
use std::path::PathBuf;

/// Of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArguments {
    /// Configuration file; without one that of the exporter installed here (/etc/tcpvitals/config.yaml), else the built-in one
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// List every program, metric and field, not only deviations
    #[arg(long, short)]
    pub verbose: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}
