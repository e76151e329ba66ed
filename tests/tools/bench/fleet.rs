//! `bench fleet`: what many nodes cost where their metrics are kept. Replays what one exporter showed as that of many nodes, each with
//! labels of its own, to real readers, and writes what they took into `docs/fleet.md`.

mod nodes;
mod page;
mod readers;
mod record;

use std::fs::{create_dir_all, read_to_string, write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::report::{model::Machine, plot};
use nodes::Nodes;
use readers::{Kind, Reader};
use record::{Recording, VIEWS};

/// Of `fleet`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The exporter whose metrics are replayed; without one, what was recorded last
    #[arg(long, value_name = "FILE")]
    exporter: Option<PathBuf>,
    /// Measure nothing: write the page again from what the last run found
    #[arg(long, conflicts_with = "exporter")]
    report: bool,
    /// How many nodes there are, in steps
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_values_t = [25, 50, 100])]
    nodes: Vec<usize>,
    /// How long each step is held
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    seconds: u64,
    /// Folder of the documentation
    #[arg(long, value_name = "FOLDER", default_value = "docs")]
    docs: PathBuf,
}

/// What a node sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Name of the view and format.
    view: String,
    /// Bytes of an answer as it is.
    plain: usize,
    /// And compressed by gzip, as readers ask for it.
    gzip: usize,
}

/// What a reader took at one number of nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taken {
    reader: String,
    view: String,
    nodes: usize,
    /// Of a scrape, as the reader counts them.
    samples: f64,
    /// That the reader held as active, its own included.
    series: f64,
    /// Resident, in bytes.
    memory: f64,
    /// Processors that were busy, on the mean of the step.
    processors: f64,
}

/// Everything that one run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Where the replayed metrics are from.
    origin: String,
    sent: Vec<Sent>,
    taken: Vec<Taken>,
    machine: Machine,
}

/// Readers, and the views that each takes: VictoriaMetrics stores no native histograms as Prometheus does.
const RUNS: [(Kind, usize); 5] = [
    (Kind::Prometheus, 0),
    (Kind::Prometheus, 1),
    (Kind::Prometheus, 3),
    (Kind::VictoriaMetrics, 0),
    (Kind::VictoriaMetrics, 2),
];

/// Records, replays and writes.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments.nodes.len() > 1 && arguments.nodes.is_sorted_by(|one, next| one < next),
        "--nodes: give two numbers at least, each larger than the one before"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench/fleet");
    let file = folder.join("found.json");
    if arguments.report {
        let text = read_to_string(&file).with_context(|| format!("read {}: measure first", file.display()))?;
        return write_to(&arguments.docs, &serde_json::from_str(&text)?);
    }
    if let Some(exporter) = &arguments.exporter {
        record::record(exporter, &folder)?;
    }
    let origin = folder.join("origin");
    let mut found = Found {
        origin: read_to_string(&origin)
            .with_context(|| format!("read {}: record first, with --exporter", origin.display()))?,
        machine: machine::describe()?,
        ..Found::default()
    };
    let recordings: Vec<Recording> = VIEWS
        .iter()
        .map(|view| Recording::read(view, &folder))
        .collect::<Result<_>>()?;
    found.sent = recordings.iter().map(Recording::sent).collect();
    for (kind, view) in RUNS {
        println!("{}, {} …", kind.name(), VIEWS[view].name);
        let taken = replay(kind, &recordings[view], arguments)?;
        found.taken.extend(taken);
    }
    save(&file, &(serde_json::to_string_pretty(&found)? + "\n"))?;
    write_to(&arguments.docs, &found)
}

/// Writes the section of `fleet.md` and its picture.
fn write_to(docs: &Path, found: &Found) -> Result<()> {
    let images = docs.join("images");
    create_dir_all(&images)?;
    if let Some(picture) = plot::draw(&page::picture(found))? {
        save(&images.join("bench-fleet.svg"), &picture)?;
    }
    let path = docs.join("fleet.md");
    let text = read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    save(&path, &page::replaced(&text, &page::section(found)?)?)
}

/// One reader with one view, at each number of nodes.
fn replay(kind: Kind, recording: &Recording, arguments: &Arguments) -> Result<Vec<Taken>> {
    let nodes = Nodes::serve(recording)?;
    let mut reader = Reader::start(kind, recording.view)?;
    let mut taken = Vec::new();
    for &count in &arguments.nodes {
        reader.scrape(&nodes, count)?;
        let before = reader.process().time()?;
        sleep(Duration::from_secs(arguments.seconds));
        let busy = reader.process().time()?.saturating_sub(before);
        taken.push(Taken {
            reader: kind.name().to_owned(),
            view: recording.view.name.to_owned(),
            nodes: count,
            samples: reader.samples()?,
            series: reader.series()?,
            memory: reader.process().memory()?.0 as f64,
            processors: busy.as_secs_f64() / arguments.seconds as f64,
        });
    }
    Ok(taken)
}

fn save(path: &Path, text: &str) -> Result<()> {
    write(path, text).with_context(|| format!("write {}", path.display()))
}
