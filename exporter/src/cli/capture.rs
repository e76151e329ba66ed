//! The arguments of `capture`.

use super::{
    filters::{FILTERS, Filters},
    values::{Advanced, count, number},
};
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tcpvitals_config::{self as config, Glob};

/// Of `capture`.
#[derive(Clone, Debug, Args)]
pub struct CaptureArguments {
    /// File to write, in the pcapng format; - is standard output. An existing file is overwritten
    #[arg(short = 'w', long = "write", value_name = "FILE", required_unless_present_any = ["interfaces", "interface"])]
    pub write: Option<PathBuf>,
    /// Bytes to keep of each packet, from the header that the kernel was processing; 0 keeps everything, up to 65000
    #[arg(
        short = 's',
        long,
        value_name = "BYTES",
        default_value_t = 0,
        value_parser = snaplen,
        allow_negative_numbers = true
    )]
    pub snaplen: u32,
    /// Packets that may wait between the kernel and the file; those that do not fit are counted as missed (tail drops)
    #[arg(long, value_name = "PACKETS", default_value_t = 1000, value_parser = queue, allow_negative_numbers = true)]
    pub queue: u64,
    /// Stop after this many packets
    #[arg(short = 'c', long, value_name = "PACKETS", value_parser = count::<u64>, allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// Stop after this time, for example 30s
    #[arg(long, value_name = "DURATION", value_parser = config::length)]
    pub duration: Option<Duration>,
    /// Which packets.
    #[command(flatten)]
    pub filters: FilterArguments,
    /// How many files.
    #[command(flatten)]
    pub rotation: RotationArguments,
    /// Configuration and type information.
    #[command(flatten)]
    pub advanced: Advanced,
    /// What Wireshark asks.
    #[command(flatten)]
    pub extcap: ExtcapArguments,
}

/// Which packets.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArguments {
    /// Those of every command.
    #[command(flatten)]
    pub filters: Filters,
    /// Device, with * for any text: eth*
    #[arg(long = "interface", value_name = "PATTERN", value_delimiter = ',', value_parser = Glob::new, help_heading = FILTERS)]
    pub devices: Vec<Glob>,
}

/// What Wireshark asks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Wireshark's extcap (called by Wireshark)")]
pub struct ExtcapArguments {
    /// Name the interfaces
    #[arg(hide = true, long = "extcap-interfaces")]
    pub interfaces: bool,
    /// Wireshark's version
    #[arg(hide = true, long = "extcap-version", value_name = "VERSION")]
    pub wireshark: Option<String>,
    /// The interface that the other questions are about
    #[arg(hide = true, long = "extcap-interface", value_name = "NAME")]
    pub interface: Option<String>,
    /// Name its link types
    #[arg(hide = true, long = "extcap-dlts")]
    pub link_types: bool,
    /// Name its options
    #[arg(hide = true, long = "extcap-config")]
    pub options: bool,
    /// Capture from it
    #[arg(hide = true, long = "capture", requires = "fifo")]
    pub capture: bool,
    /// Where Wireshark reads
    #[arg(hide = true, long = "fifo", value_name = "FILE")]
    pub fifo: Option<PathBuf>,
    /// A capture filter; there are options instead
    #[arg(hide = true, long = "extcap-capture-filter", value_name = "FILTER")]
    pub filter: Option<String>,
}

/// How many files.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    next_help_heading = "Rotation (FILE becomes FILE-00001, FILE-00002 and so on, numbered before its extension)"
)]
pub struct RotationArguments {
    /// Start a new file at this size, for example 100MiB
    #[arg(long = "rotate-size", value_name = "SIZE", value_parser = size)]
    pub size: Option<u64>,
    /// Start a new file after this time, for example 1h
    #[arg(id = "rotate-duration", long = "rotate-duration", value_name = "DURATION", value_parser = config::length)]
    pub duration: Option<Duration>,
    /// Keep this many files and delete the oldest
    #[arg(long = "rotate-files", value_name = "FILES", value_parser = files, allow_negative_numbers = true)]
    pub files: Option<u64>,
}

fn queue(text: &str) -> Result<u64, String> {
    number(text, 1..=1_000_000, 1000)
}

fn snaplen(text: &str) -> Result<u32, String> {
    number(text, 0..=u32::MAX.into(), 128)
}

fn files(text: &str) -> Result<u64, String> {
    number(text, 1..=99_999, 10)
}

fn size(text: &str) -> Result<u64, String> {
    config::size(text, 1024..=1 << 50)
}
