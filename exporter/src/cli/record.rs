//! The arguments of `record`, which makes what `demo` serves. It is for those who develop tcpvitals.

use super::values::interval;
use clap::Args;
use std::{path::PathBuf, time::Duration};
use tcpvitals_config::duration;

/// Of `record`.
#[derive(Clone, Debug, Args)]
pub struct RecordArguments {
    /// Configuration file; the recording holds it
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: PathBuf,
    /// File to write; it is there when the recording is over
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Time between two moments
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = interval)]
    pub interval: Duration,
    /// End after this time
    #[arg(long, value_name = "DURATION", value_parser = time)]
    pub duration: Option<Duration>,
    /// Where a demonstration begins unless it is told another place, after the first moment
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = time)]
    pub entry: Duration,
    /// Name of the host in the recording
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub host: String,
    /// Leave out what is of no subnet of the configuration: what else this machine does
    #[arg(long)]
    pub named_only: bool,
}

/// A time within a recording.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO..=Duration::from_secs(7 * 24 * 3600))
}
