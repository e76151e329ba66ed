//! What the dashboards show of a real run: makes traffic for some minutes, has a real Prometheus scrape the exporter, asks it
//! every query of every panel, and writes panels and answers to a file, of which `tests/tools/dashboard-pictures/draw.mjs` makes pictures.

mod stage;

use std::fs::write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::{Value, json};
use stage::Stage;
use tests::exporter::start;
use tests::readers::dashboards::{Dashboard, Query, dashboards, expand};
use tests::readers::prometheus::{Job, Prometheus};

/// Seconds between two points, and over which rates are taken.
const STEP: u32 = 5;
const WINDOW: &str = "20s";

/// Runs the exporter under traffic and writes what the dashboards show.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long the traffic goes on
    #[arg(long, default_value_t = 480)]
    seconds: u32,
    /// Where to write
    output: PathBuf,
}

fn main() -> Result<()> {
    let Arguments { seconds, output } = Arguments::parse();
    let stage = Stage::new()?;
    let exporter = start(stage.config())?;
    let job = Job::new("tcpvitals", exporter.address())
        .with("relabel_configs: [{target_label: instance, replacement: host-1}]");
    let prometheus = Prometheus::start(&[job], &["native-histograms"])?;
    // While the traffic goes on, so that "now" has some.
    let shown = stage.play(seconds, || {
        let shown = dashboards()?.into_iter();
        let shown = shown.map(|dashboard| answers(&prometheus, &dashboard, seconds, &stage.chosen()));
        shown.collect::<Result<Vec<Value>>>()
    })?;
    save(&output, &Value::Array(shown))
}

fn save(path: &Path, value: &Value) -> Result<()> {
    write(path, value.to_string()).with_context(|| format!("write {}", path.display()))
}

/// A dashboard with the answers to its queries, by panel.
fn answers(prometheus: &Prometheus, dashboard: &Dashboard, seconds: u32, subnets: &str) -> Result<Value> {
    let mut variables = dashboard.everything(WINDOW, &format!("{seconds}s"));
    variables.insert("subnet".to_owned(), subnets.to_owned());
    let answer = |query: Query| {
        let expression = expand(&query.expression, &variables)?;
        let lines = if query.instant {
            prometheus
                .query(&expression)?
                .into_iter()
                .map(|(labels, value)| (labels, vec![(0.0, value)]))
                .collect()
        } else {
            prometheus.query_range(&expression, seconds, STEP)?
        };
        Ok(json!({"panel": query.panel, "refId": query.letter, "series": lines}))
    };
    let answers: Vec<Value> = dashboard.queries()?.into_iter().map(answer).collect::<Result<_>>()?;
    Ok(json!({"file": dashboard.file, "dashboard": dashboard.json, "answers": answers}))
}
