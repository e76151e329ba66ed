//! The arguments of `trace`.

use super::{
    filters::Filters,
    values::{ADVANCED, Advanced, OUTPUT, TIME, count, number, words},
};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, ValueParser},
};
use common::tcp::event::EventKind;
use std::{path::PathBuf, time::Duration};
use tcpvitals_config::{duration, length, size};
use tcpvitals_metrics::rows::trace::item;

/// Of `trace`.
#[derive(Clone, Debug, Args)]
pub struct TraceArguments {
    /// Which connections.
    #[command(flatten)]
    pub filters: Filters,
    /// Events to print
    #[arg(long, value_name = "EVENT", value_delimiter = ',', value_parser = words(&EventKind::ALL, EventKind::as_str), help_heading = EVENTS)]
    pub event: Vec<EventKind>,
    /// Only connections with at least this many retransmitted segments
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = retransmits, allow_negative_numbers = true, help_heading = EVENTS)]
    pub min_retransmits: u32,
    /// Output format; seed is text with every value, binary is for --read
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = OUTPUT)]
    pub output: TraceOutput,
    /// Print every value that is not 0, also if the line gets long
    #[arg(short, long, help_heading = OUTPUT)]
    pub verbose: bool,
    /// Values to print in text instead of the usual ones
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = fields(), hide_possible_values = true, conflicts_with = "verbose", help_heading = OUTPUT)]
    pub fields: Vec<String>,
    /// Print a file that `--output binary` wrote, instead of tracing; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interval", "buffer", "duration", "btf", "config_file"], help_heading = OUTPUT)]
    pub read: Option<PathBuf>,
    /// Time between periodic events of all live connections, 0 for none; by default 2s, and 0 for text on a terminal
    #[arg(long, value_name = "TIME", value_parser = interval, help_heading = TIME)]
    pub interval: Option<Interval>,
    /// Stop after this many events
    #[arg(long, value_name = "NUMBER", value_parser = count::<u64>, allow_negative_numbers = true, help_heading = TIME)]
    pub count: Option<u64>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = length, help_heading = TIME)]
    pub duration: Option<Duration>,
    /// Size of the buffer for events that are not printed yet; rounded up to a power of two
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = buffer, help_heading = ADVANCED)]
    pub buffer: u32,
    /// Configuration and type information.
    #[command(flatten)]
    pub advanced: Advanced,
}

const EVENTS: &str = "Events";

/// The names of all values.
fn fields() -> ValueParser {
    PossibleValuesParser::new(item::names()).into()
}

/// How `trace` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceOutput {
    /// A line for people
    Text,
    /// A line with every value, in a fixed order
    Seed,
    /// One JSON object per line
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

fn retransmits(text: &str) -> Result<u32, String> {
    number(text, 0..=u32::MAX.into(), 3)
}

/// At least a page, at most what the kernel takes on every machine.
fn buffer(text: &str) -> Result<u32, String> {
    let bytes = size(text, 4096..=1 << 30)?;
    u32::try_from(bytes).map_err(|error| error.to_string())
}
