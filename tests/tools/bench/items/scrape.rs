//! A scrape: how long it takes, and what it takes of a processor.

mod load;

use std::thread;

use anyhow::{Result, bail};

use crate::context::Context;
use crate::figures::{latency, milliseconds, quantile, quartiles};
use crate::pairs::pin;
use crate::report::model::{Axis, Item, Line, Plot, Row, Target};
use crate::scraper::{FORMS, Form, Scraper};
use crate::subject::{by_network, crowd_of_series, process, sample_lines, start, value};
use crate::usage::Process;

/// Series to make, and the bound of the 99th percentile in milliseconds; the first has only what there always is.
const SIZES: [(usize, &str, Option<f64>); 3] = [
    (0, "the least series", None),
    (1_000, "1 000 series", Some(3.0)),
    (10_000, "10 000 series", Some(10.0)),
];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Item> {
    // Threads are pinned for good, and other items want theirs free.
    thread::scope(|scope| {
        let work = scope.spawn(|| measure(context));
        work.join().unwrap_or_else(|_| bail!("the scraper panicked"))
    })
}

fn measure(context: &Context) -> Result<Item> {
    let other = (context.processor + 1) % context.machine.cores;
    pin(other)?;
    let mut sizes = Vec::new();
    for (size, name, bound) in SIZES {
        sizes.push(of_size(context, (size, name, bound), other)?);
    }
    Ok(item(context, &sizes))
}

/// What one number of series came to.
struct Size {
    /// The number that was aimed at.
    name: &'static str,
    bound: Option<f64>,
    series: f64,
    describe: String,
    idle: Vec<Measured>,
    loaded: Vec<Measured>,
}

/// Of one form, in milliseconds.
struct Measured {
    form: Form,
    took: Vec<f64>,
    processor: Vec<f64>,
    /// The exporter's own account of the collection alone; of plain text only.
    collections: Vec<f64>,
}

fn of_size(
    context: &Context,
    (size, name, bound): (usize, &'static str, Option<f64>),
    processor: usize,
) -> Result<Size> {
    let exporter = start(context, &by_network()?)?;
    let of = process(&exporter);
    let crowd = crowd_of_series(size)?;
    of.pin(processor)?;
    let scraper = Scraper::new(&exporter);
    scraper.scrape(FORMS[0])?;
    let text = scraper.scrape(FORMS[0])?.body;
    let series = sample_lines(&text);
    let mut sizes = Vec::new();
    for form in FORMS {
        sizes.push(format!("{} {} kB", form.name, scraper.scrape(form)?.body.len() / 1000));
    }
    let rounds = context.rounds(200);
    let idle = scrapes(&scraper, of, rounds)?;
    let loaded = load::during(crowd.namespace(), context.processor, || scrapes(&scraper, of, rounds))?;
    Ok(Size {
        name,
        bound,
        series: series as f64,
        describe: format!(
            "{name} were {series}; bodies: {}. Of a scrape {:.2} ms were the \
             collection, the median of all idle scrapes as text, by the exporter's own clock.",
            sizes.join(", "),
            quantile(
                &idle
                    .iter()
                    .flat_map(|measured| measured.collections.clone())
                    .collect::<Vec<_>>(),
                0.5
            )
        ),
        idle,
        loaded,
    })
}

/// The forms in turn.
fn scrapes(scraper: &Scraper, process: Process, rounds: usize) -> Result<Vec<Measured>> {
    let new = |form| Measured {
        form,
        took: Vec::new(),
        processor: Vec::new(),
        collections: Vec::new(),
    };
    let mut all: Vec<Measured> = FORMS.into_iter().map(new).collect();
    for _ in 0..rounds {
        for measured in &mut all {
            let before = process.time()?;
            let scraped = scraper.scrape(measured.form)?;
            measured.processor.push(milliseconds(process.time()? - before));
            measured.took.push(milliseconds(scraped.took));
            if measured.form.name == FORMS[0].name {
                let collection = value(&scraped.body, "tcpvitals_collect_duration_seconds")?;
                measured.collections.push(collection * 1e3);
            }
        }
    }
    Ok(all)
}

fn item(context: &Context, sizes: &[Size]) -> Item {
    let (mut rows, mut notes, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for size in sizes {
        for (load, all) in [("idle", &size.idle), ("loaded", &size.loaded)] {
            rows.extend(all.iter().flat_map(|measured| measured.rows(size.name, load)));
        }
        notes.push(size.describe.clone());
        targets.extend(size.bound.map(|bound| target(size, bound)));
    }
    notes.extend([
        "Series are counted as Prometheus counts them, by lines with a value in the text. Each scrape collects anew (`collect.max_age: 0`). \
         Exporter and scraper share one processor; under load the other sends bytes back and forth over a connection \
         and datagrams to a closed port, as fast as it can."
            .to_owned(),
        "Of latencies the lower figure is the least, the upper one the 99th percentile; of processor time they are \
         quartiles. Processor time is that of the exporter, all threads, user and system."
            .to_owned(),
    ]);
    Item {
        id: "scrape".to_owned(),
        title: "Scrape".to_owned(),
        unit: "ms".to_owned(),
        rows,
        targets,
        notes,
        plot: Some(plot(sizes)),
        machine: context.machine.clone(),
        ..Item::default()
    }
}

impl Measured {
    fn rows(&self, series: &str, load: &str) -> [Row; 2] {
        let label = |what| format!("{series}, {}, {load}: {what}", self.form.name);
        [
            latency(label("latency"), &self.took),
            quartiles(label("processor time"), &self.processor),
        ]
    }

    fn p99(&self) -> f64 {
        quantile(&self.took, 0.99)
    }
}

/// Met only if every form is, uncompressed or not, idle and under load.
fn target(size: &Size, bound: f64) -> Target {
    let worst = |all: &[Measured]| {
        let worst = all.iter().max_by(|left, right| left.p99().total_cmp(&right.p99()));
        worst.map_or((0.0, ""), |measured| (measured.p99(), measured.form.name))
    };
    let ((idle, idle_form), (loaded, loaded_form)) = (worst(&size.idle), worst(&size.loaded));
    let plain = |all: &[Measured]| all.first().map_or(0.0, Measured::p99);
    Target {
        what: format!("scrape of {}", size.name),
        text: format!("p99 ≤ {bound} ms"),
        figure: format!(
            "text idle {:.2} ms, loaded {:.2} ms; worst form idle {idle:.2} ms ({idle_form}), loaded {loaded:.2} ms \
             ({loaded_form})",
            plain(&size.idle),
            plain(&size.loaded)
        ),
        peer: "Go client 40 to 50 ms per 10 000, an assumption of the target; not run here".to_owned(),
        met: Some(idle <= bound && loaded <= bound),
        ..Target::default()
    }
}

fn plot(sizes: &[Size]) -> Plot {
    let line = |number: usize, form: &Form| Line {
        label: form.name.to_owned(),
        points: sizes
            .iter()
            .filter_map(|size| Some((size.series, quantile(&size.idle.get(number)?.took, 0.5))))
            .collect(),
    };
    Plot::Lines {
        x: Axis {
            title: "series".to_owned(),
            logarithmic: true,
        },
        y: Axis {
            title: "median, idle, ms".to_owned(),
            logarithmic: true,
        },
        lines: FORMS
            .iter()
            .enumerate()
            .map(|(number, form)| line(number, form))
            .collect(),
    }
}
