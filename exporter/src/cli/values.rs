//! Values that several commands take.

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};
use tcpvitals_config::duration;

/// Headings of the help, in this order below the filters.
pub(super) const OUTPUT: &str = "Output";
pub(super) const TIME: &str = "Time";
pub(super) const ADVANCED: &str = "Advanced";

/// What seldom changes: the same in every command that looks at the kernel.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = ADVANCED)]
pub struct Advanced {
    /// Configuration file: subnets, protocols, classes; without one that of the exporter installed here (/etc/tcpvitals/config.yaml), else the built-in one
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// File with the kernel's type information, instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// One of the words of a closed set.
pub(super) fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let words = all.iter().map(move |value| word(*value));
    PossibleValuesParser::new(words.collect::<Vec<_>>()).try_map(move |chosen| {
        let value = all.iter().find(|value| word(**value) == chosen);
        value.copied().ok_or("not one of them")
    })
}

/// A port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    port_or_any(text).and_then(|port| if port == 0 { Err(PORT.to_owned()) } else { Ok(port) })
}

/// The same to listen on: 0 is any that is free.
pub(super) fn port_or_any(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| digits);
    port.ok_or_else(|| PORT.to_owned())
}

const PORT: &str = "a port is a number from 1 to 65535";

/// A whole number within bounds, the upper one only where there is one. `usual` is one that people use.
pub(super) fn number<T: TryFrom<u64>>(text: &str, allowed: RangeInclusive<u64>, usual: u64) -> Result<T, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && allowed.contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let (from, to) = (allowed.start(), allowed.end());
        let bounds = if *to == u64::MAX {
            format!("from {from} on")
        } else {
            format!("from {from} to {to}")
        };
        format!("write a whole number {bounds}, for example {usual}")
    })
}

/// Items to print, or to wait for: at least one.
pub(super) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    number(text, 1..=u64::MAX, 100)
}

/// Time between two readings of the kernel.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(100)..=Duration::from_secs(3600))
}
