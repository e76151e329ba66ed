//! Whether the cost of a segment depends on the number of live flows: one busy flow among them, and all of them in
//! turn, so that none is in a cache.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::compare::{Findings, OURS_FULL};
use crate::contestants::{FULL, ours};
use crate::context::Context;
use crate::crowd::{Crowd, State};
use crate::pairs::{Contestant, FLOOR, pin, processor_time, runs, take_turns};
use crate::report::model::{Axis, Item, Line, Plot, Target};

/// Live flows.
const SIZES: [usize; 5] = [10, 1_000, 10_000, 100_000, 200_000];

/// That of the target, and the bound there in nanoseconds: 1.5 times the 50 of a few flows.
const MANY: (usize, f64) = (100_000, 75.0);

/// Round trips between two looks at the clock.
const BATCH: u32 = 16;

/// Longer than an acknowledgment is delayed.
const QUIET: Duration = Duration::from_millis(300);

/// How a thread of the crowd uses its connections.
#[derive(Clone, Copy)]
struct Pattern {
    name: &'static str,
    /// Whether threads take turns too.
    all: bool,
    round_trip: fn(&mut State) -> Result<()>,
}

const PATTERNS: [Pattern; 2] = [
    Pattern {
        name: "one of them busy",
        all: false,
        round_trip: State::over_the_first,
    },
    Pattern {
        name: "all in turn",
        all: true,
        round_trip: State::over_the_next,
    },
];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let mut found = Findings::new(context, "flows", "Segments among many flows", "ns per segment");
    let full = ours(context, OURS_FULL, FULL)?;
    let contestants = [Contestant::null(), Contestant::floor(&full, FLOOR)?, full];
    let mut crowd = Crowd::new(10)?;
    for flows in SIZES {
        crowd.grow(flows)?;
        // Those that were opened meanwhile get their state.
        runs(&contestants[2], || crowd.round().map(|()| 1.0))?;
        for pattern in PATTERNS {
            measure(context, &mut found, &crowd, &contestants, pattern)?;
        }
    }
    found.note(
        "A flow is a socket: a connection over the loopback device is two. They are spread over threads, each with a \
         table of descriptors of its own, because a process may have too few; in a window one of them works, and all \
         on one processor.",
    );
    let lines = PATTERNS.map(|pattern| line(&found, pattern));
    let mut item = found.done();
    item.targets = vec![target(&lines)];
    item.plot = Some(Plot::Lines {
        x: axis("live flows", true),
        y: axis("ns per segment above the floor", false),
        lines: lines.into(),
    });
    Ok(item)
}

fn label(flows: usize, pattern: Pattern) -> String {
    format!("{flows} flows, {}", pattern.name)
}

fn measure(
    context: &Context,
    found: &mut Findings,
    crowd: &Crowd,
    contestants: &[Contestant],
    pattern: Pattern,
) -> Result<()> {
    let trips = Arc::new(AtomicU64::new(0));
    let turn = Cell::new(0);
    let processor = context.processor;
    let window = || {
        let trips = Arc::clone(&trips);
        turn.set(if pattern.all { turn.get() + 1 } else { 0 });
        crowd.in_turn(turn.get(), move |state| {
            pin(processor)?;
            let operate = || {
                (0..BATCH).try_for_each(|_| (pattern.round_trip)(state))?;
                trips.fetch_add(u64::from(BATCH), Ordering::Relaxed);
                Ok(f64::from(BATCH))
            };
            processor_time(operate)()
        })
    };
    let before = crowd.account()?.segments_in;
    let outcomes = take_turns(contestants, context.rounds(60), window)?;
    // An acknowledgment that found nothing to travel with is a segment too.
    sleep(QUIET);
    let segments = crowd.account()?.segments_in - before;
    let segments = segments as f64 / trips.load(Ordering::Relaxed) as f64;
    let label = label(crowd.flows(), pattern);
    found.note(format!("{label}: {segments:.2} segments a round trip."));
    for outcomes in outcomes {
        found.add(&label, &outcomes, 1.0 / segments);
    }
    Ok(())
}

/// Above the floor, by flows.
fn line(found: &Findings, pattern: Pattern) -> Line {
    let point = |flows: usize| {
        let row = found.row(&format!("{}: {OURS_FULL}", label(flows, pattern)))?;
        Some((flows as f64, row.above_floor?))
    };
    Line {
        label: pattern.name.to_owned(),
        points: SIZES.into_iter().filter_map(point).collect(),
    }
}

fn target(lines: &[Line; 2]) -> Target {
    let at = |line: &Line, flows: usize| {
        let point = line.points.iter().find(|point| point.0 == flows as f64);
        point.map(|point| point.1)
    };
    let asked = Target {
        what: format!("segment path, `full`, at {} flows", MANY.0),
        text: format!("≤ 1.5 x 50 ns = {} ns above as many empty programs", MANY.1),
        ..Target::default()
    };
    let [busy, in_turn] = lines;
    let (Some(few), Some(many)) = (at(busy, SIZES[0]), at(in_turn, MANY.0)) else {
        return Target {
            why: "not measured: its figures are void".to_owned(),
            ..asked
        };
    };
    let alone = at(busy, MANY.0).map_or(String::new(), |alone| format!(", {alone:.1} ns one of them busy"));
    Target {
        figure: format!("{many:.1} ns all in turn{alone}; {few:.1} ns with {} flows", SIZES[0]),
        met: Some(many <= MANY.1),
        why: if many > MANY.1 {
            "a flow that nothing touched for so long is in no cache: its socket's pointer, the kernel's storage and our state are \
             three misses"
                .to_owned()
        } else {
            String::new()
        },
        ..asked
    }
}

fn axis(title: &str, logarithmic: bool) -> Axis {
    Axis {
        title: title.to_owned(),
        logarithmic,
    }
}
