//! What the second program of a tracepoint costs. In turns with nothing: empty programs, and the exporter, with one and with two
//! programs on each tracepoint. By the kernel's own account of time: the second program for an event that the first one sees,
//! beside an empty one.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::kernel::tracing::{Attached, Traced, count_runs};
use tests::net::namespace::Namespace;

use super::drop::{Flood, Site};
use super::retransmit::{Transfer, lossy};
use crate::compare::{Findings, OURS_ALONE, OURS_ESSENTIAL, OURS_FULL, asked, usual};
use crate::contestants::{FULL, ours};
use crate::context::Context;
use crate::figures::quartiles;
use crate::pairs::{Contestant, FLOOR, FLOOR_OF_ONE, WARM, WINDOW, nanoseconds, pin, runs, while_lasts};
use crate::report::model::{Item, Row, Target};
use crate::work::{Churn, End, Ends};

/// By how much a second program may be slower than an empty one, in nanoseconds.
const MOST: f64 = 5.0;
/// Fewest events of a window by which it counts.
const FEWEST: u64 = 100;
/// Round trips between two looks at the clock.
const ROUND_TRIPS: u32 = 16;
/// The same of drops.
const DROPS: u32 = 32;

/// What is done over and over: a group of rows, and the tracepoint whose programs it runs most.
#[derive(Clone, Copy, Debug)]
struct Workload {
    name: &'static str,
    /// As far as the kernel keeps the names of programs.
    hook: &'static str,
    make: fn() -> Result<Made>,
}

/// A namespace for it, and who works there.
struct Made {
    namespace: Namespace,
    open: fn() -> Result<Operate>,
}

/// Does some operations, and says how many.
type Operate = Box<dyn FnMut() -> Result<f64>>;

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "segment",
        hook: "tcp_probe",
        make: segment,
    },
    Workload {
        name: "connection",
        hook: "inet_sock_set_s",
        make: connection,
    },
    Workload {
        name: "drop",
        hook: "kfree_skb",
        make: dropped,
    },
    Workload {
        name: "retransmission",
        hook: "tcp_retransmit_",
        make: retransmission,
    },
];

/// A tracepoint with its two programs and an empty one.
struct Hook {
    name: String,
    second: Traced,
    empty: Traced,
    /// Nanoseconds an event of either, a pair for each window.
    figures: Vec<[f64; 2]>,
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "second", "The second program of a tracepoint", "ns per event");
    found.note(
        "The kernel skips a program on a processor where it is at work; a second program on the same tracepoint does the work \
         then. In turns with nothing, by the events of all tracepoints: what the exporter costs without and with second programs, \
         and as many empty programs.",
    );
    let mut contestants = usual(context)?;
    for workload in WORKLOADS {
        take_turns(&mut found, context, &contestants, workload)?;
        // It leaves out the segment path, which is the first: elsewhere it costs the same.
        contestants.retain(|contestant| contestant.label != OURS_ESSENTIAL);
    }
    drop(contestants);

    let programs = ours(context, OURS_FULL, FULL)?.programs;
    let mut hooks = hooks(&programs)?;
    let attached = attach(&programs, &hooks)?;
    let counting = count_runs()?;
    for workload in WORKLOADS {
        let Made { namespace, open } = (workload.make)()?;
        namespace.run(|| {
            pin(context.processor)?;
            watch(&mut hooks, workload.hook, context.rounds(60), open()?)
        })?;
    }
    drop((counting, attached));
    found.note(
        "By name of a program: what the second one takes where the first is not skipped, by the kernel's own account of the time of \
         programs (`bpf_prog_info.run_time_ns`), which has its two looks at the clock in it. An empty program on the same tracepoint \
         is attached beside it.",
    );
    let mut item = found.done();
    for hook in hooks.iter().filter(|hook| !hook.figures.is_empty()) {
        item.rows.extend(hook.rows());
        item.targets.push(hook.target());
    }
    Ok(item)
}

fn segment() -> Result<Made> {
    let open = || -> Result<Operate> {
        let mut ends = Ends::open(Ipv4Addr::LOCALHOST.into())?;
        Ok(Box::new(move || {
            (0..ROUND_TRIPS).try_for_each(|_| ends.round_trip())?;
            Ok(f64::from(ROUND_TRIPS))
        }))
    };
    Ok(Made {
        namespace: Namespace::new()?,
        open,
    })
}

fn connection() -> Result<Made> {
    let open = || -> Result<Operate> {
        let churn = Churn::new(Ipv4Addr::LOCALHOST.into(), End::Fin)?;
        Ok(Box::new(move || churn.connection().map(|()| 1.0)))
    };
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_max_tw_buckets=0")?;
    Ok(Made { namespace, open })
}

fn dropped() -> Result<Made> {
    let open = || -> Result<Operate> {
        let flood = Flood::new()?;
        Ok(Box::new(move || {
            (0..DROPS).try_for_each(|_| flood.send(Site::ClosedPort, 0))?;
            Ok(f64::from(DROPS))
        }))
    };
    Ok(Made {
        namespace: Namespace::new()?,
        open,
    })
}

fn retransmission() -> Result<Made> {
    let open = || -> Result<Operate> {
        let mut transfer = Transfer::open()?;
        Ok(Box::new(move || Ok(f64::from(transfer.until_retransmit()?.0))))
    };
    Ok(Made {
        namespace: lossy()?,
        open,
    })
}

/// Measures a workload with one and with two programs on each tracepoint. An event is a run of a first program.
fn take_turns(found: &mut Findings, context: &Context, contestants: &[Contestant], workload: Workload) -> Result<()> {
    let Workload { name, make, .. } = workload;
    let Made { namespace, open } = make()?;
    namespace.run(|| {
        pin(context.processor)?;
        let mut operate = open()?;
        let alone = contestants.iter().find(|contestant| contestant.label == OURS_ALONE);
        let counted = runs(alone.context("nobody is without second programs")?, &mut operate)?;
        let events: f64 = counted.iter().map(|(_, runs)| runs).sum();
        ensure!(events > 0.0, "{name}: no program runs");
        found.note(format!("{name}: {events:.2} events each."));
        found.measure((name, context.rounds(240), 1.0 / events), contestants, operate)
    })?;
    let median = |label: &str| found.row(&format!("{name}: {label}")).map(|row| row.median);
    let difference = |more, less| Some(median(more)? - median(less)?);
    let above = difference(OURS_FULL, OURS_ALONE).zip(difference(FLOOR, FLOOR_OF_ONE));
    let asked = asked(
        &format!("second programs, {name}"),
        "≤ 5 ns an event above a second empty program",
    );
    found.target(asked, &format!("{name}: {OURS_FULL}"), |_| {
        let (second, empty) = above.unwrap_or((f64::NAN, f64::NAN));
        (
            format!("{second:.1} ns an event, an empty one {empty:.1} ns"),
            second - empty <= MOST,
        )
    });
    Ok(())
}

/// Of two programs on a tracepoint the second was loaded first.
fn hooks(programs: &[Traced]) -> Result<Vec<Hook>> {
    let places = programs.iter().map(Traced::hook).collect::<Result<Vec<_>>>()?;
    let mut hooks = Vec::new();
    for (at, second) in programs.iter().enumerate() {
        let first = (at + 1..programs.len()).find(|later| places[*later] == places[at]);
        if let Some(first) = first {
            hooks.push(Hook {
                name: programs[first].name(),
                second: second.try_clone()?,
                empty: second.empty()?,
                figures: Vec::new(),
            });
        }
    }
    ensure!(!hooks.is_empty(), "no tracepoint has two programs");
    Ok(hooks)
}

/// All that the exporter has, and the empty ones.
fn attach(programs: &[Traced], hooks: &[Hook]) -> Result<Vec<Attached>> {
    let empty = hooks.iter().map(|hook| &hook.empty);
    programs.iter().chain(empty).map(Traced::attach).collect()
}

/// Works, and takes the time of the programs of the tracepoint that the work is for.
fn watch(hooks: &mut [Hook], name: &str, rounds: usize, mut operate: Operate) -> Result<()> {
    println!("  {name}: {rounds} rounds");
    let hook = hooks.iter_mut().find(|hook| hook.name == name);
    let hook = hook.with_context(|| format!("{name} has no second program"))?;
    while_lasts(WARM, &mut operate)?;
    for _ in 0..rounds {
        let before = hook.times()?;
        while_lasts(WINDOW, &mut operate)?;
        let after = hook.times()?;
        let since = |which: usize| {
            let ((time, runs), (time_before, runs_before)) = (after[which], before[which]);
            (time - time_before, runs - runs_before)
        };
        let (empty, second) = (since(0), since(1));
        if empty.1.min(second.1) >= FEWEST {
            hook.figures
                .push([empty, second].map(|(time, runs)| nanoseconds(time) / runs as f64));
        }
    }
    ensure!(!hook.figures.is_empty(), "{name}: too few events in every window");
    Ok(())
}

impl Hook {
    /// Time and runs of the empty program and of the second.
    fn times(&self) -> Result<[(Duration, u64); 2]> {
        let of = |program: &Traced| anyhow::Ok((program.run_time()?, program.runs()?));
        Ok([of(&self.empty)?, of(&self.second)?])
    }

    fn figures(&self, figure: fn(&[f64; 2]) -> f64) -> Vec<f64> {
        self.figures.iter().map(figure).collect()
    }

    /// What the second program takes more than the empty one.
    fn difference(&self) -> Row {
        let label = format!("{}: the difference", self.name);
        quartiles(label, &self.figures(|[empty, second]| second - empty))
    }

    fn rows(&self) -> [Row; 3] {
        let Self { name, .. } = self;
        [
            quartiles(format!("{name}: an empty program"), &self.figures(|[empty, _]| *empty)),
            quartiles(
                format!("{name}: the second program"),
                &self.figures(|[_, second]| *second),
            ),
            self.difference(),
        ]
    }

    fn target(&self) -> Target {
        let difference = self.difference().median;
        Target {
            figure: format!("{difference:.1} ns above an empty program"),
            met: Some(difference <= MOST),
            ..asked(
                &format!("second program of `{}`", self.name),
                "≤ 5 ns above an empty program",
            )
        }
    }
}
