//! What the tables of healthy activities and of losses share: a stage with addresses of its own for each entry, what an entry
//! needs of the kernel, and the verdict over all of a table.
//!
//! One exporter serves many entries: an entry is judged by the difference of two scrapes, in the series of its own subnets.

mod needs;
pub(crate) mod packets;
mod stage;

use std::fs::read_to_string;
use std::time::Duration;

use anyhow::{Result, ensure};
pub(crate) use needs::Need;
pub(crate) use stage::{Row, SERVED, Stage, far, served_port};
use tests::exporter::{Exporter, start};
use tests::kernel::kernel_facts::{note, skip};
use tests::machine::settings::{only, requires_all};
use tests::machine::wait::timed;
use tests::net::pair::Pair;
use tests::net::subnet::Subnet;

/// Entries that one exporter serves: each leaves label sets behind, which every later scrape is the longer for.
const PART: usize = 20;

/// Subnets of an entry: the first two lie on its cable.
const SUBNETS: usize = 3;

/// The kernels of the matrix, as their releases begin.
const MATRIX: [&str; 4] = ["6.1", "6.12", "6.18", "7.2"];

/// One line of a table, whatever it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<C> {
    /// A sentence; `TCPVITALS_TEST_ONLY` chooses entries by a part of it.
    name: &'static str,
    /// What the kernel must have.
    needs: &'static [Need],
    /// The kernels of the matrix that do not have it. On every other one a skip is a failure.
    lacks: &'static [&'static str],
    /// What is done, and what the table requires of it.
    pub(crate) case: C,
}

/// An entry that every kernel has.
pub(crate) const fn entry<C>(name: &'static str, case: C) -> Entry<C> {
    Entry {
        name,
        needs: &[],
        lacks: &[],
        case,
    }
}

impl<C> Entry<C> {
    pub(crate) const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    pub(crate) const fn lacks(mut self, kernels: &'static [&'static str]) -> Self {
        self.lacks = kernels;
        self
    }
}

/// What became of the entries of a table.
#[derive(Debug, Default)]
struct Verdict {
    passed: usize,
    skipped: usize,
    failures: Vec<String>,
}

/// Runs all entries of a table, one after another, and fails with all that is wrong.
pub(crate) fn run_table<C>(
    table: &[Entry<C>],
    judge: impl Fn(&C, &Exporter<'_>, Vec<Subnet>) -> Result<()>,
) -> Result<()> {
    let release = read_to_string("/proc/sys/kernel/osrelease")?;
    let of_release = |kernels: &[&str]| kernels.iter().any(|kernel| is_release(&release, kernel));
    let scratch = Pair::new()?;
    let mut chosen = Vec::new();
    let mut verdict = Verdict::default();
    for entry in table {
        if only().is_some_and(|part| !entry.name.contains(&part)) {
            continue;
        }
        match entry.needs.iter().find_map(|need| need.missing(&scratch)) {
            Some(reason) if requires_all() && of_release(&MATRIX) && !of_release(entry.lacks) => {
                let failure = format!(
                    "{}: skipped, and the table says that this kernel has it: {reason}",
                    entry.name
                );
                verdict.failures.push(failure);
            }
            Some(reason) => {
                skip(&format!("{}: {reason}", entry.name));
                verdict.skipped += 1;
            }
            None => chosen.push(entry),
        }
    }
    drop(scratch);
    // An exporter that begins knows nothing of the entries that had these before.
    let subnets: Vec<Subnet> = (0..PART * SUBNETS).map(|_| Subnet::take()).collect::<Result<_>>()?;
    for part in chosen.chunks(PART) {
        let exporter = start(stage::config(&subnets))?;
        for (entry, subnets) in part.iter().zip(subnets.chunks(SUBNETS)) {
            let (took, judged) = timed(|| judge(&entry.case, &exporter, subnets.to_vec()));
            progress(entry.name, took, judged.as_ref().err());
            match judged {
                Ok(()) => verdict.passed += 1,
                Err(error) => verdict.failures.push(format!("{}: {error:#}", entry.name)),
            }
        }
    }
    let Verdict {
        passed,
        skipped,
        failures,
    } = verdict;
    note(&format!(
        "{passed} entries passed, {} failed, {skipped} skipped",
        failures.len()
    ));
    ensure!(failures.is_empty(), "\n- {}", failures.join("\n- "));
    Ok(())
}

/// The test runner shows this if the test fails, or was asked for what tests print.
#[expect(clippy::print_stderr, reason = "shown by the test runner if the test fails")]
fn progress(name: &str, took: Duration, error: Option<&anyhow::Error>) {
    let said = error.map_or_else(|| "ok".to_owned(), |error| format!("FAILED: {error:#}"));
    eprintln!("{:5} ms {name}: {said}", took.as_millis());
}

/// Whether a release is of a kernel: 6.1.0-43-cloud-amd64 is of 6.1, and 6.12.1 is not.
fn is_release(release: &str, kernel: &str) -> bool {
    release
        .strip_prefix(kernel)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

#[test]
fn releases_are_told_apart() {
    assert!(is_release("6.1.0-43-cloud-amd64", "6.1") && is_release("6.12.57+deb13", "6.12"));
    assert!(!is_release("6.12.57+deb13", "6.1") && !is_release("6.1.0", "6.12"));
}
