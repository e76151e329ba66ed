//! The arguments of `explain`.

use super::values::Output;
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tcpvitals_config::duration;
use tcpvitals_metrics::findings::SHORTEST;

/// Of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArguments {
    /// What to explain; without it, everything that is wrong here. `subnet NAME`, `workload NAME`, `ADDRESS` or `ADDRESS:PORT` of a peer, a drop reason, a finding, or
    /// the name of an alert
    #[arg(value_name = "TOPIC", num_args = 0..=2)]
    pub topic: Vec<String>,
    /// Ask the exporter at this URL instead of reading the kernel
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
    /// Time of observation
    #[arg(long = "for", value_name = "DURATION", default_value = "10s", value_parser = length, conflicts_with = "from")]
    pub length: Duration,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
    /// Configuration file: subnets, classes, findings to mute; without one that of the exporter installed here (/etc/tcpvitals/config.yaml), else the built-in one
    #[arg(long = "config.file", value_name = "FILE", conflicts_with = "from")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub btf: Option<PathBuf>,
    /// File with user:password, if the exporter requires a password
    #[arg(long, value_name = "FILE", requires = "from")]
    pub login_file: Option<PathBuf>,
    /// PEM file of the trusted certificates for https, instead of those of the system
    #[arg(long, value_name = "FILE", requires = "from")]
    pub ca_file: Option<PathBuf>,
}

/// A judgement takes ten seconds.
fn length(text: &str) -> Result<Duration, String> {
    duration(text, SHORTEST..=Duration::from_mins(5))
}
