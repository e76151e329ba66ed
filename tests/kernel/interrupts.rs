//! Interrupts that land in programs: the kernel skips a program on a processor where it is at work, and a softirq that comes upon
//! a task within a program brings events of its own. Nothing of that may be missing.
//!
//! Over veth, softirqs come after the program, unless the device spreads packets over processors (RPS): then each processor is
//! interrupted by the other. Cards of a guest interrupt by themselves. A run in which the kernel skipped too few runs has shown
//! nothing, and fails.

mod cards;
mod connections;
mod drops;
mod transfers;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;
use tests::exporter::{Exporter, Launch};
use tests::kernel::btf;
use tests::kernel::hook_account::{Account, Outcome};
use tests::kernel::kernel_facts::note;

/// Ends an account, and prints a line for each hook.
fn close(account: Account<'_>) -> Result<BTreeMap<&'static str, Outcome>> {
    let outcomes = account.close()?;
    for (hook, outcome) in &outcomes {
        note(&format!("{hook}: {outcome}"));
    }
    Ok(outcomes)
}

/// An exporter without second programs: it takes the kernel for one that has no iterator to find the first ones by.
fn without_second_programs(config: String) -> Result<(NamedTempFile, Exporter<'static>)> {
    let btf = btf::renamed(&[("bpf_iter_bpf_prog", "bpf_iter_bpf_gone")])?;
    let path = btf.path().to_str().context("a path that is text")?;
    let exporter = Launch::new(config).arguments(&["--btf", path]).start()?;
    Ok((btf, exporter))
}
