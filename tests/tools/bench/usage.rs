//! What a running process takes: processor time, memory, times that it woke up. Read from outside; it knows nothing of
//! it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::{read_dir, read_to_string};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;
use tests::kernel::processes::status;

/// A process that somebody else keeps alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// A thread of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thread {
    number: i32,
    name: String,
}

impl Display for Thread {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { number, name } = self;
        write!(formatter, "{name} ({number})")
    }
}

impl Process {
    /// Processor time of all its threads, those that have ended too: user and system, to the nanosecond.
    pub(crate) fn time(self) -> Result<Duration> {
        let clock = ClockId::pid_cpu_clock_id(self.pid()?).context("find the clock of a process")?;
        Ok(clock.now().context("read the clock of a process")?.into())
    }

    /// `VmRSS` and `VmHWM`, in bytes.
    pub(crate) fn memory(self) -> Result<(u64, u64)> {
        Ok((self.bytes("VmRSS")?, self.bytes("VmHWM")?))
    }

    /// A line of /proc/PID/status that is in units of 1024 bytes, in bytes.
    pub(crate) fn bytes(self, key: &str) -> Result<u64> {
        let value = status(self.0, key)?;
        let number: Result<u64, _> = value.trim_end_matches(" kB").parse();
        Ok(number.with_context(|| format!("{key} is {value}"))? * 1024)
    }

    /// Times that each thread has given up its processor, of its own will or not.
    pub(crate) fn switches(self) -> Result<BTreeMap<Thread, u64>> {
        let mut switches = BTreeMap::new();
        for number in self.threads()? {
            // One may end between the listing and the reading.
            let Ok(text) = read_to_string(format!("/proc/{}/task/{number}/status", self.0)) else {
                continue;
            };
            let of = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok();
            let name = text
                .lines()
                .find_map(|line| line.strip_prefix("Name:"))
                .unwrap_or_default();
            let is_first = i64::from(number) == i64::from(self.0);
            let thread = Thread {
                number,
                name: if is_first {
                    "the first thread".to_owned()
                } else {
                    name.trim().to_owned()
                },
            };
            switches.insert(thread, text.lines().filter_map(of).sum());
        }
        Ok(switches)
    }

    /// Lets all its threads, and those that they will start, run on one processor only.
    pub(crate) fn pin(self, processor: usize) -> Result<()> {
        for thread in self.threads()? {
            let mut set = CpuSet::new();
            set.set(processor)?;
            sched_setaffinity(Pid::from_raw(thread), &set).with_context(|| format!("run on processor {processor}"))?;
        }
        Ok(())
    }

    fn threads(self) -> Result<Vec<i32>> {
        let path = format!("/proc/{}/task", self.0);
        let entries = read_dir(&path).with_context(|| format!("list {path}"))?;
        let number = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            name.parse().with_context(|| format!("a thread called {name}"))
        };
        entries.map(number).collect()
    }

    fn pid(self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.0)?))
    }
}
