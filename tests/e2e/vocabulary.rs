//! What dashboards, rules and runbooks name exists: every metric, label and listed label value is one of the metric table.
//! Prometheus itself takes the queries apart.

mod table;

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use table::Table;
use tests::readers::dashboards::{dashboards, expand, files, list, text};
use tests::readers::prometheus::Prometheus;
use tests::readers::rules::rules;

/// Labels that a scrape adds.
const OF_TARGETS: [&str; 4] = ["cluster", "instance", "job", "zone"];

/// What is wrong with a query that Prometheus has taken apart: names that nothing has.
#[derive(Debug, Default)]
struct Reading {
    /// Labels of everything selected.
    labels: Vec<String>,
    complaints: Vec<String>,
}

impl Reading {
    fn of(query: &Value, table: &Table) -> Self {
        let mut reading = Self::default();
        reading.select(query, table);
        reading.group(query);
        reading
    }

    /// Selectors, at any depth.
    fn select(&mut self, node: &Value, table: &Table) {
        if ["vectorSelector", "matrixSelector"].contains(&text(node, "type")) {
            let name = text(node, "name");
            let Some(metric) = table.find(name) else {
                self.complaints.push(format!("no metric {name:?}"));
                return;
            };
            let mut labels: Vec<String> = OF_TARGETS.map(str::to_owned).into();
            labels.extend(metric.labels.iter().cloned());
            for matcher in list(node, "matchers") {
                let (label, value) = (text(matcher, "name"), text(matcher, "value"));
                if label == "__name__" {
                    continue;
                }
                if !labels.iter().any(|known| known == label) {
                    self.complaints.push(format!("{name} has no label {label}"));
                }
                self.complaints
                    .extend(metric.against(label, text(matcher, "type"), value));
            }
            self.labels.extend(labels);
        }
        for part in parts(node) {
            self.select(part, table);
        }
    }

    /// Labels by which something is grouped or matched: those of what is selected.
    fn group(&mut self, node: &Value) {
        let matching = &node["matching"];
        let named = [
            list(node, "grouping"),
            list(matching, "labels"),
            list(matching, "include"),
        ];
        for label in named.into_iter().flatten().filter_map(Value::as_str) {
            if !self.labels.iter().any(|known| known == label) {
                self.complaints.push(format!("nothing selected has the label {label}"));
            }
        }
        for part in parts(node) {
            self.group(part);
        }
    }
}

/// The values within a value.
fn parts(node: &Value) -> Vec<&Value> {
    match node {
        Value::Array(parts) => parts.iter().collect(),
        Value::Object(parts) => parts.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Queries of a page: the lines of its blocks of PromQL, where an empty line or a comment ends a query, and so does a line
/// that begins at the margin.
fn queries_of_page(page: &str) -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    let blocks = page
        .split("```promql\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"));
    for (block, _) in blocks {
        queries.push(String::new());
        for line in block.lines() {
            let continues = line.starts_with([' ', '/']);
            match queries.last_mut() {
                Some(last) if (continues || last.is_empty()) && !line.starts_with('#') => {
                    last.push_str(line);
                    last.push('\n');
                }
                Some(last) if line.starts_with('#') || line.is_empty() => {
                    if !last.is_empty() {
                        queries.push(String::new());
                    }
                }
                Some(_) | None => queries.push(format!("{line}\n")),
            }
        }
    }
    queries.retain(|query| !query.trim().is_empty());
    queries
}

/// Queries of an annotation: what stands in backquotes, with a value for each label of the alert.
fn queries_of_annotation(annotation: &str) -> Vec<String> {
    let quoted = annotation.split('`').skip(1).step_by(2);
    quoted.map(|query| query.replace("%q", "\"a:10717\"")).collect()
}

/// Every query of the repository, with its place.
fn all_queries() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for dashboard in dashboards()? {
        let variables = dashboard.everything("5s", "15s");
        for query in dashboard.queries()? {
            all.push((query.place, expand(&query.expression, &variables)?));
        }
        for variable in dashboard.label_values()? {
            // The label must be one of the series: so does grouping by it say.
            let selected = format!("count by ({}) ({})", variable.label, variable.selector);
            all.push((variable.place, expand(&selected, &variables)?));
        }
    }
    for rule in rules()? {
        let asked = rule.annotations.values().flat_map(|said| queries_of_annotation(said));
        all.extend(asked.map(|query| (format!("annotation of {}", rule.name()), query)));
        all.push((format!("rule {}", rule.name()), rule.expr));
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages: Vec<PathBuf> = files(&top.join("docs/runbooks"), ".md")?;
    pages.extend(files(&top.join("docs"), ".md")?);
    pages.push(top.join("README.md"));
    for page in pages {
        let name = page.strip_prefix(&top)?.display().to_string();
        let queries = queries_of_page(&read_to_string(&page).with_context(|| name.clone())?);
        all.extend(queries.into_iter().map(|query| (name.clone(), query)));
    }
    Ok(all)
}

#[test]
fn what_is_named_exists() -> Result<()> {
    let prometheus = Prometheus::start(&[], &[])?;
    let table = Table::new(&rules()?)?;
    let mut complaints = Vec::new();
    let all = all_queries()?;
    for (place, least) in [
        ("tcp-health.json", 6),
        ("rule Tcpvitals", 6),
        ("annotation of", 6),
        ("docs/runbooks/", 6),
        ("README.md", 3),
    ] {
        assert!(
            all.iter().filter(|(from, _)| from.starts_with(place)).count() >= least,
            "few of {place}"
        );
    }
    for (place, query) in all {
        let parsed = prometheus.parse(&query).with_context(|| place.clone())?;
        let said = Reading::of(&parsed, &table).complaints;
        complaints.extend(said.into_iter().map(|said| format!("{place}: {said}, in {query}")));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    Ok(())
}

#[test]
fn what_does_not_exist_is_found() -> Result<()> {
    let prometheus = Prometheus::start(&[], &[])?;
    let table = Table::new(&rules()?)?;
    let segments = "tcpvitals_tcp_retransmitted_segments_total";
    let said = |query: &str| anyhow::Ok(Reading::of(&prometheus.parse(query)?, &table).complaints);
    for good in [
        format!("sum by (subnet, kind) (rate({segments}{{kind=\"timeout\", cluster=~\".*\"}}[5m]))"),
        "histogram_quantile(0.9, sum by (le) (rate(tcpvitals_tcp_rtt_seconds_bucket[5m])))".to_owned(),
        "tcpvitals_dropped_packets_total{class=~\"error|capacity\", reason=\"ANYTHING\"}".to_owned(),
        "cluster_subnet_limit:tcpvitals_tcp_sender_limited_seconds:ratio_rate5m{limit=\"send_buffer\"}".to_owned(),
        format!(
            "{segments} unless on (cluster, subnet) ALERTS{{alertname=~\"TcpvitalsDown|TcpvitalsConnectionsFail\"}}"
        ),
        "cluster_workload:tcpvitals_tcp_rtt_seconds:p90_rate5m{workload_kind=\"unit\"}".to_owned(),
    ] {
        assert_eq!(said(&good)?, Vec::<String>::new(), "{good}");
    }
    for (bad, complaint) in [
        ("rate(tcpvitals_tcp_loss_total[5m])".to_owned(), "no metric"),
        (segments.replace("_total", ""), "no metric"),
        ("tcpvitals_tcp_connections_bucket".to_owned(), "no metric"),
        ("cluster_subnet:tcpvitals_tcp_rtt_seconds:p95".to_owned(), "no metric"),
        (format!("{segments}{{reason=\"timeout\"}}"), "no label reason"),
        (format!("{segments}{{kind=\"loss\"}}"), "loss"),
        (format!("{segments}{{kind=~\"fast|slow\"}}"), "slow"),
        (format!("sum by (location) ({segments})"), "label location"),
        ("ALERTS{alertname=\"TcpvitalsUp\"}".to_owned(), "TcpvitalsUp"),
        (
            "cluster_workload_class:tcpvitals_dropped_packets:rate5m{workload_kind=\"unit\"}".to_owned(),
            "no label workload_kind",
        ),
        (format!("{segments} / on (peer) up"), "label peer"),
        (
            "tcpvitals_tcp_rtt_seconds_bucket{direction=\"transmit\"}".to_owned(),
            "no label direction",
        ),
        (
            "sum(rate(tcpvitals_tcp_segments_total{direction=\"out\"}[5m]))".to_owned(),
            "out",
        ),
    ] {
        let complaints = said(&bad)?;
        assert!(
            complaints.iter().any(|said| said.contains(complaint)),
            "{bad}: {complaints:?}"
        );
    }
    assert!(said("sum by (").is_err(), "no query at all");
    Ok(())
}

#[test]
fn queries_of_a_page_are_found() {
    let page = "a\n```promql\n# (1) b\n  c\n/ d\n\n# e\nf\ng\n```\nh\n```sh\ni\n```\n";
    assert_eq!(queries_of_page(page), ["  c\n/ d\n", "f\n", "g\n"]);
}
