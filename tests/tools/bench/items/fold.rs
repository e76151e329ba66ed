//! The fold of live flows: what it takes, beside `ss -tin`, and that it is exact.

mod exact;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::machine::wait::timed;
use tests::net::namespace::Namespace;

use crate::context::Context;
use crate::crowd::Crowd;
use crate::figures::{microseconds, quantile, quartiles};
use crate::report::model::{Axis, Item, Line, Plot, Row, Target};
use crate::scraper::{FORMS, Scraper};
use crate::subject::{process, start, value};
use crate::usage::Process;

/// Live flows.
const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 200_000];

/// Subnets that they are in.
const SUBNETS: usize = 10;

/// How old a snapshot may be that is given again: longer than one scrape after another.
const MAX_AGE: Duration = Duration::from_millis(100);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    let config = format!(
        "subnets: [{{name: {}, cidrs: [{}]}}]\ncollect: {{max_age: {}ms}}\n",
        exact::SUBNET,
        Crowd::network(),
        MAX_AGE.as_millis()
    );
    let exporter = start(context, &config)?;
    let mut bench = Bench {
        process: process(&exporter),
        scraper: Scraper::new(&exporter),
        crowd: Crowd::new(SUBNETS)?,
        rounds: context.rounds(10),
    };
    let nothing = bench.measure()?;
    let mut sizes = Vec::new();
    for flows in SIZES {
        bench.crowd.grow(flows)?;
        sizes.push((flows, bench.measure()?));
    }
    let exact = exact::require(&exporter, &bench.crowd)?;
    drop(bench);
    exact::require_end(&exporter, SIZES[SIZES.len() - 1])?;
    Ok(item(context, &nothing, &sizes, exact))
}

/// Microseconds of everything, in one state of the crowd.
#[derive(Default)]
struct Measured {
    /// By the exporter's own clock, nothing new in any flow.
    idle: Vec<f64>,
    /// The same, a byte each way over each connection since the last.
    busy: Vec<f64>,
    /// A scrape that collects, less the same scrape of the snapshot that is there, nothing new in any flow.
    wall: Vec<f64>,
    /// Processor time of the same.
    processor: Vec<f64>,
    /// `ss -tin`, from its start to its end.
    ss: Vec<f64>,
}

/// Microseconds of one collection.
struct Collection {
    own: f64,
    wall: f64,
    processor: f64,
}

struct Bench {
    process: Process,
    scraper: Scraper,
    crowd: Crowd,
    rounds: usize,
}

impl Bench {
    /// All contestants in turn, in each round.
    fn measure(&mut self) -> Result<Measured> {
        let mut measured = Measured::default();
        for _ in 0..self.rounds {
            self.crowd.round()?;
            measured.busy.push(self.collect()?.own);
            let Collection { own, wall, processor } = self.collect()?;
            measured.idle.push(own);
            measured.wall.push(wall);
            measured.processor.push(processor);
            measured.ss.push(ss(self.crowd.namespace())?);
        }
        Ok(measured)
    }

    /// Twice the same scrape, the first of which collects.
    fn collect(&self) -> Result<Collection> {
        sleep(MAX_AGE + MAX_AGE / 2);
        let start = self.process.time()?;
        let first = self.scraper.scrape(FORMS[0])?;
        let between = self.process.time()?;
        let again = self.scraper.scrape(FORMS[0])?;
        let end = self.process.time()?;
        let collections = |body: &[u8]| value(body, "tcpvitals_collections_total");
        ensure!(
            collections(&first.body)? == collections(&again.body)?,
            "the second scrape collected again"
        );
        Ok(Collection {
            own: 1e6 * value(&first.body, "tcpvitals_collect_duration_seconds")?,
            wall: microseconds(first.took) - microseconds(again.took),
            processor: microseconds(between - start) - microseconds(end - between),
        })
    }
}

/// Established connections with all that `TCP_INFO` says of them, where they are.
fn ss(namespace: &Namespace) -> Result<f64> {
    let (took, status) = namespace.run(|| {
        let mut command = Command::new("ss");
        command.arg("-tin").stdin(Stdio::null()).stdout(Stdio::null());
        let (took, status) = timed(|| command.status());
        Ok((took, status.context("start `ss`: is iproute2 installed?")?))
    })?;
    ensure!(status.success(), "`ss -tin` ended with {status}");
    Ok(microseconds(took))
}

fn item(context: &Context, nothing: &Measured, sizes: &[(usize, Measured)], exact: String) -> Item {
    let mut rows = Vec::new();
    let mut lines: Vec<Line> = CONTESTANTS.iter().map(|(label, _)| line(label)).collect();
    for (flows, measured) in sizes {
        for ((label, of), line) in CONTESTANTS.iter().zip(&mut lines) {
            let row = per_flow(format!("{flows} flows: {label}"), of(measured), of(nothing), *flows);
            line.points.push((*flows as f64, row.median));
            rows.push(row);
        }
    }
    let last = |number: usize| {
        let points = lines.get(number).map_or(&[][..], |line| &line.points);
        points.last().map_or(0.0, |point| point.1)
    };
    let (idle, busy, ss) = (last(0), last(1), last(4));
    let whole: Vec<String> = sizes
        .iter()
        .map(|(flows, measured)| format!("{flows} in {:.1} ms", quantile(&measured.busy, 0.5) / 1e3))
        .collect();
    Item {
        id: "fold".to_owned(),
        title: "Fold of live flows".to_owned(),
        unit: "µs per flow".to_owned(),
        rows,
        targets: vec![Target {
            what: "fold of live flows".to_owned(),
            text: "≤ 0.6 µs per flow, ≥ 12x faster than `ss -tin` in the same run, exact at 200k flows".to_owned(),
            figure: format!("{idle:.2} µs idle, {busy:.2} µs busy at 200 000; exact"),
            peer: format!("`ss -tin` {ss:.2} µs"),
            ratio: format!("{:.1}x", ss / busy),
            met: Some(busy <= 0.6 && ss / busy >= 12.0),
            why: if ss / busy < 12.0 {
                "`ss` is faster here than the 7 to 9 µs that the target assumes".to_owned()
            } else {
                String::new()
            },
            ..Target::default()
        }],
        notes: vec![
            "A flow is a socket: a connection over the loopback device is two. Without flows each contestant takes \
             some time too; that is taken off before the rest is divided by the flows."
                .to_owned(),
            "The exporter's own clock is `tcpvitals_collect_duration_seconds`: the fold, the reading of all maps, \
             and the naming of drops. From outside it is a scrape that collects less the same scrape of the snapshot \
             that is already there."
                .to_owned(),
            "Busy: each flow has sent and received one byte since the last collection. `ss -tin` runs in the \
             namespace of the flows, its output going to /dev/null."
                .to_owned(),
            format!(
                "Whole collections, busy, by the exporter's own clock: {}.",
                whole.join(", ")
            ),
            exact,
        ],
        plot: Some(Plot::Lines {
            x: axis("live flows", true),
            y: axis("µs per flow", true),
            lines,
        }),
        machine: context.machine.clone(),
        ..Item::default()
    }
}

type Of = fn(&Measured) -> &[f64];

const CONTESTANTS: [(&str, Of); 5] = [
    ("idle, the exporter's own clock", |measured| &measured.idle),
    ("busy, the exporter's own clock", |measured| &measured.busy),
    ("idle, from outside", |measured| &measured.wall),
    ("idle, processor time, from outside", |measured| &measured.processor),
    ("ss -tin", |measured| &measured.ss),
];

fn per_flow(label: String, with: &[f64], without: &[f64], flows: usize) -> Row {
    let nothing = quantile(without, 0.5);
    let each: Vec<f64> = with.iter().map(|time| (time - nothing) / flows as f64).collect();
    quartiles(label, &each)
}

fn line(label: &str) -> Line {
    Line {
        label: label.to_owned(),
        points: Vec::new(),
    }
}

fn axis(title: &str, logarithmic: bool) -> Axis {
    Axis {
        title: title.to_owned(),
        logarithmic,
    }
}
