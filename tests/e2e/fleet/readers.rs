//! The programs of the recipes, each with its files in a folder of its own.

use std::fs::{create_dir, write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use tests::exporter::free_address;
use tests::exporter::program::{Program, brought, fetch};
use tests::readers::prometheus::Api;
use tests::readers::rules;

use super::recipe;

/// A running program that answers queries.
pub(super) struct Reader {
    pub(super) program: Program,
    pub(super) api: Api,
    address: SocketAddr,
}

/// A file of a recipe with intervals of a second.
fn fast(file: &str) -> Result<String> {
    Ok(["1m", "15s"].iter().fold(recipe(file)?, |text, long| {
        text.replace(&format!("interval: {long}"), "interval: 1s")
    }))
}

/// Targets in a file, as the recipes look for them.
fn nodes(folder: &Path, targets: &[String]) -> Result<()> {
    create_dir(folder.join("nodes"))?;
    let targets = serde_json::to_string(targets)?;
    Ok(write(folder.join("nodes/all.yaml"), format!("- targets: {targets}\n"))?)
}

/// The rules of the dashboards, as the recipes look for them.
fn rules(folder: &Path) -> Result<()> {
    create_dir(folder.join("rules"))?;
    rules::copy(&folder.join("rules"))
}

fn started(mut program: Program, address: SocketAddr, health: &str) -> Result<Reader> {
    let base = format!("http://{address}");
    program.until("be ready", || Ok(fetch(&format!("{base}{health}"), &[]).ok()))?;
    let api = Api::at(format!("{base}/api/v1"));
    Ok(Reader { program, api, address })
}

fn prometheus(folder: TempDir, config: &str, options: &[&str]) -> Result<Reader> {
    let address = free_address()?;
    write(folder.path().join("prometheus.yaml"), config)?;
    let mut arguments = vec![
        "--config.file=prometheus.yaml".to_owned(),
        "--storage.tsdb.path=data".to_owned(),
        format!("--web.listen-address={address}"),
        "--scrape.discovery-reload-interval=100ms".to_owned(),
    ];
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    let program = Program::start(&brought("debian/prometheus")?, &arguments, folder)?;
    started(program, address, "/-/ready")
}

/// What the agents write to.
pub(super) fn central() -> Result<Reader> {
    let folder = TempDir::new()?;
    rules(folder.path())?;
    let options = [
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
    ];
    prometheus(folder, &fast("prometheus-agent/central.yaml")?, &options)
}

/// The agent of a node, which has its name from its environment.
pub(super) fn agent(node: &str, target: &str, central: &Reader) -> Result<Program> {
    let folder = TempDir::new()?;
    let config = fast("prometheus-agent/agent.yaml")?
        .replace("localhost:10717", target)
        .replace("localhost:9090", &central.address.to_string());
    write(folder.path().join("agent.yaml"), config)?;
    let arguments = [
        format!("NODE_NAME={node}"),
        brought("debian/prometheus")?.display().to_string(),
        "--agent".to_owned(),
        "--config.file=agent.yaml".to_owned(),
        "--storage.agent.path=data".to_owned(),
        "--enable-feature=native-histograms".to_owned(),
        format!("--web.listen-address={}", free_address()?),
        "--scrape.discovery-reload-interval=100ms".to_owned(),
    ];
    // It becomes the program.
    Program::start(Path::new("/usr/bin/env"), &arguments, folder)
}

/// The Prometheus of a cluster, which scrapes and records.
pub(super) fn cluster(targets: &[String]) -> Result<Reader> {
    let folder = TempDir::new()?;
    nodes(folder.path(), targets)?;
    rules(folder.path())?;
    write(
        folder.path().join("rules/fleet.yaml"),
        fast("recording-rules/fleet.yaml")?,
    )?;
    let options = ["--enable-feature=native-histograms"];
    prometheus(folder, &fast("recording-rules/prometheus.yaml")?, &options)
}

/// The one above it.
pub(super) fn federation(cluster: &Reader) -> Result<Reader> {
    let config = fast("recording-rules/global.yaml")?.replace("localhost:9090", &cluster.address.to_string());
    prometheus(TempDir::new()?, &config, &[])
}

/// VictoriaMetrics, which scrapes and adds up.
pub(super) fn victoria_metrics(targets: &[String]) -> Result<Reader> {
    let (folder, address) = (TempDir::new()?, free_address()?);
    nodes(folder.path(), targets)?;
    for file in ["scrape.yaml", "aggregation.yaml"] {
        write(folder.path().join(file), fast(&format!("victoria-metrics/{file}"))?)?;
    }
    let arguments = [
        "-promscrape.config=scrape.yaml".to_owned(),
        "-streamAggr.config=aggregation.yaml".to_owned(),
        "-storageDataPath=data".to_owned(),
        format!("-httpListenAddr={address}"),
        "-memory.allowedBytes=256MB".to_owned(),
        // Else queries do not see the last half minute.
        "-search.latencyOffset=0s".to_owned(),
        "-search.disableCache".to_owned(),
    ];
    let program = Program::start(&brought("debian/victoria-metrics")?, &arguments, folder)?;
    started(program, address, "/health")
}
