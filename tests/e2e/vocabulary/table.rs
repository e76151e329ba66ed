//! The names that a query may say: series, their labels, and the values of those labels that have a fixed set of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use common::drops::Protocol;
use common::net::connection::ConnectionType;
use tcpvitals_config::Class;
use tcpvitals_metrics::families::{Accessor, Kind, METRICS, Metric, Points, Scope};
use tests::readers::rules::Rule;

/// What Prometheus itself makes of a scrape.
const OF_PROMETHEUS: &str = "up";

/// What rules that alert make, while they do.
const ALERTS: &str = "ALERTS";

/// Labels of a series, and the values of some of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) labels: BTreeSet<String>,
    values: BTreeMap<String, Vec<String>>,
}

impl Series {
    /// What is wrong with a matcher of this label: only values that stand there in full can be judged.
    pub(super) fn against(&self, label: &str, operator: &str, value: &str) -> Option<String> {
        let known = self.values.get(label)?;
        let alternatives: Vec<&str> = if operator.contains('~') {
            value.split('|').collect()
        } else {
            vec![value]
        };
        let is_plain = |value: &&&str| {
            value
                .chars()
                .all(|character| character.is_alphanumeric() || character == '_')
        };
        let unknown = alternatives
            .iter()
            .filter(is_plain)
            .find(|value| !known.iter().any(|known| known == **value))?;
        Some(format!("the label {label} is never {unknown:?} but one of {known:?}"))
    }
}

/// Every series by its name.
#[derive(Debug)]
pub(super) struct Table(BTreeMap<String, Series>);

impl Table {
    /// Those of the metric table, and those that the rules make.
    pub(super) fn new(rules: &[Rule]) -> Result<Self> {
        let mut table = BTreeMap::new();
        table.insert(OF_PROMETHEUS.to_owned(), Series::default());
        for metric in METRICS {
            let (name, series) = (metric.full_name(), of_metric(metric));
            if metric.kind == Kind::Histogram {
                for part in ["count", "sum"] {
                    table.insert(format!("{name}_{part}"), series.clone());
                }
                let mut buckets = series.clone();
                buckets.labels.insert("le".to_owned());
                table.insert(format!("{name}_bucket"), buckets);
            }
            table.insert(name, series);
        }
        table.insert(ALERTS.to_owned(), of_alerts(rules, &table));
        let recorded: Vec<(&str, Series)> = rules
            .iter()
            .filter_map(|rule| rule.record.as_deref())
            .map(|name| Ok((name, of_rule(name, &table)?)))
            .collect::<Result<_>>()?;
        for (name, series) in recorded {
            table.insert(name.to_owned(), series);
        }
        Ok(Self(table))
    }

    /// The series of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Series> {
        self.0.get(name)
    }
}

/// A recorded series is named LEVEL:METRIC:OPERATION, and its level lists its labels.
fn of_rule(name: &str, table: &BTreeMap<String, Series>) -> Result<Series> {
    let parts: Vec<&str> = name.split(':').collect();
    ensure!(parts.len() == 3, "{name} is not named level:metric:operation");
    let base = table
        .get(parts[1])
        .or_else(|| table.get(&format!("{}_total", parts[1])));
    ensure!(base.is_some(), "{name} is of no metric");
    let base = base.cloned().unwrap_or_default();
    let mut labels: BTreeSet<String> = parts[0].split('_').map(str::to_owned).collect();
    if labels.contains("workload") {
        // It stands for all labels of workloads that the metric has.
        let of_workloads = base.labels.iter().filter(|label| label.starts_with("workload"));
        labels.extend(of_workloads.cloned());
    }
    let values = base.values;
    Ok(Series { labels, values })
}

/// An alert has its name, its state, its severity, and the labels of what it is about, which are some of all that there are.
fn of_alerts(rules: &[Rule], table: &BTreeMap<String, Series>) -> Series {
    let mut series = Series::default();
    let names = rules.iter().filter_map(|rule| rule.alert.clone());
    series.values.insert("alertname".to_owned(), names.collect());
    let states = ["pending", "firing"].map(str::to_owned);
    series.values.insert("alertstate".to_owned(), states.to_vec());
    let severities = ["info", "warning", "critical"].map(str::to_owned);
    series.values.insert("severity".to_owned(), severities.to_vec());
    series.labels.extend(series.values.keys().cloned());
    series
        .labels
        .extend(table.values().flat_map(|series| series.labels.clone()));
    series
}

fn of_metric(metric: &Metric) -> Series {
    let labels = metric.source.scope().labels().into_iter().chain(metric.labels);
    let mut series = Series {
        labels: labels.map(|label| label.word.to_owned()).collect(),
        values: BTreeMap::new(),
    };
    // What did not fit is in the row `other`, whose labels all say so.
    let mut fixed = vec![
        (
            "connection_type",
            ConnectionType::ALL.map(ConnectionType::as_str).to_vec(),
        ),
        ("role", vec!["client", "server", "unknown"]),
        ("class", Class::ALL.map(Class::as_str).to_vec()),
        ("protocol", Protocol::ALL.map(Protocol::as_str).to_vec()),
        ("metrics", vec!["tcp", "drops"]),
    ];
    if metric.source.scope() == Scope::Drops {
        fixed.push(("direction", vec!["transmit", "receive"]));
    }
    for (_, values) in &mut fixed {
        values.push("other");
    }
    if let [own] = metric.labels {
        let listed = listed(metric.source);
        if !listed.is_empty() {
            fixed.push((own.word, listed));
        }
    }
    fixed.retain(|(label, _)| series.labels.contains(*label));
    let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
    series.values = fixed
        .into_iter()
        .map(|(label, values)| (label.to_owned(), owned(values)))
        .collect();
    series
}

/// The values that the metric table lists for a metric's one own label.
fn listed(source: Accessor) -> Vec<&'static str> {
    fn first<T>(points: Points<T>) -> Vec<&'static str> {
        points
            .iter()
            .filter_map(|(values, _)| values.first().copied())
            .collect()
    }
    if let Accessor::Counters(points) | Accessor::Jiffies(points) = source {
        first(points)
    } else if let Accessor::Pushes(points) = source {
        first(points)
    } else if let Accessor::Refused(points) = source {
        first(points)
    } else if let Accessor::Drops(sources, _) = source {
        sources.iter().map(|source| source.as_str()).collect()
    } else {
        Vec::new()
    }
}
