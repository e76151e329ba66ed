//! The arguments of `top`.

use super::{
    labels::TopLabels,
    values::{Output, interval},
};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Of `top`.
#[derive(Clone, Debug, Args)]
pub struct TopArguments {
    /// Configuration file: subnets, protocols, level of detail; without one the built-in configuration is used
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Time between two readings, over which rates are
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub interval: Duration,
    /// By what flows are sorted
    #[arg(long, value_name = "KEY", default_value = "rate")]
    pub sort: FlowSort,
    /// Only flows in which each of these words is found: in addresses, labels, algorithm or limit
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    pub filter: String,
    /// Which connections, and which drops.
    #[command(flatten)]
    pub labels: TopLabels,
    /// Print flows once and end; needs no terminal
    #[arg(long)]
    pub once: bool,
    /// How to print once
    #[arg(long, value_name = "FORMAT", default_value = "text", requires = "once")]
    pub output: Output,
    /// Flows that are printed once, at most
    #[arg(long, value_name = "NUMBER", default_value = "100", requires = "once", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// By what flows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FlowSort {
    /// Payload in both directions
    #[default]
    Rate,
    /// Payload sent
    Out,
    /// Payload received
    In,
    /// Retransmit ratio
    Retransmits,
    /// Smoothed round-trip time
    Rtt,
    /// Congestion window
    Cwnd,
    /// The oldest first
    Age,
    /// Subnet, by the alphabet
    Subnet,
    /// Workload with its namespace, by the alphabet
    Workload,
    /// The other end's address
    Remote,
}

#[cfg(test)]
mod tests {
    use crate::cli::{Arguments, Command};
    use clap::Parser;

    #[test]
    fn what_is_printed_once_needs_the_word() {
        let top = |arguments: &[&str]| Arguments::try_parse_from(["tcpvitals", "top"].iter().chain(arguments));
        let Some(Command::Top(parsed)) = top(&["--once", "--output", "json", "--sort", "rtt"]).unwrap().command else {
            panic!("another command")
        };
        assert!(parsed.once && parsed.limit == 100 && parsed.filter.is_empty());
        assert!(top(&[]).is_ok());
        for wrong in [&["--output", "json"][..], &["--limit", "5"], &["--sort", "speed"]] {
            assert!(top(wrong).is_err(), "{wrong:?}");
        }
    }
}
