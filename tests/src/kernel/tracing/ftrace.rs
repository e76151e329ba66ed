//! The kernel's own trace buffers (ftrace): every event of a tracepoint, whether a BPF program saw it or not.
//!
//! Some kernels of sandboxes shield the sandbox's init process: an event in an interrupt over one of its threads reaches these
//! buffers and no program. [`Buffer::of_init`] holds just those.

use std::fs::{create_dir, read_dir, read_to_string, remove_dir, write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::net::namespace::host;

const TRACEFS: &str = "/sys/kernel/tracing";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A buffer of one event; removed on drop.
#[derive(Debug)]
pub struct Buffer(PathBuf);

impl Buffer {
    /// Counts the events of a tracepoint, `sock/inet_sock_set_state`, whoever is interrupted by them. Only the newest keep their
    /// text.
    pub fn of_all(event: &str) -> Result<Self> {
        let buffer = Self::new(64)?;
        buffer.enable(event)?;
        Ok(buffer)
    }

    /// Keeps the events that happen over threads of the init process.
    pub fn of_init(event: &str) -> Result<Self> {
        let buffer = Self::new(8192)?;
        let threads: Vec<String> = read_dir("/proc/1/task")?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        buffer.write("set_event_pid", &threads.join("\n"))?;
        // Its threads come and go.
        buffer.write("options/event-fork", "1")?;
        buffer.enable(event)?;
        Ok(buffer)
    }

    fn new(kilobytes_per_processor: u32) -> Result<Self> {
        mount()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(TRACEFS).join(format!("instances/tcpvitals-{}-{number}", process::id()));
        create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        let buffer = Self(path);
        buffer.write("buffer_size_kb", &kilobytes_per_processor.to_string())?;
        Ok(buffer)
    }

    /// How many events there were.
    pub fn count(&self) -> Result<u64> {
        let mut count = 0;
        for cpu in read_dir(self.0.join("per_cpu"))? {
            let path = cpu?.path().join("stats");
            let stats = read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let lines = stats.lines().filter_map(|line| line.split_once(": "));
            for (key, value) in lines.filter(|(key, _)| ["entries", "overrun", "dropped events"].contains(key)) {
                count += value
                    .trim()
                    .parse::<u64>()
                    .with_context(|| format!("{key} is {value}"))?;
            }
        }
        Ok(count)
    }

    /// The text of every event.
    pub fn lines(&self) -> Result<Vec<String>> {
        let text = read_to_string(self.0.join("trace")).context("read a trace buffer")?;
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        ensure!(lines.len() as u64 == self.count()?, "the trace buffer was too small");
        Ok(lines)
    }

    fn enable(&self, event: &str) -> Result<()> {
        self.write(&format!("events/{event}/enable"), "1")
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.0.join(file);
        write(&path, value).with_context(|| format!("write {}", path.display()))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.write("events/enable", "0").ok();
        remove_dir(&self.0).ok();
    }
}

/// Whether an event, `SYSTEM/NAME`, has a field of this name.
pub fn has_field(event: &str, name: &str) -> Result<bool> {
    mount()?;
    let path = Path::new(TRACEFS).join("events").join(event).join("format");
    let format = read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(format.contains(&format!(" {name};")))
}

fn mount() -> Result<()> {
    if !Path::new(TRACEFS).join("trace").exists() {
        host(&format!("mount -t tracefs tracefs {TRACEFS}"))?;
    }
    Ok(())
}
