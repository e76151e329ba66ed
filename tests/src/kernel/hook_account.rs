//! The account of a hook over a run: the kernel's trace buffer against what it says of the two programs.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use anyhow::{Context as _, Result, ensure};
use common::kernel::tracepoints::Tracepoint;
use serde_json::Value;

use crate::exporter::Exporter;
use crate::kernel::kernel_facts::{has_preemptible_tracepoints, has_threaded_softirqs, note};
use crate::kernel::tracing::ftrace::Buffer;
use crate::kernel::tracing::{Attached, Runs, count_runs, runs_of};

/// Fewest skipped runs by which a run has shown anything.
const PROVOKED: u64 = 200;

/// How often the numbers of a hook are read until none has changed meanwhile.
const TRIES: u32 = 20;

/// A hook that is watched, and how far its numbers were before.
#[derive(Debug)]
struct Watched {
    tracepoint: Tracepoint,
    all: Buffer,
    of_init: Buffer,
    /// Before the buffers begin, and after.
    before: [Numbers; 2],
}

/// What the kernel says of the first program of a hook, and the exporter of the second.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// Runs of the first program, and those that the kernel skipped.
    runs: u64,
    skipped: u64,
    /// Of the skipped, those that the second program did.
    taken_over: u64,
    /// What `events_lost` says.
    lost: u64,
}

/// Hooks that are watched while something happens.
#[derive(Debug)]
pub struct Account<'a> {
    exporter: &'a Exporter<'a>,
    watched: Vec<Watched>,
    _counted: Attached,
}

/// What came of a hook.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Events in the kernel's trace buffer.
    events: u64,
    /// Events that the kernel kept from programs, over threads of the sandbox's init process.
    pub withheld: u64,
    numbers: Numbers,
}

impl Display for Outcome {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            withheld,
            numbers:
                Numbers {
                    runs,
                    skipped,
                    taken_over,
                    lost,
                },
        } = self;
        write!(
            formatter,
            "{events} events, {withheld} withheld, {runs} runs, {skipped} skipped, {taken_over} taken over, {lost} lost"
        )
    }
}

impl<'a> Account<'a> {
    /// Begins to watch.
    pub fn open(exporter: &'a Exporter<'a>, tracepoints: &[Tracepoint]) -> Result<Self> {
        let counted = count_runs()?;
        let mut watched = Vec::new();
        for tracepoint in tracepoints {
            let event = format!("{}/{}", tracepoint.system(), tracepoint.name());
            let before = Numbers::of(exporter, *tracepoint)?;
            let (of_init, all) = (Buffer::of_init(&event)?, Buffer::of_all(&event)?);
            watched.push(Watched {
                tracepoint: *tracepoint,
                all,
                of_init,
                before: [before, Numbers::of(exporter, *tracepoint)?],
            });
        }
        Ok(Self {
            exporter,
            watched,
            _counted: counted,
        })
    }

    /// Whether the kernel has skipped enough runs of the first program by now, or can skip none.
    pub fn is_provoked(&self, tracepoint: Tracepoint) -> Result<bool> {
        if has_threaded_softirqs() {
            return Ok(true);
        }
        let [before, _] = self.of(tracepoint)?.before;
        let Numbers { skipped, .. } = Numbers::of(self.exporter, tracepoint)?;
        Ok(skipped - before.skipped >= PROVOKED)
    }

    fn of(&self, tracepoint: Tracepoint) -> Result<&Watched> {
        let watched = self.watched.iter().find(|watched| watched.tracepoint == tracepoint);
        watched.context("a hook that is not watched")
    }

    /// The text of the events that were withheld.
    pub fn withheld(&self, tracepoint: Tracepoint) -> Result<Vec<String>> {
        self.of(tracepoint)?.of_init.lines()
    }

    /// Ends it: every event is a run, a skipped run or withheld, and what was skipped was taken over or is lost. The connections by which
    /// the exporter is asked, and those of others, are events too: so the buffers have no less than happened between the inner
    /// two readings of the numbers, and no more than between the outer two.
    pub fn close(self) -> Result<BTreeMap<&'static str, Outcome>> {
        let mut outcomes = BTreeMap::new();
        for Watched {
            tracepoint,
            all,
            of_init,
            before: [outer, inner],
        } in self.watched
        {
            let inner = Numbers::of(self.exporter, tracepoint)?.since(inner);
            let (events, withheld) = (all.count()?, of_init.count()?);
            let numbers = Numbers::of(self.exporter, tracepoint)?.since(outer);
            let name = tracepoint.name();
            let outcome = Outcome {
                events,
                withheld,
                numbers,
            };
            ensure!(
                numbers.skipped == numbers.taken_over + numbers.lost,
                "{name} does not add up: {outcome}"
            );
            let (least, most) = (inner.runs + inner.skipped, numbers.runs + numbers.skipped + withheld);
            ensure!(
                (least..=most).contains(&events),
                "{name} does not add up: {outcome}; {least} to {most}"
            );
            outcomes.insert(name, outcome);
        }
        Ok(outcomes)
    }
}

impl Outcome {
    /// Events that neither program saw, as `events_lost` says.
    pub fn lost(self) -> u64 {
        self.numbers.lost
    }

    /// Of those by how many a count may be short: none, but where a task can lose its processor within a program.
    pub fn excused(self) -> Result<u64> {
        Ok(if has_preemptible_tracepoints()? {
            self.numbers.lost
        } else {
            0
        })
    }

    /// Requires that interrupts did land in the program, and that all of them were taken over, but for those by which a task that
    /// lost its processor kept others from it.
    pub fn require_exact(self) -> Result<()> {
        if has_threaded_softirqs() {
            note("softirqs are threads and cannot come upon a program, in which nobody loses the processor");
            ensure!(
                self.numbers.skipped == 0,
                "the kernel skipped {} runs",
                self.numbers.skipped
            );
            return Ok(());
        }
        self.require_provoked()?;
        ensure!(
            self.numbers.taken_over > 0,
            "the second program did none of {} skipped runs",
            self.numbers.skipped
        );
        self.require_taken_over()
    }

    /// Requires that all of those that did were taken over, however many.
    pub fn require_taken_over(self) -> Result<()> {
        ensure!(
            self.numbers.lost == 0 || has_preemptible_tracepoints()?,
            "{} events are lost",
            self.numbers.lost
        );
        Ok(())
    }

    fn require_provoked(self) -> Result<()> {
        ensure!(
            self.numbers.skipped >= PROVOKED,
            "not provoked: the kernel skipped {} runs",
            self.numbers.skipped
        );
        Ok(())
    }

    /// Requires that interrupts did land in the program, and that nobody did its work.
    pub fn require_lossy(self) -> Result<()> {
        self.require_provoked()?;
        ensure!(
            self.numbers.taken_over == 0 && self.numbers.lost == self.numbers.skipped,
            "{} of {} were taken over",
            self.numbers.taken_over,
            self.numbers.skipped
        );
        Ok(())
    }
}

impl Numbers {
    fn since(self, before: Self) -> Self {
        Self {
            runs: self.runs - before.runs,
            skipped: self.skipped - before.skipped,
            taken_over: self.taken_over - before.taken_over,
            lost: self.lost - before.lost,
        }
    }

    fn of(exporter: &Exporter<'_>, tracepoint: Tracepoint) -> Result<Self> {
        for _ in 1..TRIES {
            let numbers = Self::read(exporter, tracepoint)?;
            if numbers.skipped == numbers.taken_over + numbers.lost {
                return Ok(numbers);
            }
        }
        Self::read(exporter, tracepoint)
    }

    /// What the kernel says, and then what the exporter says.
    fn read(exporter: &Exporter<'_>, tracepoint: Tracepoint) -> Result<Self> {
        let Runs { counted, skipped, .. } = first_program(exporter.process(), tracepoint)?;
        let page = exporter.get("/api/v1/status", "application/json")?;
        let status: Value = serde_json::from_str(&page.body)?;
        let number = |place: &str| {
            status
                .pointer(&format!("{place}/{}", tracepoint.name()))
                .and_then(Value::as_u64)
                .with_context(|| format!("no {place} of {} in {status}", tracepoint.name()))
        };
        Ok(Self {
            runs: counted,
            skipped,
            taken_over: number("/events_taken_over")?,
            lost: number("/lost/events_lost")?,
        })
    }
}

/// Runs of the first program that a process has on a tracepoint.
fn first_program(process: u32, tracepoint: Tracepoint) -> Result<Runs> {
    // The kernel keeps 15 characters of a name, which two tracepoints may share; programs are loaded in the order of the
    // tracepoints, of two on one the second first.
    let short = |tracepoint: Tracepoint| tracepoint.name().chars().take(15).collect::<String>();
    let alike = Tracepoint::ALL
        .into_iter()
        .filter(|other| short(*other) == short(tracepoint));
    let place = alike.clone().take_while(|other| *other != tracepoint).count();
    let mut programs = runs_of(process)?;
    programs.retain(|program| program.name == short(tracepoint));
    let each = programs.len() / alike.count();
    let first = (each * (place + 1)).checked_sub(1).and_then(|last| programs.get(last));
    first
        .cloned()
        .with_context(|| format!("no program {}", tracepoint.name()))
}

/// Skipped runs of the first program that a process has on a tracepoint, and whether they are enough to have shown anything.
pub fn skipped_by(process: u32, tracepoint: Tracepoint) -> Result<(u64, bool)> {
    let Runs { skipped, .. } = first_program(process, tracepoint)?;
    Ok((skipped, skipped >= PROVOKED || has_threaded_softirqs()))
}
