//! `cluster`: Kubernetes on one node, with the exporter as its chart installs it, and pods that talk TCP to each other. What the exporter
//! says of workloads is held against what the API server and the node's kernel say. What is changed of this machine ends with it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people: it says what it does and what came of it"
)]

mod access;
mod exporter;
mod node;
mod objects;
mod page;
mod programs;
mod steps;
mod traffic;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Run the exporter on a Kubernetes of one node, and hold its workloads against what the API server says
#[derive(Debug, Parser)]
struct Arguments {
    /// The image, as `make image` packs it
    #[arg(long, default_value = "target/image/tcpvitals.tar")]
    image: PathBuf,
    /// The chart
    #[arg(long, default_value = "deploy/chart")]
    chart: PathBuf,
    /// Programs and images that `tests/setup.sh cluster` has brought
    #[arg(long, default_value = "target/tools/cluster")]
    tools: PathBuf,
    /// Folder with Helm, as `tests/setup.sh chart` brings it
    #[arg(long, default_value = "target/tools/chart")]
    helm: PathBuf,
    /// What the run leaves: logs, and the last scrape
    #[arg(long, default_value = "target/cluster")]
    output: PathBuf,
    /// Archive with the folder of an older chart, instead of what git has
    #[arg(long, value_name = "FILE")]
    older: Option<PathBuf>,
    /// Write this run into the page of the last runs
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Only the steps that all others need, and those with this in their names
    #[arg(value_name = "STEP")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    match steps::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}
