//! The truth under load: everything that moves a counter at once, on many live flows, with reloads, scrapes and a receiver of
//! OTLP that fails, for two lives of the exporter with a kill between them. At the end of each life the totals must be equal to
//! what the kernel and the generator counted.
//!
//! Prints a table, leaves the same in `result.json` with the last scrape, configuration and log of each life, and ends with
//! 1 if anything differs, 2 if it could not be run.

mod check;
mod expected;
mod growth;
mod hold;
mod holders;
mod keep;
mod kernel;
mod life;
mod receiver;
mod reloads;
mod report;
mod run;
mod scrapers;
mod stage;
mod sums;
mod unseen;
mod withheld;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use hold::Hold;

/// Holds the exporter against the kernel under load.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// How long the load goes on, both lives together
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// The same in hours
    #[arg(long, conflicts_with = "minutes")]
    hours: Option<f64>,
    /// How many connections are held open
    #[arg(long, default_value_t = 100_000)]
    flows: usize,
    /// Where the result goes
    #[arg(long, default_value = "target/soak")]
    output: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Holds some of the flows: a process may have only so many descriptors
    #[command(hide = true)]
    Hold(Hold),
}

#[expect(clippy::print_stderr, reason = "a program's last word")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let minutes = arguments.hours.map_or(arguments.minutes, |hours| 60.0 * hours);
    let ended = match &arguments.part {
        Some(Part::Hold(order)) => hold::hold(order).map(|()| true),
        None => Duration::try_from_secs_f64(60.0 * minutes)
            .map_err(Into::into)
            .and_then(|length| run::run(length, arguments.flows, &arguments.output)),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::from(2)
        }
    }
}
