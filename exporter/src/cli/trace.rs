//! The arguments of `trace`.

use super::{
    labels::TraceLabels,
    values::{port, words},
};
use clap::{Args, ValueEnum};
use common::tcp::event::EventKind;
use ipnet::IpNet;
use std::{path::PathBuf, time::Duration};
use tcpvitals_config::{duration, length, network, size};

/// Of `trace`.
#[derive(Clone, Debug, Args)]
pub struct TraceArguments {
    /// Configuration file; without one the built-in configuration is used. It names subnets and application protocols
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// How to print; binary is for --read
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: TraceOutput,
    /// Print a file that `--output binary` wrote, instead of tracing; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interval", "buffer", "duration", "btf", "config_file"])]
    pub read: Option<PathBuf>,
    /// How often all live connections are shown; 0 is never
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    pub interval: Interval,
    /// Room for events that are not printed yet; rounded up to a power of two
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = buffer)]
    pub buffer: u32,
    /// Which connections.
    #[command(flatten)]
    pub labels: TraceLabels,
    /// Only connections of which an address is in one of these networks
    #[arg(long, visible_alias = "address", value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    pub cidr: Vec<IpNet>,
    /// Only connections of which an end has one of these ports
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = port)]
    pub port: Vec<u16>,
    /// Only these events
    #[arg(long, value_name = "EVENT", value_delimiter = ',', value_parser = words(&EventKind::ALL, EventKind::as_str))]
    pub event: Vec<EventKind>,
    /// Only connections that have sent so many segments again
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub min_retransmits: u32,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub duration: Option<Duration>,
}

/// How `trace` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceOutput {
    /// A line for people
    Text,
    /// One JSON object a line
    Json,
    /// Records for --read
    Binary,
}

/// How often; `None` is never. A type of its own: an option would be a flag without a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn interval(text: &str) -> Result<Interval, String> {
    if text == "0" {
        return Ok(Interval(None));
    }
    duration(text, Duration::from_millis(10)..=DAY)
        .map(|interval| Interval(Some(interval)))
        .map_err(|error| error + ", or 0 for never")
}

/// At least a page, at most what the kernel takes on every machine.
fn buffer(text: &str) -> Result<u32, String> {
    let bytes = size(text, 4096..=1 << 30)?;
    u32::try_from(bytes).map_err(|error| error.to_string())
}
