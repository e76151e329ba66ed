//! What the second program of a tracepoint costs: its own time for an event that the first one sees, beside an empty program's.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::kernel::tracing::{Attached, Traced, count_runs};
use tests::net::namespace::Namespace;

use super::drop::{Flood, Site};
use super::retransmit::{Transfer, lossy};
use crate::compare::{OURS_FULL, asked};
use crate::contestants::{FULL, ours};
use crate::context::Context;
use crate::figures::quartiles;
use crate::pairs::{WARM, WINDOW, nanoseconds, pin, while_lasts};
use crate::report::model::{Item, Row, Target};
use crate::work::{Churn, End, Ends};

/// By how much a second program may be slower than an empty one, in nanoseconds.
const MOST: f64 = 5.0;
/// Fewest events of a window by which it counts.
const FEWEST: u64 = 100;

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
    let programs = ours(context, OURS_FULL, FULL)?.programs;
    let mut hooks = hooks(&programs)?;
    let attached = attach(&programs, &hooks)?;
    let counting = count_runs()?;
    let here = Ipv4Addr::LOCALHOST.into();
    Namespace::new()?.run(|| {
        pin(context.processor)?;
        let mut ends = Ends::open(here)?;
        watch(&mut hooks, "tcp_probe", context.rounds(60), || ends.round_trip())
    })?;
    let namespace = Namespace::new()?;
    namespace.set("net.ipv4.tcp_max_tw_buckets=0")?;
    namespace.run(|| {
        pin(context.processor)?;
        let churn = Churn::new(here, End::Rst)?;
        watch(&mut hooks, "inet_sock_set_s", context.rounds(60), || churn.connection())?;
        let flood = Flood::new()?;
        watch(&mut hooks, "kfree_skb", context.rounds(60), || {
            flood.send(Site::ClosedPort, 0)
        })
    })?;
    lossy()?.run(|| {
        pin(context.processor)?;
        let mut transfer = Transfer::open()?;
        watch(&mut hooks, "tcp_retransmit_", context.rounds(60), || {
            transfer.until_retransmit().map(|_| ())
        })
    })?;
    drop((counting, attached));
    let measured = || hooks.iter().filter(|hook| !hook.figures.is_empty());
    Ok(Item {
        id: "second".to_owned(),
        title: "The second program of a tracepoint".to_owned(),
        unit: "ns per event".to_owned(),
        rows: measured().flat_map(Hook::rows).collect(),
        targets: measured().map(Hook::target).collect(),
        notes: vec![
            "The kernel skips a program on a processor where it is at work; a second program on the same tracepoint does the work \
             then. This is what it takes where the first one is not skipped, by the kernel's own account of the time of programs \
             (`bpf_prog_info.run_time_ns`), which has its two looks at the clock in it. An empty program on the same tracepoint is \
             attached beside it."
                .to_owned(),
        ],
        machine: context.machine.clone(),
        ..Item::default()
    })
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
fn watch(hooks: &mut [Hook], name: &str, rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    println!("  {name}: {rounds} rounds");
    let hook = hooks.iter_mut().find(|hook| hook.name == name);
    let hook = hook.with_context(|| format!("{name} has no second program"))?;
    let mut operate = || work().map(|()| 1.0);
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
