//! Workloads as the page and OTLP show them: whose each row is, and by which attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::json;
use tcpvitals_config::{Config, Names, Temporality};
use tcpvitals_metrics::encode::otlp::reading::{Starts, cumulative, split};
use tcpvitals_metrics::encode::otlp::request::{Style, request};
use tcpvitals_metrics::encode::page::{About, Collected, render};
use tcpvitals_metrics::families::Families;
use tcpvitals_metrics::rows::cardinality::Cardinality;
use tcpvitals_metrics::snapshot::Snapshot;
use tcpvitals_metrics::workloads::Workload;
use tcpvitals_metrics::workloads::numbers::Numbers;
use tests::readers::browser::web_page::rows;

use crate::golden::{SUBNETS, families_of};
use crate::sample::full;

const LABELS: &str = "\
workloads: {source: cgroup}
labels: {tcp: [workload, workload_kind, workload_namespace], drops: [class, workload, workload_namespace]}
";

/// A snapshot of these workloads: one for each group, and the last for the first drop too.
fn snapshot(config: &Config, workloads: [Workload; 2]) -> Result<Snapshot> {
    let mut snapshot = full(config, &[])?;
    let mut numbers = Numbers::new(8);
    for (row, workload) in snapshot.groups.iter_mut().zip(&workloads) {
        row.key.as_mut().context("the group other")?.workload = numbers.number(workload);
    }
    let (_, site) = &mut snapshot.drops[0].key;
    let [_, last] = &workloads;
    site.as_mut().context("the row other")?.workload = Some(numbers.number(last));
    snapshot.workloads = numbers.names();
    Ok(snapshot)
}

fn config(labels: &str) -> Result<Config> {
    Ok(Config::from_yaml(&format!("{SUBNETS}{labels}"), "test.yaml")?)
}

fn cart() -> Workload {
    Workload::in_kubernetes("shop", "Deployment", "cart")
}

fn unit() -> Workload {
    Workload {
        namespace: String::new(),
        kind: "unit".to_owned(),
        name: "nginx.service".to_owned(),
    }
}

#[test]
fn the_page_has_a_row_for_each_workload_of_connections_and_of_drops() -> Result<()> {
    let about = About {
        host: "host-1",
        release: "6.18.0",
        notice: None,
        telemetry_path: "/metrics",
        config_file: None,
        flows: false,
    };
    let page = |labels: &str| -> Result<String> {
        let config = config(labels)?;
        let snapshot = snapshot(&config, [cart(), unit()])?;
        let families = families_of(&config, &snapshot);
        let cost = Cardinality::default();
        let collected = Collected {
            families: &families,
            cost: &cost,
            findings: None,
            exporter: &snapshot.exporter,
            at: Duration::from_secs(1_700_007_200),
        };
        Ok(render(about, &snapshot.coverage, collected))
    };
    let shown = page(LABELS)?;
    let connections = rows(&shown, "workloads")?;
    let names: Vec<&str> = connections.keys().map(String::as_str).collect();
    assert_eq!(names, ["", "nginx.service (unit)", "other", "shop/cart (Deployment)"]);
    let sums = ["sent", "again", "dropped"].map(|count| {
        let of = |row: &serde_json::Value| row[count].as_u64().unwrap_or(0);
        let apart: u64 = connections
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(_, row)| of(row))
            .sum();
        (apart, of(&connections[""]))
    });
    assert!(sums.iter().all(|(apart, all)| apart == all && *all > 0), "{sums:?}");
    // Of the software's drops, the one that is of a workload, in no class of normal operation.
    let drops = rows(&shown, "owners")?;
    assert_eq!(
        drops["nginx.service"],
        json!({"packets": 11, "bytes": 1100}),
        "{drops:?}"
    );
    let without = page("workloads: {source: cgroup}\n")?;
    assert!(!without.contains("id=\"workloads") && !without.contains("id=\"owners"));
    assert!(without.contains("From kubernetes") && without.contains("None now: forbidden"));
    Ok(())
}

/// The attributes of each point of a metric, as text.
fn attributes(families: &Families, names: Names, metric: &str) -> Result<BTreeSet<String>> {
    let style = Style {
        names,
        ..Style::conventional(Temporality::Cumulative)
    };
    let parts = split(families, usize::MAX);
    let told = request(&Resource::default(), style, cumulative(&parts[0], Starts::new(1), 2));
    let metrics = &told.resource_metrics[0].scope_metrics[0].metrics;
    let metric = metrics
        .iter()
        .find(|told| told.name == metric)
        .context("no such metric")?;
    let Some(Data::Sum(sum)) = &metric.data else {
        anyhow::bail!("{metric:?} is no sum")
    };
    let text = |KeyValue { key, value, .. }: &KeyValue| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(value)) => (key.clone(), value.clone()),
        other => (key.clone(), format!("{other:?}")),
    };
    let line = |attributes: &[KeyValue]| {
        let sorted: BTreeMap<String, String> = attributes.iter().map(text).collect();
        let words: Vec<String> = sorted.iter().map(|(key, value)| format!("{key}={value}")).collect();
        words.join(" ")
    };
    Ok(sum.data_points.iter().map(|point| line(&point.attributes)).collect())
}

fn check(labels: &str, workloads: [Workload; 2], names: Names, metric: &str, expected: &[&str]) -> Result<()> {
    let config = config(labels)?;
    let families = families_of(&config, &snapshot(&config, workloads)?);
    let expected: BTreeSet<String> = expected.iter().map(|line| String::from(*line)).collect();
    assert_eq!(attributes(&families, names, metric)?, expected);
    Ok(())
}

const OPENED: &str = "tcpvitals.tcp.connections_opened";

#[test]
fn over_otlp_workloads_have_the_attributes_of_the_conventions() -> Result<()> {
    let other = "tcpvitals.workload.kind=other tcpvitals.workload.name=other tcpvitals.workload.namespace=other";
    check(
        LABELS,
        [cart(), unit()],
        Names::Conventions,
        OPENED,
        &[
            "k8s.deployment.name=cart k8s.namespace.name=shop tcpvitals.workload.kind=Deployment tcpvitals.workload.name=cart",
            "tcpvitals.workload.kind=unit tcpvitals.workload.name=nginx.service",
            other,
        ],
    )?;
    // A pod of its own is no pod by its name: static pods and those of other controllers are folded. A namespace may be called so.
    check(
        LABELS,
        [Workload::in_kubernetes("other", "Pod", "etcd"), Workload::unresolved()],
        Names::Conventions,
        OPENED,
        &[
            "k8s.namespace.name=other tcpvitals.workload.kind=Pod tcpvitals.workload.name=etcd",
            "tcpvitals.workload.kind=unresolved tcpvitals.workload.name=unresolved tcpvitals.workload.namespace=unresolved",
            other,
        ],
    )
}

#[test]
fn drops_have_the_namespace_alone_and_prometheus_names_stay_labels() -> Result<()> {
    let only =
        "workloads: {source: cgroup}\nlabels: {tcp: [workload_namespace], drops: [workload, workload_namespace]}\n";
    let config = config(only)?;
    let families = families_of(&config, &snapshot(&config, [unit(), cart()])?);
    let drops = attributes(&families, Names::Conventions, "tcpvitals.dropped_packets")?;
    let of_cart = "k8s.namespace.name=shop tcpvitals.drop.source=software tcpvitals.workload.name=cart";
    assert!(drops.contains(of_cart), "{drops:#?}");
    // Without a name the namespace tells those of any apart.
    let namespaces = ["k8s.namespace.name=shop", "", "tcpvitals.workload.namespace=other"];
    let expected: BTreeSet<String> = namespaces.map(str::to_owned).into();
    assert_eq!(attributes(&families, Names::Conventions, OPENED)?, expected);
    check(
        LABELS,
        [cart(), unit()],
        Names::Prometheus,
        "tcpvitals_tcp_connections_opened_total",
        &[
            "workload=cart workload_kind=Deployment workload_namespace=shop",
            "workload=nginx.service workload_kind=unit",
            "workload=other workload_kind=other workload_namespace=other",
        ],
    )
}
