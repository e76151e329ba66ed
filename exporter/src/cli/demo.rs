//! The arguments of `demo`.

use super::{ServeArguments, record::time, values::number};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// Recording to serve; by default the one of the package, or of the source tree of the build
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where to begin, after the first moment of the recording; by default the middle of the incident
    #[arg(long, value_name = "DURATION", value_parser = time)]
    pub at: Option<Duration>,
    /// Speed of the replay, as a multiple of the original
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = speed, allow_negative_numbers = true)]
    pub speed: u32,
    /// How it is served.
    #[command(flatten)]
    pub serve: ServeArguments,
}

fn speed(text: &str) -> Result<u32, String> {
    number(text, 1..=60, 10)
}
