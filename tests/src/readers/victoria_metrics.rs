//! A real VictoriaMetrics that takes OTLP over HTTP, and what it holds afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::exporter::free_address;
use crate::exporter::program::{Program, brought, fetch};
use crate::readers::prometheus::{Api, Job};

/// A running VictoriaMetrics with an empty store.
#[derive(Debug)]
pub struct VictoriaMetrics {
    program: Program,
    address: SocketAddr,
    base: String,
}

/// A series and its values by the millisecond that they are for.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The name.
    pub name: String,
    /// All labels, those of the resource too.
    pub labels: BTreeMap<String, String>,
    /// The values.
    pub values: BTreeMap<i64, f64>,
}

impl VictoriaMetrics {
    /// Starts one and waits until it answers. It gives what comes over OTLP the names that Prometheus would.
    pub fn start() -> Result<Self> {
        let address = free_address()?;
        let arguments = [
            "-storageDataPath=data".to_owned(),
            format!("-httpListenAddr={address}"),
            "-opentelemetry.usePrometheusNaming".to_owned(),
            "-memory.allowedBytes=256MB".to_owned(),
            "-retentionPeriod=1d".to_owned(),
            // Else queries do not see the last half minute.
            "-search.latencyOffset=0s".to_owned(),
            "-search.disableCache".to_owned(),
        ];
        let mut program = Program::start(&brought("debian/victoria-metrics")?, &arguments, TempDir::new()?)?;
        let base = format!("http://{address}");
        program.until("be ready", || Ok(fetch(&format!("{base}/health"), &[]).ok()))?;
        Ok(Self { program, address, base })
    }

    /// Where it takes metrics over OTLP.
    pub fn endpoint(&self) -> String {
        format!("{}/opentelemetry/v1/metrics", self.base)
    }

    /// A job for a Prometheus that takes over all that it holds, with the labels that it has.
    pub fn federation(&self) -> Job {
        let job = Job::new("federation", self.address).with("metrics_path: /federate");
        job.with("honor_labels: true")
            .with("params: {\"match[]\": [\"{__name__!=\\\"\\\"}\"]}")
    }

    /// Where it answers as Prometheus does.
    pub fn api(&self) -> Api {
        Api::at(format!("{}/api/v1", self.base))
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.program.said()
    }

    /// Everything that it holds.
    pub fn stored(&self) -> Result<Vec<Stored>> {
        // What came last is not found before it is flushed.
        fetch(&format!("{}/internal/force_flush", self.base), &[])?;
        let lines = fetch(
            &format!("{}/api/v1/export", self.base),
            &[("match[]", "{__name__!=\"\"}")],
        )?;
        lines.lines().map(stored).collect()
    }
}

fn stored(line: &str) -> Result<Stored> {
    let read: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    let mut labels: BTreeMap<String, String> = serde_json::from_value(read["metric"].clone())?;
    let values: Vec<Option<f64>> = serde_json::from_value(read["values"].clone())?;
    let times: Vec<i64> = serde_json::from_value(read["timestamps"].clone())?;
    Ok(Stored {
        name: labels.remove("__name__").context("a series without a name")?,
        labels,
        values: times
            .into_iter()
            .zip(values)
            .filter_map(|(time, value)| Some((time, value?)))
            .collect(),
    })
}
