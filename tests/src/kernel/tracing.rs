//! Programs on tracepoints that are attached and detached over and over: those of a process, which may have ended, and empty
//! ones beside them.

pub mod ftrace;

use std::fs::read_to_string;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aya::maps::MapInfo;

use crate::kernel::processes::{maps_of, programs_of};
use crate::kernel::syscalls::tracing;

/// A loaded program and where it belongs. It and its maps stay in the kernel as long as this value.
#[derive(Debug)]
pub struct Traced {
    program: OwnedFd,
    place: Place,
}

/// How it is attached.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A raw tracepoint with BTF (`tp_btf`), which the program has known since it was loaded.
    Raw,
    /// A tracepoint as perf has it, by its number.
    Event(u64),
}

/// At work until dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
pub struct Attached(OwnedFd);

/// The programs of a process that can be attached to tracepoints, in the order in which they were loaded. Those that do not
/// bring their place belong to `event` (`tcp:tcp_probe`); without one they are left out, like iterators.
pub fn of_process(process: u32, event: Option<&str>) -> Result<Vec<Traced>> {
    let wanted = programs_of(process)?;
    let mut programs = Vec::new();
    for program in aya::programs::loaded_programs() {
        // Somebody else's may be unloaded between the listing and the look.
        let Ok(program) = program else { continue };
        if !wanted.contains(&program.id()) {
            continue;
        }
        let descriptor = program.fd().context("open a program")?.as_fd().try_clone_to_owned()?;
        let info = tracing::info(&descriptor)?;
        let place = match (info.kind(), event) {
            (tracing::Kind::RawTracepoint, _) => Place::Raw,
            (tracing::Kind::Tracepoint, Some(event)) => Place::Event(event_number(event)?),
            (tracing::Kind::Tracepoint | tracing::Kind::Other, _) => continue,
        };
        let traced = Traced {
            program: descriptor,
            place,
        };
        // Iterators look like raw tracepoints, and the kernel refuses to attach them so. An event takes a program only once.
        if matches!(place, Place::Event(_)) || traced.attach().is_ok() {
            programs.push((program.id(), traced));
        }
    }
    programs.sort_by_key(|(number, _)| *number);
    Ok(programs.into_iter().map(|(_, traced)| traced).collect())
}

/// How often the kernel ran a program, and how often it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The first 15 characters of its name.
    pub name: String,
    /// Runs that were counted: [`count_runs`] has to be on.
    pub counted: u64,
    /// Runs that were skipped, because the program was at work on that processor.
    pub skipped: u64,
}

/// The runs of the programs of a process, in the order in which they were loaded.
pub fn runs_of(process: u32) -> Result<Vec<Runs>> {
    let wanted = programs_of(process)?;
    let mut runs = Vec::new();
    for program in aya::programs::loaded_programs() {
        // Somebody else's may be unloaded between the listing and the look.
        let Ok(program) = program else { continue };
        if wanted.contains(&program.id()) {
            let descriptor = program.fd().context("open a program")?.as_fd().try_clone_to_owned()?;
            let info = tracing::info(&descriptor)?;
            let (name, counted, skipped) = (info.name(), info.runs, info.recursion_misses);
            runs.push((program.id(), Runs { name, counted, skipped }));
        }
    }
    runs.sort_by_key(|(number, _)| *number);
    Ok(runs.into_iter().map(|(_, runs)| runs).collect())
}

/// How many programs for tracepoints the kernel has loaded, whoever they belong to.
pub fn loaded() -> Result<usize> {
    let mut count = 0;
    for program in aya::programs::loaded_programs() {
        // Somebody else's may be unloaded between the listing and the look.
        let Ok(descriptor) = program.and_then(|program| program.fd()) else {
            continue;
        };
        let info = tracing::info(&descriptor.as_fd().try_clone_to_owned()?)?;
        count += usize::from(info.kind() != tracing::Kind::Other);
    }
    Ok(count)
}

/// The number that perf knows a tracepoint by.
fn event_number(event: &str) -> Result<u64> {
    let path = format!("/sys/kernel/tracing/events/{}/id", event.replace(':', "/"));
    let number = read_to_string(&path).with_context(|| format!("read {path}"))?;
    number.trim().parse().with_context(|| format!("{path} holds {number}"))
}

impl Traced {
    /// The kernel's number of its hook, as a type.
    pub fn hook(&self) -> Result<u32> {
        Ok(tracing::info(&self.program)?.attach_btf_id)
    }

    /// The same program once more.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self {
            program: self.program.try_clone()?,
            place: self.place,
        })
    }

    /// A program that only returns, on the same hook.
    pub fn empty(&self) -> Result<Self> {
        let place = self.place;
        let Place::Raw = place else {
            bail!("an empty program is made for raw tracepoints only");
        };
        let target = tracing::info(&self.program)?;
        let program = tracing::load_empty(&target).with_context(|| format!("load an empty {}", target.name()))?;
        Ok(Self { program, place })
    }

    /// A program on the same hook, which must be `inet_sock_set_state`, that only has the kernel make storage for the sockets of
    /// connections, in a map of a process.
    pub fn storing(&self, process: u32, map: &str) -> Result<Self> {
        let maps = maps_of(&programs_of(process)?)?;
        let found = maps.iter().find(|(_, known)| known.name == map);
        let (number, _) = found.with_context(|| format!("process {process} has no map {map}"))?;
        let storage = MapInfo::from_id(*number)?.fd()?;
        let program = tracing::load_storing(&tracing::info(&self.program)?, storage.as_fd())
            .with_context(|| format!("load a program that stores in {map}"))?;
        Ok(Self {
            program,
            place: self.place,
        })
    }

    /// Attaches it.
    pub fn attach(&self) -> Result<Attached> {
        let attached = match self.place {
            Place::Raw => tracing::attach_raw(&self.program),
            Place::Event(number) => tracing::attach_event(&self.program, number),
        };
        Ok(Attached(attached.with_context(|| format!("attach {}", self.name()))?))
    }

    /// The name that the kernel has for it, cut to 15 characters.
    pub fn name(&self) -> String {
        // What has no name any more is called nothing in an error.
        tracing::info(&self.program).map_or_else(|_| String::new(), |info| info.name())
    }

    /// How often it has run while somebody held [`count_runs`].
    pub fn runs(&self) -> Result<u64> {
        Ok(tracing::info(&self.program)?.runs)
    }

    /// How long it has run while somebody held [`count_runs`]: with the kernel's own two looks at the clock.
    pub fn run_time(&self) -> Result<Duration> {
        Ok(Duration::from_nanos(tracing::info(&self.program)?.run_time))
    }
}

/// Has the kernel count the runs of all programs, which takes time, until the value is dropped.
pub fn count_runs() -> Result<Attached> {
    Ok(Attached(tracing::enable_statistics()?))
}
