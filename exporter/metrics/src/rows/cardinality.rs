//! What each label and each metric costs: series, lines of text, and how many label sets there would be without a label.
//!
//! Pure: from what one path shows.

use crate::{
    families::{Families, Family, Scope, Value, buckets_of},
    labels::LabelSet,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
};
use tcpvitals_config::Histograms;

/// What an exposition costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Cardinality {
    /// Series; a histogram counts as one.
    pub series: usize,
    /// Lines of text without help and types: what Prometheus keeps of an exposition without native histograms.
    pub lines: usize,
    /// Labels that can be switched off.
    pub labels: Vec<LabelCost>,
    /// Metrics, the most expensive first.
    pub metrics: Vec<MetricCost>,
}

/// What a label costs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LabelCost {
    /// Metrics that have it: `tcp` or `drops`.
    pub of: String,
    /// The label.
    pub label: String,
    /// How many values it has.
    pub values: usize,
    /// Label sets there are.
    pub label_sets: usize,
    /// Label sets there would be without it.
    pub without: usize,
}

/// What a metric costs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct MetricCost {
    /// Its full name.
    pub metric: String,
    /// Series; a histogram counts as one.
    pub series: usize,
    /// Lines of text.
    pub lines: usize,
}

impl Cardinality {
    /// Of what a path shows.
    pub fn new(Families(families): &Families, histograms: &Histograms) -> Self {
        let cost = |family: &Family| MetricCost {
            metric: family.metric.full_name(),
            series: family.points.len(),
            lines: lines(family, histograms),
        };
        let mut metrics: Vec<MetricCost> = families.iter().map(|family| cost(family)).collect();
        metrics.retain(|cost| cost.series != 0);
        metrics.sort_by(|a, b| (b.lines, &a.metric).cmp(&(a.lines, &b.metric)));
        let scopes = [
            (Scope::Tcp, "tcp"),
            (Scope::Listeners, "listeners"),
            (Scope::Drops, "drops"),
        ];
        let labels = scopes.map(|(scope, of)| {
            let of_scope = families.iter().filter(|family| family.metric.source.scope() == scope);
            let sets = of_scope.flat_map(|family| family.points.iter().map(|point| &point.labels));
            label_costs(of, &sets.collect())
        });
        Self {
            series: metrics.iter().map(|cost| cost.series).sum(),
            lines: metrics.iter().map(|cost| cost.lines).sum(),
            labels: labels.concat(),
            metrics,
        }
    }
}

impl Display for Cardinality {
    /// Tables for people.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            series,
            lines,
            labels,
            metrics,
        } = self;
        writeln!(formatter, "{series} series, {lines} lines of text\n")?;
        writeln!(formatter, "METRICS    LABEL            VALUES  LABEL SETS  WITHOUT IT")?;
        for LabelCost {
            of,
            label,
            values,
            label_sets,
            without,
        } in labels
        {
            writeln!(
                formatter,
                "{of:<10} {label:<16} {values:>6} {label_sets:>11} {without:>11}"
            )?;
        }
        writeln!(formatter, "\n  SERIES   LINES  METRIC")?;
        for MetricCost { metric, series, lines } in metrics {
            writeln!(formatter, "{series:>8} {lines:>7}  {metric}")?;
        }
        Ok(())
    }
}

fn lines(family: &Family, histograms: &Histograms) -> usize {
    let buckets = buckets_of(histograms, family.metric);
    let of_value = |value: &Value| match value {
        // Sum and count come on top.
        Value::Histogram(histogram) => histogram.classic(buckets).len() + 2,
        Value::Count(_) | Value::Number(_) | Value::CpuTime(_) => 1,
    };
    family.points.iter().map(|point| of_value(&point.value)).sum()
}

fn label_costs(of: &str, sets: &BTreeSet<&LabelSet>) -> Vec<LabelCost> {
    let mut values: BTreeMap<&'static str, BTreeSet<&str>> = BTreeMap::new();
    for (label, value) in sets.iter().flat_map(|set| set.iter()) {
        values.entry(label.word).or_default().insert(value);
    }
    let without = |word: &str| {
        let rest = |set: &&LabelSet| {
            let others = set.iter().filter(|(label, _)| label.word != word);
            others.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        sets.iter().map(rest).collect::<BTreeSet<_>>().len()
    };
    let cost = |(label, values): (&'static str, BTreeSet<&str>)| LabelCost {
        of: of.to_owned(),
        label: label.to_owned(),
        values: values.len(),
        label_sets: sets.len(),
        without: without(label),
    };
    values.into_iter().map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{HistogramValue, METRICS, Point};
    use std::{sync::Arc, time::Duration};
    use tcpvitals_config::TcpLabel;

    #[test]
    fn a_label_costs_the_label_sets_that_only_it_tells_apart() {
        let point = |(subnet, role): (&str, &str), value: &Value| Point {
            labels: [
                (TcpLabel::Subnet.label(), subnet.to_owned()),
                (TcpLabel::Role.label(), role.to_owned()),
            ]
            .into(),
            own: Vec::new(),
            since: Duration::ZERO,
            value: value.clone(),
        };
        let sets = [("a", "client"), ("a", "server"), ("b", "client")];
        let family = |name: &str, value: Value| {
            let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
            let points = sets.into_iter().map(|set| point(set, &value)).collect();
            Arc::new(Family { metric, points })
        };
        let histogram = Value::Histogram(HistogramValue {
            sum: 1.0,
            schema: 2,
            first: -79,
            buckets: vec![1; 112],
        });
        let families = Families(vec![family("tcp_sacks", Value::Count(1)), family("tcp_rtt", histogram)]);
        let cost = Cardinality::new(&families, &Histograms::default());
        assert_eq!((cost.series, cost.lines), (6, 3 + 3 * 13));
        let label = |label: &str, values, without| LabelCost {
            of: "tcp".to_owned(),
            label: label.to_owned(),
            values,
            label_sets: 3,
            without,
        };
        assert_eq!(cost.labels, [label("role", 2, 2), label("subnet", 2, 2)]);
        let dearest = cost.metrics.first().unwrap();
        assert_eq!(
            (dearest.metric.as_str(), dearest.lines),
            ("tcpvitals_tcp_rtt_seconds", 39)
        );
    }
}
