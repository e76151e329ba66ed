//! `bench`: measures what the exporter costs, in turns with nothing, with empty programs and with peers, and writes what came
//! out of it. It reports figures and judges none: only an item that cannot be measured ends with an error.

#![expect(
    clippy::print_stdout,
    reason = "a program for people: it says what it does and what came of it"
)]

mod compare;
mod contestants;
mod context;
mod crowd;
mod figures;
mod fleet;
mod items;
mod machine;
mod pairs;
mod peers;
mod processes;
mod report;
mod scraper;
mod subject;
mod usage;
mod work;

use std::fs::{create_dir_all, write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser};

use context::Context;
use items::{Entry, ITEMS};
use tests::kernel::tracing::loaded;
use tests::machine::wait::Deadline;

/// Measure what the exporter costs
#[derive(Debug, Parser)]
enum Arguments {
    /// Measure, and write what came out to target/bench
    Run(Run),
    /// Write the page and its pictures from the results that there are
    Report {
        /// Folder of the documentation
        #[arg(long, value_name = "FOLDER", default_value = "docs")]
        docs: PathBuf,
    },
    /// Measure what many nodes cost where their metrics are kept
    Fleet(fleet::Arguments),
    /// List the items
    List,
}

/// Of `run`.
#[derive(Debug, Args)]
struct Run {
    /// The exporter to measure
    #[arg(long, value_name = "FILE")]
    exporter: PathBuf,
    /// An older exporter, which takes turns with it where drops are measured
    #[arg(long, value_name = "FILE")]
    older: Option<PathBuf>,
    /// Fewer rounds: to see that an item works, not for its figures
    #[arg(long)]
    quick: bool,
    /// Processor that the workload runs on; without one the last
    #[arg(long, value_name = "NUMBER")]
    processor: Option<usize>,
    /// Measure only items with this in their names
    #[arg(value_name = "ITEM")]
    filter: Vec<String>,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse() {
        Arguments::Run(arguments) => run(arguments),
        Arguments::Report { docs } => {
            report::write_to(&docs, &results())?;
            Ok(ExitCode::SUCCESS)
        }
        Arguments::Fleet(arguments) => {
            fleet::run(&arguments)?;
            Ok(ExitCode::SUCCESS)
        }
        Arguments::List => {
            ITEMS.iter().for_each(|item| println!("{}", item.id));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Ends with 1 if an item could not be measured or is void, after all the others.
fn run(arguments: Run) -> Result<ExitCode> {
    let machine = machine::describe()?;
    let context = Context {
        exporter: arguments.exporter,
        older: arguments.older,
        quick: arguments.quick,
        processor: arguments.processor.unwrap_or(machine.cores - 1),
        machine,
    };
    let wanted = |entry: &&Entry| {
        let filter = &arguments.filter;
        filter.is_empty() || filter.iter().any(|word| entry.id.contains(word.as_str()))
    };
    let chosen: Vec<&Entry> = ITEMS.iter().filter(wanted).collect();
    ensure!(!chosen.is_empty(), "no item is called so: `bench list` names them");
    let mut failed = false;
    for entry in chosen {
        println!("{} …", entry.id);
        let others = others()?;
        match (entry.run)(&context) {
            Ok(mut item) => {
                if others > 0 {
                    item.notes.push(format!(
                        "Other processes had {others} programs on tracepoints at the beginning; their cost is in every figure, that of no programs too."
                    ));
                }
                if context.quick {
                    for target in &mut item.targets {
                        (target.met, target.why) = (None, "a quick run".to_owned());
                    }
                    item.notes
                        .push("A quick run, which shows that the item works: its figures are of no use.".to_owned());
                }
                if let Some(void) = &item.void {
                    failed = true;
                    println!("{}: void: {void}", entry.id);
                }
                let path = results().join(format!("{}.json", entry.id));
                create_dir_all(results())?;
                write(&path, serde_json::to_string_pretty(&item)? + "\n")
                    .with_context(|| format!("write {}", path.display()))?;
            }
            Err(error) => {
                failed = true;
                println!("{}: {error:#}", entry.id);
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How many programs for tracepoints others have. The kernel frees those of the item before only some time after its exporter is
/// gone.
fn others() -> Result<usize> {
    const STEP: Duration = Duration::from_millis(100);
    let end = Deadline::after(Duration::from_secs(10));
    loop {
        let others = loaded()?;
        if others == 0 || end.passed() {
            return Ok(others);
        }
        sleep(STEP);
    }
}

/// Where results lie.
fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench")
}
