//! `vm`: boots the kernels of `tests/tools/vm/kernels.toml` in QEMU and runs there the same real-kernel tests as on this machine. It
//! changes nothing of this machine: what it fetches and makes is below `target/vm`.

#![expect(
    clippy::print_stdout,
    reason = "a program for people: it says what it does and what came of it"
)]

mod architecture;
mod cluster;
mod debian;
mod guest;
mod initramfs;
mod interrupts;
mod job;
mod matrix;
mod modules;
mod netdevsim;
mod programs;
mod report;
mod results;
mod run;
mod types;
mod userland;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser};

/// Run the real-kernel tests on other kernels than this machine's, in QEMU
#[derive(Debug, Parser)]
enum Arguments {
    /// Boot kernels and run the tests there
    Run(Run),
    /// Run the Kubernetes of `make test-cluster` in a guest, where cgroups are of version 2 alone
    Cluster(Cluster),
    /// Ask the exporter's doctor about kernels of other architectures, by their type information
    Types(Types),
    /// Print what there is on which kernel, by the last runs
    Report {
        /// The exporter whose doctor is asked about this machine
        #[arg(long, value_name = "FILE")]
        exporter: PathBuf,
        /// Compare this page with what it should be, instead of printing that
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
}

/// Of `run`.
#[derive(Debug, Args)]
struct Run {
    /// Kernel of tests/tools/vm/kernels.toml, or `all`; without one those of every change
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// The exporter to test on kernels of this machine's architecture; without one the release build, else the debug build. For
    /// others it is compiled
    #[arg(long, value_name = "FILE")]
    exporter: Option<PathBuf>,
    /// Mirror of Debian, instead of that of this machine's apt
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Guests at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    jobs: usize,
    /// Virtual processors of a guest
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    processors: u32,
    /// Processors that a guest could start; without it none but those that it does
    #[arg(long, value_name = "NUMBER")]
    possible: Option<u32>,
    /// Folder below target/vm for what the guests say; without it `runs`, or `parts` if only some tests are run
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// Show what the guests say
    #[arg(long)]
    verbose: bool,
    /// Run this in the guests instead of the tests; the exporter is in their PATH
    #[arg(long, value_name = "SHELL")]
    command: Option<String>,
    /// Run only tests with this in their names
    #[arg(value_name = "TEST")]
    filter: Vec<String>,
}

/// Of `cluster`.
#[derive(Debug, Args)]
struct Cluster {
    /// Kernel of tests/tools/vm/kernels.toml
    #[arg(long, value_name = "NAME", default_value = "6.12-cloud")]
    kernel: String,
    /// Write this run into the page of the last runs
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Only the steps that all others need, and those with this in their names
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
}

/// Of `types`.
#[derive(Debug, Args)]
struct Types {
    /// The exporter whose doctor is asked
    #[arg(long, value_name = "FILE")]
    exporter: PathBuf,
    /// Mirror of Debian, instead of that of this machine's apt
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse() {
        Arguments::Run(arguments) => run::run(&arguments),
        Arguments::Cluster(arguments) => cluster::run(&arguments),
        Arguments::Types(arguments) => types::run(&arguments),
        Arguments::Report { exporter, against } => {
            if let Some(file) = against {
                let is_equal = report::compare(&exporter, &cache(), &file)?;
                return Ok(if is_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            let page = report::page(&exporter, &cache())?;
            print!("{page}{}", interrupts::part(&cache().join(report::INTERRUPTS))?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Where all lies that is fetched and made.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm")
}
