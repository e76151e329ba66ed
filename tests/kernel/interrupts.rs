//! Interrupts that land in programs: the kernel skips a program on a processor where it is at work, and a softirq that comes upon
//! a task within a program brings events of its own. Nothing of that may be missing.
//!
//! Over veth, softirqs come after the program, unless the device spreads packets over processors (RPS): then each processor is
//! interrupted by the other. Cards of a guest interrupt by themselves. A run in which the kernel skipped too few runs has shown
//! nothing, and fails.

mod cards;
mod commands;
mod connections;
mod drops;
mod flood;
mod transfers;

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::NamedTempFile;
use tests::exporter::{Exporter, Launch};
use tests::kernel::btf;
use tests::kernel::hook_account::{Account, Outcome};
use tests::kernel::kernel_facts::{note, skip};
use tests::machine::turn;
use tests::net::pair::{Cable, Pair};

/// Does `work` over a virtual cable that spreads packets over processors, alone on the machine.
fn over_veth(work: impl FnOnce(&Pair) -> Result<()>) -> Result<()> {
    let _turn = turn::alone()?;
    if is_alone()? {
        return Ok(());
    }
    work(&Pair::with(Cable {
        is_spread: true,
        ..Cable::default()
    })?)
}

/// Whether a processor is the only one, and a word about it.
fn is_alone() -> Result<bool> {
    let is_alone = available_parallelism()?.get() == 1;
    if is_alone {
        skip("this machine has one processor, which no other interrupts");
    }
    Ok(is_alone)
}

// What the following say goes into the table of docs/kernels.md (`tests/tools/vm/interrupts.rs`).

/// Ends an account, and says what came of each hook.
fn close(account: Account<'_>) -> Result<BTreeMap<&'static str, Outcome>> {
    let outcomes = account.close()?;
    for (hook, outcome) in &outcomes {
        note(&format!("hook {hook}: {outcome}"));
    }
    Ok(outcomes)
}

/// Says how much there was of `what`, and how fast it came.
fn tell_load(number: u64, what: &str, took: Duration) {
    let rate = number as f64 / took.as_secs_f64();
    note(&format!("load: {number} {what}, {rate:.0} a second"));
}

/// Says that all was counted, or fails.
fn passes(exact: Result<()>) -> Result<()> {
    exact?;
    note("result: exact");
    Ok(())
}

/// Requires that what must be exact is not, without second programs.
fn fails(exact: Result<()>) -> Result<()> {
    match exact {
        Ok(()) => bail!("without second programs it is exact, too"),
        Err(error) => note(&format!("result: fails, {error:#}")),
    }
    Ok(())
}

/// Types of a kernel that has no iterator to find first programs by: with it there are no second programs.
fn types_without_finder() -> Result<NamedTempFile> {
    btf::renamed(&[("bpf_iter_bpf_prog", "bpf_iter_bpf_gone")])
}

/// An exporter without second programs.
fn without_second_programs(config: String) -> Result<(NamedTempFile, Exporter<'static>)> {
    let btf = types_without_finder()?;
    let path = btf.path().to_str().context("a path that is text")?;
    let exporter = Launch::new(config).arguments(&["--btf", path]).start()?;
    Ok((btf, exporter))
}
