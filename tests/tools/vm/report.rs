//! `vm report`: the page that says what there is on which kernel. It runs nothing but this machine's `doctor`; what the
//! guests have comes from their last runs. From files of `target/vm` to `docs/kernels.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::read_to_string;
use std::iter::repeat;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tcpvitals_metrics::families::METRICS;

use crate::architecture::Architecture;
use crate::interrupts;
use crate::matrix::{Kernel, kernels};
use crate::programs::{run, text};
use crate::results::Results;

/// A program that only kernels with preemptible tracepoints need.
const OF_PREEMPTIBLE: &str = "delete_storage_again";
/// Folders of the last runs: of all tests, of those of interrupts, of any.
const WHOLE: &str = "runs";
pub(crate) const INTERRUPTS: &str = "interrupts";
const PARTS: &str = "parts";
/// The metric that counts what was skipped.
const LOST: &str = "tcpvitals_events_lost_total";

/// What `doctor --output json` says, as far as the page has it.
#[derive(Debug, Deserialize)]
struct Doctor {
    kernel: String,
    fatal: Option<String>,
    programs: Vec<Program>,
    metrics_off: Vec<Off>,
}

#[derive(Debug, Deserialize)]
struct Program {
    program: String,
    hook: String,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Off {
    name: String,
    reason: String,
}

/// A column of the page.
struct Column {
    architecture: Architecture,
    doctor: Doctor,
    /// Of a guest that ran all tests.
    results: Option<Results>,
}

impl Column {
    /// `6.12`, `6.12 arm64`: the page stays the same when a distribution updates a kernel.
    fn version(&self) -> String {
        let numbers: Vec<&str> = self.doctor.kernel.split(['.', '-', '+']).take(2).collect();
        let version = numbers.join(".");
        if self.architecture == Architecture::default() {
            version
        } else {
            format!("{version} {}", self.architecture.name())
        }
    }

    /// Tracepoints can be preempted there: the exporter has a program that only such kernels need.
    fn is_preemptible(&self) -> bool {
        self.doctor
            .programs
            .iter()
            .any(|program| program.program == OF_PREEMPTIBLE)
    }

    fn why_program_is_off(&self, name: &str) -> Option<&str> {
        if let Some(fatal) = &self.doctor.fatal {
            return Some(fatal);
        }
        match self.doctor.programs.iter().find(|program| program.program == name) {
            Some(program) => program.reason.as_deref(),
            None => Some("not needed there"),
        }
    }

    fn why_metric_is_off(&self, name: &str) -> Option<&str> {
        let off = self.doctor.metrics_off.iter().find(|off| off.name == name);
        self.doctor.fatal.as_deref().or(off.map(|off| &*off.reason))
    }
}

/// A kernel with a column: those of every change, and of other architectures all. One that is started in another way is not
/// another kernel.
fn has_column(kernel: &Kernel) -> bool {
    (kernel.every_change || kernel.architecture != Architecture::default()) && kernel.boot.is_empty()
}

/// Compares the page with what it should be, but for the figures of interrupts, and says whether they are equal. Kernels that are not
/// of every change may not have been run: then there is nothing to compare with.
pub(crate) fn compare(exporter: &Path, cache: &Path, file: &Path) -> Result<bool> {
    let has_run = |kernel: &Kernel| cache.join(WHOLE).join(&kernel.name).join(DOCTOR).is_file();
    let is_missing = |kernel: &Kernel| has_column(kernel) && !kernel.every_change && !has_run(kernel);
    let file_name = file.display();
    if let Some(Kernel { name, .. }) = kernels()?.into_iter().find(is_missing) {
        println!("vm: {file_name} is not compared: {name} has not been run; make test-vm KERNEL={name}");
        return Ok(true);
    }
    let text = read_to_string(file).unwrap_or_default();
    let is = text.split_once(interrupts::HEAD).map_or(&*text, |(before, _)| before);
    let should_be = page(exporter, cache)?;
    if is == should_be {
        return Ok(true);
    }
    let lines = should_be.lines().zip(is.lines().chain(repeat("")));
    let (number, line) = lines
        .enumerate()
        .find_map(|(number, (should_be, is))| (should_be != is).then_some((number + 1, should_be)))
        .unwrap_or((is.lines().count(), ""));
    println!(
        "vm: {file_name} says something else, first in line {number}, which should be {line:?}: make docs-kernels"
    );
    Ok(false)
}

/// What a guest's doctor said, which is there once the guest came to its end.
const DOCTOR: &str = "doctor.json";

/// The folder of the last run of a kernel, whatever it ran.
fn newest(cache: &Path, kernel: &Kernel) -> Result<PathBuf> {
    let folders = [WHOLE, INTERRUPTS, PARTS].map(|folder| cache.join(folder).join(&kernel.name));
    let ran = folders.into_iter().filter_map(|folder| {
        let written = folder.join(DOCTOR).metadata().ok()?.modified().ok()?;
        Some((written, folder))
    });
    let name = &kernel.name;
    let newest = ran.max().map(|(_, folder)| folder);
    newest.with_context(|| format!("{name} has not been run: make test-vm KERNEL={name}"))
}

/// The page, without the figures of interrupts. Every kernel of it must have been run.
pub(crate) fn page(exporter: &Path, cache: &Path) -> Result<String> {
    let mut columns = Vec::new();
    for kernel in kernels()?.into_iter().filter(has_column) {
        let name = &kernel.name;
        let column =
            guest(&kernel, cache).with_context(|| format!("the last run of {name}; make test-vm KERNEL={name}"))?;
        columns.push(column);
    }
    let host = run(text(exporter)?, &["doctor", "--output", "json"])?;
    let host = Column {
        architecture: Architecture::default(),
        doctor: serde_json::from_str(&host).context("what this machine's doctor says")?,
        results: None,
    };
    let after = |column: &Column| numbers(&column.version()) > numbers(&host.version());
    let place = columns.iter().position(after).unwrap_or(columns.len());
    let version = host.version();
    columns.insert(place, host);
    Ok(written(&columns, &version))
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(['.', ' '])
        .filter_map(|number| number.parse().ok())
        .collect()
}

fn guest(kernel: &Kernel, cache: &Path) -> Result<Column> {
    let doctor: Doctor = serde_json::from_str(&read_to_string(newest(cache, kernel)?.join(DOCTOR))?)?;
    let whole = cache.join(WHOLE).join(&kernel.name);
    let results = if whole.join(DOCTOR).is_file() {
        let log = read_to_string(whole.join("job.log"))?;
        // Each line has its time before it.
        let lines: Vec<String> = log
            .lines()
            .filter_map(|line| line.split_once("] "))
            .map(|(_, said)| said.to_owned())
            .collect();
        let results = Results::read(&lines);
        ensure!(results.failed.is_empty(), "failed: {}", results.failed.join(", "));
        ensure!(results.is_complete || doctor.fatal.is_some(), "its tests did not end");
        Some(results)
    } else {
        None
    };
    Ok(Column {
        architecture: kernel.architecture,
        doctor,
        results,
    })
}

fn written(columns: &[Column], host: &str) -> String {
    let mut page = format!(
        "# Kernels\n\n\
         Look up which programs and metrics a kernel has, and why it lacks others.\n\n\
         Made by `make docs-kernels` from runs of the same source and the same tests on each kernel; do not edit. {host} is a\n\
         machine, the others are Debian's kernels in QEMU. One binary runs on all of x86_64; for a column that says arm64 exporter\n\
         and tests are compiled for it. `tcpvitals doctor` says the same of the kernel it runs on.\n"
    );
    table(&mut page, "Programs", columns, programs(columns), |column, name| {
        column.why_program_is_off(name).is_none()
    });
    let metrics = METRICS
        .iter()
        .filter(|metric| !(metric.programs.is_empty() && metric.one_of.is_empty()))
        .map(|metric| metric.full_name());
    table(&mut page, "Metrics", columns, metrics.collect(), |column, name| {
        column.why_metric_is_off(name).is_none()
    });
    page.push_str("\n## What is not there, and why\n");
    for column in columns {
        let lines = reasons(column);
        if !lines.is_empty() {
            add(&mut page, format_args!("\n### {}\n\n", column.version()));
            for line in lines {
                add(&mut page, format_args!("- {line}\n"));
            }
        }
    }
    page.push_str("\n## Tests\n\n");
    for column in columns {
        if column.results.is_none() && column.doctor.fatal.is_none() && column.version() != host {
            add(&mut page, format_args!("- {}: not run as a whole.\n", column.version()));
        }
        if let Some(results) = column.results.as_ref().filter(|results| results.is_complete) {
            add(
                &mut page,
                format_args!(
                    "- {}: {} of {} passed, the others were skipped, wholly or in part.\n",
                    column.version(),
                    results.passed.len(),
                    results.passed.len() + results.skipped.len()
                ),
            );
        }
    }
    for column in columns {
        let says = |results: &&Results| !results.skipped.is_empty() || column.is_preemptible();
        let Some(results) = column.results.as_ref().filter(says) else {
            continue;
        };
        add(&mut page, format_args!("\n### {}\n\n", column.version()));
        if column.is_preemptible() {
            add(
                &mut page,
                format_args!("- Of very many short connections as many may be missed as `{LOST}` counts.\n"),
            );
        }
        for (test, reasons) in &results.skipped {
            add(&mut page, format_args!("- `{test}`: {}\n", reasons.join("; ")));
        }
    }
    page
}

/// Writing to text cannot fail.
fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).ok();
}

/// Every program that is known to any kernel, in the order of loading.
fn programs(columns: &[Column]) -> Vec<String> {
    let mut names = Vec::new();
    for program in columns.iter().flat_map(|column| &column.doctor.programs) {
        if !names.contains(&program.program) {
            names.push(program.program.clone());
        }
    }
    names
}

fn table(
    page: &mut String,
    title: &str,
    columns: &[Column],
    names: Vec<String>,
    is_there: impl Fn(&Column, &str) -> bool,
) {
    let versions: Vec<String> = columns.iter().map(Column::version).collect();
    add(page, format_args!("\n## {title}\n\n| | {} |\n", versions.join(" | ")));
    add(page, format_args!("| --- |{}\n", " --- |".repeat(columns.len())));
    for name in names {
        let cells = columns
            .iter()
            .map(|column| if is_there(column, &name) { "yes" } else { "–" });
        let cells: Vec<&str> = cells.collect();
        add(page, format_args!("| `{name}` | {} |\n", cells.join(" | ")));
    }
}

fn reasons(column: &Column) -> Vec<String> {
    if let Some(fatal) = &column.doctor.fatal {
        return vec![format!("Nothing runs, and the exit code is 3: {fatal}")];
    }
    let programs = column.doctor.programs.iter().filter_map(|program| {
        let reason = program.reason.as_ref()?;
        Some(format!("`{}` on `{}`: {reason}", program.program, program.hook))
    });
    let metrics = column.doctor.metrics_off.iter();
    let metrics = metrics.map(|off| format!("`{}`: {}", off.name, off.reason));
    let all: BTreeSet<String> = programs.chain(metrics).collect();
    all.into_iter().collect()
}
