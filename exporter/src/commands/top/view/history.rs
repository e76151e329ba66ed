//! The last two minutes of what is on the screen: of every number of a subnet or workload, and of two numbers of the busiest flows.

use crate::commands::top::{
    columns::groups::{GroupRow, USUAL},
    rows::FlowRow,
    table::{By, Table},
    view::tables::Tables,
};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// How long samples are kept.
const LENGTH: Duration = Duration::from_mins(2);
/// Samples that are nearer to each other are not kept.
const NEAREST: Duration = Duration::from_secs(1);
/// Samples of a flow that are kept.
pub const SAMPLES: usize = 120;
/// Rows whose samples are kept: those at the top of their table.
const REMEMBERED: usize = 1000;

/// Samples of one flow, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Payload in both directions, in bytes per second.
    pub rate: VecDeque<u64>,
    /// Smoothed round-trip time, in microseconds.
    pub rtt: VecDeque<u64>,
}

/// The numbers of a row at one time, since 1970, by column; NaN for what is not known.
type Sample = (Duration, Box<[f64]>);
/// Samples by the names of rows, the oldest first.
type Samples = HashMap<String, VecDeque<Sample>>;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Histories {
    flows: HashMap<u64, History>,
    subnets: Samples,
    workloads: Samples,
    /// When the last sample of subnets was taken, since 1970.
    last: Option<Duration>,
}

impl Histories {
    pub(super) fn of_flow(&self, cookie: u64) -> History {
        self.flows.get(&cookie).cloned().unwrap_or_default()
    }

    /// Takes samples of the flows at the top of their table.
    pub(super) fn remember_flows(&mut self, table: &Table<FlowRow>) {
        let mut before = std::mem::take(&mut self.flows);
        for row in table.shown().take(REMEMBERED) {
            let cookie = row.flow.record.cookie;
            let mut history = before.remove(&cookie).unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is positive, and a pixel is coarse"
            )]
            push(&mut history.rate, row.throughput().unwrap_or(0.0) as u64);
            push(&mut history.rtt, row.rtt().into());
            self.flows.insert(cookie, history);
        }
    }

    /// Takes samples of the subnets and workloads of a reading at a time since 1970.
    pub(super) fn remember(&mut self, tables: &Tables, at: Duration) {
        // A clock that was set back begins anew.
        if self
            .last
            .is_some_and(|last| at.checked_sub(last).is_some_and(|span| span < NEAREST))
        {
            return;
        }
        self.last = Some(at);
        for (samples, table) in [
            (&mut self.subnets, &tables.subnets),
            (&mut self.workloads, &tables.workloads),
        ] {
            let mut before = std::mem::take(samples);
            for row in table.all().iter().take(REMEMBERED) {
                let mut own = before.remove(&row.traffic.name).unwrap_or_default();
                own.push_back((at, numbers(table, row)));
                own.retain(|(then, _)| at.checked_sub(*then).is_some_and(|age| age <= LENGTH));
                samples.insert(row.traffic.name.clone(), own);
            }
        }
    }

    /// Gives the rows their samples of the number that they are ordered by.
    pub(super) fn show(&self, tables: &mut Tables, now: Duration) {
        for (samples, table) in [
            (&self.subnets, &mut tables.subnets),
            (&self.workloads, &mut tables.workloads),
        ] {
            let usual = || table.columns.iter().position(|column| column.key == USUAL);
            let column = if table.column().is_number() {
                table.sorted
            } else {
                usual().unwrap_or(table.sorted)
            };
            for row in table.all_mut() {
                let own = samples.get(&row.traffic.name).into_iter().flatten();
                let shown = own.filter_map(|(at, numbers)| {
                    let age = now.saturating_sub(*at).as_secs_f64() / LENGTH.as_secs_f64();
                    let number = numbers.get(column).copied().filter(|number| !number.is_nan())?;
                    Some((age, number))
                });
                row.samples = shown.collect();
            }
        }
    }
}

fn numbers(table: &Table<GroupRow>, row: &GroupRow) -> Box<[f64]> {
    let columns = table.columns.iter();
    let numbers = columns.map(|column| match column.by {
        By::Number(value) => value(row).unwrap_or(f64::NAN),
        By::Weight(_) | By::Text | By::Key(_) => f64::NAN,
    });
    numbers.collect()
}

fn push(samples: &mut VecDeque<u64>, sample: u64) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}
