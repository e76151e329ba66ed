//! The arguments of `demo`.

use super::{ServeArguments, record::time};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// The recording; without one that of the package, or of the source that the program was compiled in
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where to begin, after the first moment of the recording; without it in the middle of the incident
    #[arg(long, value_name = "DURATION", value_parser = time)]
    pub at: Option<Duration>,
    /// How many times as fast as it was
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub speed: u32,
    /// How it is served.
    #[command(flatten)]
    pub serve: ServeArguments,
}
