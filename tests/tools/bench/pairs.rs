//! The method: contestants take turns in windows of some milliseconds, each between two windows of nothing, in an order drawn
//! anew for every round. What a machine does by itself (frequency, other tenants, caches) is then the same on both sides of
//! a ratio, and drops out of its median. Nothing takes part as a contestant too: what it differs from itself by is what
//! the method cannot tell from nothing.

use std::time::Duration;

use ::tests::kernel::tracing::{Attached, Traced, count_runs};
use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use rand::seq::SliceRandom as _;

use crate::report::model::Row;

/// How long a contestant is measured at a time.
pub(crate) const WINDOW: Duration = Duration::from_millis(30);
/// Work before a window that does not count: caches and branch predictors meet the contestant.
pub(crate) const WARM: Duration = Duration::from_millis(2);
/// By how much nothing may differ from nothing.
pub(crate) const GATE: f64 = 0.01;

/// Somebody who takes part: programs that are attached for a window.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// Name in the tables.
    pub(crate) label: String,
    /// In the order in which they are attached.
    pub(crate) programs: Vec<Traced>,
    /// Whether the floor has just its hooks.
    pub(crate) is_on_floor: bool,
}

impl Contestant {
    /// Nobody, as somebody: for the gate.
    pub(crate) fn null() -> Self {
        Self {
            label: NULL.to_owned(),
            programs: Vec::new(),
            is_on_floor: false,
        }
    }

    /// Empty programs on the hooks of another.
    pub(crate) fn floor(of: &Self, label: &str) -> Result<Self> {
        let programs = of.programs.iter().map(Traced::empty).collect::<Result<_>>()?;
        Ok(Self {
            label: label.to_owned(),
            programs,
            is_on_floor: false,
        })
    }

    /// Of two programs on one hook the later, which does the work.
    pub(crate) fn one_per_hook(of: &Self, label: &str) -> Result<Self> {
        let hooks = of.programs.iter().map(Traced::hook).collect::<Result<Vec<_>>>()?;
        let is_last = |(at, hook): &(usize, &u32)| !hooks[at + 1..].contains(hook);
        let programs = hooks.iter().enumerate().filter(is_last);
        Ok(Self {
            label: label.to_owned(),
            programs: programs
                .map(|(at, _)| of.programs[at].try_clone())
                .collect::<Result<_>>()?,
            is_on_floor: false,
        })
    }

    fn attach(&self) -> Result<Vec<Attached>> {
        self.programs.iter().map(Traced::attach).collect()
    }
}

/// Names that mean something to the table.
pub(crate) const NOTHING: &str = "nothing";
pub(crate) const NULL: &str = "nothing, as a contestant";
pub(crate) const FLOOR: &str = "floor: empty programs on the same hooks";
pub(crate) const FLOOR_OF_ONE: &str = "an empty program on each hook";

/// What was measured of one contestant: a figure of each of its windows, and of each the ratio to its neighbours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Whose.
    pub(crate) label: String,
    /// Figures, as the window gave them.
    pub(crate) figures: Vec<f64>,
    /// Ratios to nothing; empty for nothing itself.
    pub(crate) ratios: Vec<f64>,
    /// Whether the floor has just its hooks.
    pub(crate) is_on_floor: bool,
}

/// Keeps the calling thread on one processor.
pub(crate) fn pin(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("run on processor {processor}"))
}

/// Lets the contestants take turns. A window gives one figure or several; the first list is of the first figures: nothing
/// first, then the contestants in their order.
pub(crate) fn take_turns(
    contestants: &[Contestant],
    rounds: usize,
    mut window: impl FnMut() -> Result<Vec<f64>>,
) -> Result<Vec<Vec<Outcome>>> {
    let mut outcomes: Vec<Vec<Outcome>> = Vec::new();
    let mut order: Vec<usize> = (0..contestants.len()).collect();
    let mut before = window()?;
    for _ in 0..rounds {
        order.shuffle(&mut rand::rng());
        for &who in &order {
            let attached = contestants[who].attach()?;
            let figures = window()?;
            drop(attached);
            let after = window()?;
            if outcomes.is_empty() {
                outcomes = vec![blank(contestants); figures.len()];
            }
            for (figure, of_all) in outcomes.iter_mut().enumerate() {
                let neighbours = f64::midpoint(before[figure], after[figure]);
                of_all[0].figures.push(after[figure]);
                of_all[who + 1].figures.push(figures[figure]);
                of_all[who + 1].ratios.push(figures[figure] / neighbours);
            }
            before = after;
        }
    }
    Ok(outcomes)
}

fn blank(contestants: &[Contestant]) -> Vec<Outcome> {
    let nothing = Outcome {
        label: NOTHING.to_owned(),
        ..Outcome::default()
    };
    let others = contestants.iter().map(|contestant| Outcome {
        label: contestant.label.clone(),
        is_on_floor: contestant.is_on_floor,
        ..Outcome::default()
    });
    [nothing].into_iter().chain(others).collect()
}

/// A window whose figure is the processor time of the calling thread, in nanoseconds, for each of the operations that `operate`
/// says it has done. What runs in interrupts over the thread, as loopback does, is part of it.
pub(crate) fn processor_time(mut operate: impl FnMut() -> Result<f64>) -> impl FnMut() -> Result<Vec<f64>> {
    move || {
        while_lasts(WARM, &mut operate)?;
        let start = now(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        let operations = while_lasts(WINDOW, &mut operate)?;
        let time = now(ClockId::CLOCK_THREAD_CPUTIME_ID)?.saturating_sub(start);
        ensure!(operations > 0.0, "nothing was done in a window");
        Ok(vec![nanoseconds(time) / operations])
    }
}

/// Works for a time, and gives how many operations that were.
pub(crate) fn while_lasts(time: Duration, operate: &mut impl FnMut() -> Result<f64>) -> Result<f64> {
    let end = now(ClockId::CLOCK_MONOTONIC)? + time;
    let mut operations = 0.0;
    while now(ClockId::CLOCK_MONOTONIC)? < end {
        operations += operate()?;
    }
    Ok(operations)
}

/// Time on a clock.
pub(crate) fn now(clock: ClockId) -> Result<Duration> {
    Ok(clock_gettime(clock)?.into())
}

/// As a figure.
pub(crate) fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// How often each program of a contestant runs for one operation, by the kernel's count. That is of the whole machine, so the
/// least of several windows is nearest to what the operation itself does.
pub(crate) fn runs(contestant: &Contestant, mut operate: impl FnMut() -> Result<f64>) -> Result<Vec<(String, f64)>> {
    const WINDOWS: usize = 7;
    let counting = count_runs()?;
    let attached = contestant.attach()?;
    let mut least = vec![f64::INFINITY; contestant.programs.len()];
    for _ in 0..WINDOWS {
        let before: Vec<u64> = contestant.programs.iter().map(Traced::runs).collect::<Result<_>>()?;
        let operations = while_lasts(WINDOW, &mut operate)?;
        for ((program, before), least) in contestant.programs.iter().zip(before).zip(&mut least) {
            *least = least.min((program.runs()? - before) as f64 / operations);
        }
    }
    drop((attached, counting));
    let names = contestant.programs.iter().map(Traced::name);
    Ok(names.zip(least).filter(|(_, runs)| *runs > 0.005).collect())
}

/// Rows of a table, by the median of nothing and the ratios to it, each times `scale`. `None`, and why, if nothing differs from
/// itself by more than the gate.
pub(crate) fn rows(outcomes: &[Outcome], scale: f64) -> std::result::Result<Vec<Row>, String> {
    let Some(nothing) = outcomes.first() else {
        return Err("nothing was measured".to_owned());
    };
    let null = outcomes.iter().find(|outcome| outcome.label == NULL);
    let null = null.map_or(f64::NAN, |null| quartiles(&null.ratios)[1]);
    if (null - 1.0).abs().is_nan() || (null - 1.0).abs() > GATE {
        return Err(format!("nothing against nothing is {null:.4}, outside 1 ± {GATE}"));
    }
    let [low, base, high] = quartiles(&nothing.figures).map(|figure| figure * scale);
    let floor = outcomes.iter().find(|outcome| outcome.label.starts_with(FLOOR));
    let floor = floor.map(|floor| quartiles(&floor.ratios)[1]);
    let mut rows = vec![Row {
        label: nothing.label.clone(),
        median: base,
        low,
        high,
        samples: nothing.figures.len(),
        ..Row::default()
    }];
    rows.extend(outcomes.iter().skip(1).map(|outcome| {
        let [low, ratio, high] = quartiles(&outcome.ratios);
        Row {
            label: outcome.label.clone(),
            median: ratio * base,
            low: low * base,
            high: high * base,
            samples: outcome.ratios.len(),
            ratio: Some(ratio),
            above_floor: floor
                .filter(|_| outcome.is_on_floor)
                .map(|floor| (ratio - floor) * base),
        }
    }));
    Ok(rows)
}

/// Lower quartile, median and upper quartile; not numbers where there are none.
pub(crate) fn quartiles(figures: &[f64]) -> [f64; 3] {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| sorted.get(sorted.len() * share / 4).copied().unwrap_or(f64::NAN);
    [at(1), at(2), at(3)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(label: &str, figures: &[f64], ratios: &[f64]) -> Outcome {
        Outcome {
            label: label.to_owned(),
            figures: figures.to_vec(),
            ratios: ratios.to_vec(),
            is_on_floor: label == "full",
        }
    }

    #[test]
    fn figures_come_of_ratios_and_the_floor_is_taken_off() {
        let all = [
            outcome(NOTHING, &[90.0, 100.0, 110.0], &[]),
            outcome(NULL, &[], &[0.99, 1.0, 1.02]),
            outcome(FLOOR, &[], &[1.0, 1.1, 1.2]),
            outcome("full", &[], &[1.3, 1.4, 1.5]),
        ];
        let rows = rows(&all, 2.0).unwrap();
        assert_eq!((rows[0].low, rows[0].median, rows[0].high), (180.0, 200.0, 220.0));
        assert_eq!(rows[1].above_floor, None);
        assert_eq!(rows[2].above_floor, None);
        assert_eq!(rows[3].median, 280.0);
        assert!((rows[3].above_floor.unwrap() - 60.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_that_differs_from_itself_makes_void() {
        let all = |ratio: f64| [outcome(NOTHING, &[100.0], &[]), outcome(NULL, &[], &[ratio])];
        assert!(rows(&all(1.009), 1.0).is_ok());
        assert!(rows(&all(0.991), 1.0).is_ok());
        assert!(rows(&all(1.011), 1.0).unwrap_err().contains("1.0110"));
        assert!(rows(&all(0.989), 1.0).is_err());
        assert!(rows(&all(f64::NAN), 1.0).is_err());
        assert!(rows(&[outcome(NOTHING, &[100.0], &[])], 1.0).is_err());
    }
}
