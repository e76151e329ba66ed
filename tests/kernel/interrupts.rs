//! Interrupts that land in programs: the kernel skips a program on a processor where it is at work, and a softirq that comes upon
//! a task within a program brings events of its own. Nothing of that may be missing.
//!
//! Over veth, softirqs come after the program, unless the device spreads packets over processors (RPS): then each processor is
//! interrupted by the other. Cards of a guest interrupt by themselves. A run in which the kernel skipped too few runs has shown
//! nothing, and fails.

mod account;
mod cards;
mod connections;
mod drops;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, ensure};
use tempfile::NamedTempFile;
use tests::exporter::{Exporter, Launch};
use tests::kernel::btf;
use tests::net::pair::{DEVICE, Pair};

/// A cable whose ends hand their packets to all processors.
fn spread() -> Result<Pair> {
    let pair = Pair::new()?;
    let file = format!("/sys/class/net/{DEVICE}/queues/rx-0/rps_cpus");
    let all = format!("{:x}", (1u64 << available_parallelism()?.get().min(32)) - 1);
    for end in [&pair.client, &pair.server] {
        // The folder of a namespace's devices is seen by who mounts it there, as this command does.
        let mut write = Command::new("ip")
            .args(["netns", "exec", end.name(), "tee", &file])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        write.stdin.take().context("no input")?.write_all(all.as_bytes())?;
        ensure!(write.wait()?.success(), "{file} refuses {all}");
    }
    Ok(pair)
}

/// An exporter without second programs: it takes the kernel for one that has no iterator to find the first ones by.
fn without_second_programs(config: String) -> Result<(NamedTempFile, Exporter<'static>)> {
    let btf = btf::renamed(&[("bpf_iter_bpf_prog", "bpf_iter_bpf_gone")])?;
    let path = btf.path().to_str().context("a path that is text")?;
    let exporter = Launch::new(config).arguments(&["--btf", path]).start()?;
    Ok((btf, exporter))
}
