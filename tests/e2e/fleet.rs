//! The recipes of `deploy/fleet`, run by the programs that they are for, on two exporters that count the same traffic: what arrives
//! for the whole fleet is the sum of what the nodes show. Intervals are shorter and addresses others; the rest is as the files say.

mod readers;

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use readers::{Reader, agent, central, cluster, federation, victoria_metrics};
use serde_json::Value;
use tcpvitals_config::Config;
use tests::exporter::exposition::{Format, parse};
use tests::exporter::program::{brought, feed};
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, PROMETHEUS_TEXT, start};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::Family::V4;
use tests::net::traffic::{Flow, settle};
use tests::readers::prometheus::Api;

/// Bytes of payload by subnet and direction: what is added up.
const BYTES: &str = "tcpvitals_tcp_data_bytes_total";
const CONNECTIONS: &str = "tcpvitals_tcp_connections";

/// Where the recipes lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/fleet")
}

/// A file of a recipe.
fn recipe(file: &str) -> Result<String> {
    read_to_string(folder().join(file)).with_context(|| format!("read deploy/fleet/{file}"))
}

/// Two nodes with the view of the recipes, and a connection that both see.
struct Fleet {
    pair: Pair,
    nodes: [Exporter<'static>; 2],
    flow: Flow,
}

impl Fleet {
    fn start() -> Result<Self> {
        let pair = Pair::new()?;
        let config = recipe("tcpvitals.yaml")? + &pair.config();
        let nodes = [start(config.clone())?, start(config)?];
        let flow = Flow::open(&pair, V4, 443)?;
        let fleet = Self { pair, nodes, flow };
        fleet.exchange()?;
        Ok(fleet)
    }

    /// More traffic, to its end.
    fn exchange(&self) -> Result<()> {
        self.flow.exchange(300_000, 20_000)?;
        settle(std::slice::from_ref(&self.flow))?;
        Ok(())
    }

    fn targets(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.address().to_string()).collect()
    }

    /// What selects the series of its subnet.
    fn selector(&self, metric: &str) -> Result<String> {
        Ok(format!("{metric}{{subnet=\"{}\"}}", self.pair.subnet()?.name()))
    }

    /// What each node shows of a metric in the view, over all label sets of the subnet.
    fn shown(&self, metric: &str) -> Result<Vec<f64>> {
        let subnet = self.pair.subnet()?.name();
        let of = |node: &Exporter<'_>| {
            let page = node.get("/metrics/fleet", PROMETHEUS_TEXT)?;
            let scrape = Scrape::new(parse(&page.body, Format::Prometheus)?);
            scrape.sum(metric, &[("subnet", &subnet)])
        };
        self.nodes.iter().map(of).collect()
    }

    fn sum(&self, metric: &str) -> Result<f64> {
        Ok(self.shown(metric)?.iter().sum())
    }
}

/// Waits until an expression has this one value.
fn require_value(reader: &mut Reader, expression: &str, expected: f64) -> Result<()> {
    let mut last = Vec::new();
    let api = reader.api.clone();
    let came = reader.program.until(&format!("have {expected} for {expression}"), || {
        last = api.query(expression)?;
        Ok(matches!(last[..], [(_, value)] if value == expected).then_some(()))
    });
    came.with_context(|| format!("it has {last:?}"))
}

fn require_none(api: &Api, expression: &str) -> Result<()> {
    let points = api.query(expression)?;
    ensure!(points.is_empty(), "{expression} has {points:?}");
    Ok(())
}

#[test]
fn agents_write_what_each_node_shows_under_its_name() -> Result<()> {
    let _turn = turn::shared()?;
    let fleet = Fleet::start()?;
    let mut central = central()?;
    let targets = fleet.targets();
    let agents: Vec<_> = (1..)
        .zip(&targets)
        .map(|(number, target)| agent(&format!("node-{number}"), target, &central))
        .collect::<Result<_>>()?;
    fleet.exchange()?;
    let bytes = fleet.selector(BYTES)?;
    for (number, shown) in (1..).zip(fleet.shown(BYTES)?) {
        assert!(shown > 600_000.0, "{shown}");
        let own = bytes.replace('}', &format!(", instance=\"node-{number}\"}}"));
        require_value(&mut central, &format!("sum({own})"), shown)?;
    }
    require_value(&mut central, &format!("sum({bytes})"), fleet.sum(BYTES)?)?;
    // Histograms come with native buckets.
    let samples = fleet.selector("tcpvitals_tcp_rtt_seconds")?;
    let count = fleet.sum("tcpvitals_tcp_rtt_seconds_count")?;
    require_value(&mut central, &format!("histogram_count(sum({samples}))"), count)?;
    require_value(&mut central, "count(up == 1)", 2.0)?;
    drop(agents);
    Ok(())
}

#[test]
fn victoria_metrics_adds_up_the_nodes_before_it_stores() -> Result<()> {
    let _turn = turn::shared()?;
    let fleet = Fleet::start()?;
    let mut victoria = victoria_metrics(&fleet.targets())?;
    // It has seen both before more comes.
    let bytes = fleet.selector(BYTES)?;
    let connections = fleet.selector(CONNECTIONS)?;
    require_value(&mut victoria, &format!("sum({connections})"), fleet.sum(CONNECTIONS)?)?;
    let api = victoria.api.clone();
    let before = until("sums of counters", || {
        Ok(api.query(&format!("sum({bytes})"))?.first().map(|(_, value)| *value))
    })?;
    let first = fleet.sum(BYTES)?;
    fleet.exchange()?;
    let grown = fleet.sum(BYTES)? - first;
    assert!(grown >= 2.0 * 2.0 * 320_000.0, "{grown}");
    require_value(&mut victoria, &format!("sum({bytes})"), before + grown)?;
    let matched = "__name__=~\"tcpvitals_(tcp|dropped)_.+\"";
    require_none(&victoria.api, &format!("{{{matched}, instance!=\"\"}}"))?;
    require_value(&mut victoria, "count(tcpvitals_build_info)", 2.0)
}

#[test]
fn a_global_prometheus_has_what_each_cluster_records() -> Result<()> {
    let _turn = turn::shared()?;
    let fleet = Fleet::start()?;
    let mut cluster = cluster(&fleet.targets())?;
    let mut global = federation(&cluster)?;
    let bytes = fleet.selector(BYTES)?;
    require_value(&mut cluster, &format!("sum({bytes})"), fleet.sum(BYTES)?)?;
    let recorded = fleet.selector("cluster_subnet:tcpvitals_tcp_connections:sum")?;
    let recorded = recorded.replace('}', ", cluster=\"east\"}");
    require_value(&mut global, &format!("sum({recorded})"), fleet.sum(CONNECTIONS)?)?;
    require_none(&global.api, "{__name__=~\"tcpvitals_.+\"}")
}

/// Programs for it are not at hand; what can be read off the files is checked.
#[test]
fn pipelines_of_the_collector_name_what_is_defined() -> Result<()> {
    for file in ["collector/agent.yaml", "collector/gateway.yaml"] {
        let text = recipe(file)?;
        assert!(
            text.starts_with("# NOT RUN"),
            "{file} does not say that nobody has run it"
        );
        let config: Value = serde_yaml::from_str(&text).with_context(|| file.to_owned())?;
        let pipeline = &config["service"]["pipelines"]["metrics"];
        for kind in ["receivers", "processors", "exporters"] {
            let named = pipeline[kind]
                .as_array()
                .with_context(|| format!("{file}: no {kind}"))?;
            let defined = config[kind].as_object().with_context(|| format!("{file}: no {kind}"))?;
            assert_eq!(named.len(), defined.len(), "{file}: {kind}");
            for name in named {
                let name = name.as_str().context("no name")?;
                assert!(defined.contains_key(name), "{file}: {kind} has no {name}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_files_are_taken_as_they_are() -> Result<()> {
    for file in ["tcpvitals.yaml", "collector/tcpvitals.yaml"] {
        Config::from_yaml(&recipe(file)?, file)?;
    }
    let promtool = brought("debian/promtool")?;
    for (file, options) in [
        ("prometheus-agent/agent.yaml", &["check", "config", "--agent"][..]),
        ("prometheus-agent/central.yaml", &["check", "config"]),
        ("recording-rules/prometheus.yaml", &["check", "config"]),
        ("recording-rules/global.yaml", &["check", "config"]),
        (
            "recording-rules/fleet.yaml",
            &["check", "rules", "--lint=all", "--lint-fatal"],
        ),
    ] {
        let path = folder().join(file);
        let path = path.to_string_lossy();
        let arguments: Vec<&str> = options.iter().copied().chain([&*path]).collect();
        feed(&promtool, &arguments, "")?;
    }
    let victoria = brought("debian/victoria-metrics")?;
    let option = |name: &str, file: &str| format!("-{name}={}", folder().join(file).display());
    let scrape = option("promscrape.config", "victoria-metrics/scrape.yaml");
    let aggregation = option("streamAggr.config", "victoria-metrics/aggregation.yaml");
    feed(&victoria, &["-dryRun", &scrape, &aggregation], "").map(drop)
}
