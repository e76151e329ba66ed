//! Real readers that find the nodes in a file, and what they say of themselves.

use std::fs::{rename, write};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tests::exporter::free_address;
use tests::exporter::program::{Program, brought, fetch};
use tests::readers::prometheus::Api;

use super::nodes::Nodes;
use super::record::View;
use crate::usage::Process;

/// A program that scrapes and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Prometheus,
    VictoriaMetrics,
}

impl Kind {
    /// Its name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }
}

/// A running one with an empty store.
pub(crate) struct Reader {
    kind: Kind,
    program: Program,
    folder: PathBuf,
    base: String,
}

/// More often than in earnest, so that a step of seconds has some scrapes.
const INTERVAL: &str = "5s";

impl Reader {
    /// Starts one that scrapes in the format of the view.
    pub(crate) fn start(kind: Kind, view: &View) -> Result<Self> {
        let (folder, address) = (TempDir::new()?, free_address()?);
        let path = folder.path().to_owned();
        write(path.join("nodes.json"), "[]")?;
        let (refresh, protocols, program, arguments) = match kind {
            Kind::Prometheus => (
                ", refresh_interval: 1s",
                format!(", scrape_protocols: [{}]", view.protocol),
                "debian/prometheus",
                vec![
                    "--config.file=scrape.yaml".to_owned(),
                    "--storage.tsdb.path=data".to_owned(),
                    "--enable-feature=native-histograms".to_owned(),
                    format!("--web.listen-address={address}"),
                ],
            ),
            Kind::VictoriaMetrics => (
                "",
                String::new(),
                "debian/victoria-metrics",
                vec![
                    "-promscrape.config=scrape.yaml".to_owned(),
                    "-promscrape.fileSDCheckInterval=1s".to_owned(),
                    "-storageDataPath=data".to_owned(),
                    format!("-httpListenAddr={address}"),
                    "-search.latencyOffset=0s".to_owned(),
                    "-search.disableCache".to_owned(),
                ],
            ),
        };
        let config = format!(
            "global: {{scrape_interval: {INTERVAL}, scrape_timeout: {INTERVAL}}}\n\
             scrape_configs:\n\
             \x20 - {{job_name: tcpvitals, file_sd_configs: [{{files: [nodes.json]{refresh}}}]{protocols}}}\n"
        );
        write(path.join("scrape.yaml"), config)?;
        let mut program = Program::start(&brought(program)?, &arguments, folder)?;
        let base = format!("http://{address}");
        program.until("be ready", || Ok(fetch(&format!("{base}/-/ready"), &[]).ok()))?;
        Ok(Self {
            kind,
            program,
            folder: path,
            base,
        })
    }

    /// Has it scrape so many nodes, and waits until all were scraped well.
    pub(crate) fn scrape(&mut self, nodes: &Nodes, count: usize) -> Result<()> {
        let (part, whole) = (self.folder.join("nodes.part"), self.folder.join("nodes.json"));
        write(&part, nodes.targets(count).to_string())?;
        rename(&part, &whole)?;
        let api = self.api();
        let mut last = Vec::new();
        let up = self.program.until(&format!("scrape {count} nodes"), || {
            last = api.query("count(up == 1)")?;
            Ok(matches!(last[..], [(_, value)] if value == count as f64).then_some(()))
        });
        up.with_context(|| format!("so many are up: {last:?}"))
    }

    fn api(&self) -> Api {
        Api::at(format!("{}/api/v1", self.base))
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        Process(self.program.id())
    }

    /// Samples of a scrape, on the mean of all nodes.
    pub(crate) fn samples(&self) -> Result<f64> {
        let points = self.api().query("avg(scrape_samples_scraped)")?;
        Ok(points.first().context("it has scraped nothing")?.1)
    }

    /// Series that it holds as active.
    pub(crate) fn series(&self) -> Result<f64> {
        let name = match self.kind {
            Kind::Prometheus => "prometheus_tsdb_head_series ",
            Kind::VictoriaMetrics => "vm_cache_entries{type=\"storage/hour_metric_ids\"} ",
        };
        let text = fetch(&format!("{}/metrics", self.base), &[])?;
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.with_context(|| format!("it does not say {name}"))?;
        Ok(value.trim().parse()?)
    }
}
