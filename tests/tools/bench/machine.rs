//! What the machine says of itself. A figure without it means nothing.

use std::fs::{read_dir, read_to_string};
use std::thread::available_parallelism;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use tests::net::namespace::host;

use crate::report::model::Machine;

/// Asks the running kernel, and the repository for its commit.
pub(crate) fn describe() -> Result<Machine> {
    let processors = read("/proc/cpuinfo")?;
    let memory = line(&read("/proc/meminfo")?, "MemTotal").replace(" kB", "");
    Ok(Machine {
        processor: line(&processors, "model name"),
        cores: available_parallelism()?.get(),
        memory: memory.parse::<u64>().context("read MemTotal of /proc/meminfo")? / 1024,
        kernel: read("/proc/sys/kernel/osrelease")?,
        clock_source: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?,
        virtualised: line(&processors, "flags").split(' ').any(|flag| flag == "hypervisor"),
        mitigations: mitigations()?,
        load: read("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned(),
        date: date(),
        commit: commit(),
    })
}

fn read(path: &str) -> Result<String> {
    let text = read_to_string(path).with_context(|| format!("read {path}"))?;
    Ok(text.trim_end().to_owned())
}

/// The text after `key:`, of the first line that has it; "" on an architecture that does not say.
fn line(text: &str, key: &str) -> String {
    let after = |line: &str| {
        Some(
            line.strip_prefix(key)?
                .trim_start()
                .strip_prefix(':')?
                .trim()
                .to_owned(),
        )
    };
    text.lines().find_map(after).unwrap_or_default()
}

/// `NAME: what the kernel says`, without what does not affect this processor.
fn mitigations() -> Result<Vec<String>> {
    let folder = "/sys/devices/system/cpu/vulnerabilities";
    let mut said = Vec::new();
    // A kernel without them has no such folder.
    for entry in read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        let text = read_to_string(entry.path()).with_context(|| format!("read {}", entry.path().display()))?;
        if text.trim() != "Not affected" {
            said.push(format!("{}: {}", entry.file_name().to_string_lossy(), text.trim()));
        }
    }
    said.sort();
    Ok(said)
}

/// The day, in UTC.
#[expect(clippy::disallowed_methods, reason = "results say when they were measured")]
fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().take(10).collect()
}

/// An archive of the sources has no commit.
fn commit() -> String {
    let Ok(commit) = host("git rev-parse --short=12 HEAD") else {
        return "unknown".to_owned();
    };
    let changed = host("git status --porcelain --untracked-files=no").is_ok_and(|changed| !changed.is_empty());
    format!("{}{}", commit.trim(), if changed { "+" } else { "" })
}
