//! The exporter as the chart runs it: its pod, its metrics, its log.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::exporter::OPEN_METRICS;
use tests::exporter::exposition::{Format, parse};
use tests::exporter::scrape::Scrape;
use tests::machine::settings::patience;
use tests::machine::wait::until;

use crate::node::Node;
use crate::truth::{get, items, text};

/// The namespace of the release.
pub(crate) const NAMESPACE: &str = "tcpvitals";
/// The release.
pub(crate) const RELEASE: &str = "vitals";
/// The DaemonSet that it makes.
pub(crate) const DAEMON_SET: &str = "vitals-tcpvitals";
/// The port of the chart.
pub(crate) const PORT: u16 = 10717;

/// The pod of the exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) address: String,
    pub(crate) restarts: u64,
}

/// Waits until the DaemonSet runs as it is written.
pub(crate) fn rolled_out(node: &Node) -> Result<()> {
    let set = format!("daemonset/{DAEMON_SET}");
    let timeout = format!("--timeout={}s", patience().as_secs());
    let arguments = ["--namespace", NAMESPACE, "rollout", "status", &set, &timeout];
    node.run("kubectl", &arguments).map(drop)
}

/// The one that runs.
pub(crate) fn pod(node: &Node) -> Result<Pod> {
    let listed = get(node, &["pods", "--namespace", NAMESPACE])?;
    let is_living = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let living: Vec<&Value> = items(&listed).filter(is_living).collect();
    ensure!(living.len() == 1, "{} pods of the exporter", living.len());
    Ok(Pod {
        name: text(&living[0]["metadata"]["name"])?.to_owned(),
        uid: text(&living[0]["metadata"]["uid"])?.to_owned(),
        address: text(&living[0]["status"]["podIP"])?.to_owned(),
        restarts: living[0]["status"]["containerStatuses"][0]["restartCount"]
            .as_u64()
            .context("no restartCount")?,
    })
}

impl Pod {
    /// All its metrics.
    pub(crate) fn scrape(&self, node: &Node) -> Result<Scrape> {
        let (status, body) = self.fetch(node, "/metrics")?;
        ensure!(status == 200, "{status}: {body}");
        Ok(Scrape::new(parse(&body, Format::OpenMetrics)?))
    }

    /// A page of it, as the node sees it.
    pub(crate) fn fetch(&self, node: &Node, path: &str) -> Result<(u16, String)> {
        let url = format!("http://{}:{PORT}{path}", self.address);
        node.within(|| {
            let agent = ureq::Agent::config_builder()
                .timeout_global(Some(patience()))
                .http_status_as_error(false)
                .build()
                .new_agent();
            let mut answer = agent.get(&url).header("accept", OPEN_METRICS).call()?;
            let body = answer.body_mut().with_config().limit(1 << 26).read_to_string()?;
            Ok((answer.status().as_u16(), body))
        })
        .with_context(|| format!("get {path} of the exporter"))
    }

    /// Its log.
    pub(crate) fn log(&self, node: &Node) -> Result<String> {
        node.run("kubectl", &["--namespace", NAMESPACE, "logs", &self.name])
    }

    /// Waits until its log has these words behind its first so many bytes; gives the line.
    pub(crate) fn says(&self, node: &Node, words: &str, after: usize) -> Result<String> {
        until(&format!("the exporter to say {words:?}"), || {
            let log = self.log(node)?;
            let new = log.get(after..).unwrap_or_default();
            Ok(new.lines().find(|line| line.contains(words)).map(str::to_owned))
        })
    }

    /// Fails if it is not the one that it was, or its container was restarted.
    pub(crate) fn require_same(&self, node: &Node) -> Result<()> {
        let now = pod(node)?;
        ensure!(now == *self, "the exporter was {self:?} and is {now:?}");
        Ok(())
    }
}
