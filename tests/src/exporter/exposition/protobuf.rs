//! A strict reader of Prometheus' protobuf exposition, independent of the exporter's: the messages are written here from
//! Prometheus' `metrics.proto`, with the fields that the exporter may use. Any other field is a mistake.

mod messages;
mod native;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;

pub use messages::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Span, Timestamp};
pub use native::native_buckets;

use crate::exporter::exposition::{Exposition, Family, Kind, Series};

/// Reads a body: families one after the other, each after its length.
pub fn decode(body: &[u8]) -> Result<Vec<MetricFamily>> {
    let mut rest = body;
    let mut families = Vec::new();
    while !rest.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut rest)
            .with_context(|| format!("message {}", families.len() + 1))?;
        families.push(family);
    }
    // Unknown fields were skipped, and what is equal to its default need not be there.
    let known: Vec<u8> = families
        .iter()
        .flat_map(MetricFamily::encode_length_delimited_to_vec)
        .collect();
    ensure!(
        known == body,
        "{} of {} bytes are of fields that a reader does not expect",
        body.len() - known.len(),
        body.len()
    );
    Ok(families)
}

/// What the older text format would say: the same series, with cumulative classic buckets. Each histogram is checked: native and
/// classic buckets agree with each other and with its count.
pub fn exposition(families: &[MetricFamily]) -> Result<Exposition> {
    let mut exposition = Exposition::default();
    for family in families {
        add(&mut exposition, family).with_context(|| format!("the family {}", family.name))?;
    }
    Ok(exposition)
}

fn add(exposition: &mut Exposition, family: &MetricFamily) -> Result<()> {
    let MetricFamily {
        name,
        help,
        metric,
        unit,
        ..
    } = family;
    let kind = match family.r#type() {
        MetricType::Counter => Kind::Counter,
        MetricType::Gauge => Kind::Gauge,
        MetricType::Histogram => Kind::Histogram,
        MetricType::Summary | MetricType::Untyped | MetricType::GaugeHistogram => bail!("it has an unexpected type"),
    };
    ensure!(!help.is_empty(), "its help says nothing");
    ensure!(
        name.ends_with("_total") == (kind == Kind::Counter),
        "its name is not that of a {kind:?}"
    );
    ensure!(
        name.trim_end_matches("_total").ends_with(unit.as_str()),
        "the unit {unit} is not the end of its name"
    );
    let described = Family {
        kind,
        help: help.clone(),
        unit: unit.clone(),
    };
    ensure!(
        exposition.families.insert(name.clone(), described).is_none(),
        "it is there twice"
    );
    for metric in metric {
        for (suffix, bound, value) in values(kind, metric).with_context(|| format!("{:?}", metric.label))? {
            let mut labels = labels(&metric.label)?;
            if let Some(bound) = bound {
                ensure!(labels.insert("le".to_owned(), bound).is_none(), "a label le");
            }
            let series = Series {
                name: format!("{name}{suffix}"),
                labels,
            };
            ensure!(
                exposition.samples.insert(series, value).is_none(),
                "the same labels twice"
            );
        }
    }
    Ok(())
}

fn labels(pairs: &[LabelPair]) -> Result<BTreeMap<String, String>> {
    let names: BTreeSet<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
    ensure!(names.len() == pairs.len(), "a label twice in {pairs:?}");
    Ok(pairs
        .iter()
        .map(|LabelPair { name, value }| (name.clone(), value.clone()))
        .collect())
}

/// Suffix, bound and value of each line that the text format has.
fn values(kind: Kind, metric: &Metric) -> Result<Vec<(&'static str, Option<String>, f64)>> {
    let Metric {
        label: _,
        gauge,
        counter,
        histogram,
    } = metric;
    match (kind, gauge, counter, histogram) {
        (Kind::Counter, None, Some(counter), None) => {
            ensure!(
                counter.value.is_finite() && counter.value >= 0.0,
                "a counter of {}",
                counter.value
            );
            Ok(vec![("", None, counter.value)])
        }
        (Kind::Gauge, Some(gauge), None, None) => Ok(vec![("", None, gauge.value)]),
        (Kind::Histogram, None, None, Some(histogram)) => {
            native::check(histogram)?;
            let Histogram {
                sample_count,
                sample_sum,
                bucket,
                ..
            } = histogram;
            ensure!(*sample_sum >= 0.0, "a sum of {sample_sum}");
            let mut values = vec![("_count", None, number(*sample_count)), ("_sum", None, *sample_sum)];
            for Bucket {
                cumulative_count,
                upper_bound,
            } in bucket
            {
                values.push(("_bucket", Some(bound(*upper_bound)), number(*cumulative_count)));
            }
            Ok(values)
        }
        _ => bail!("a {kind:?} has another kind of value"),
    }
}

/// As the text formats' encoder writes it.
fn bound(bound: f64) -> String {
    match bound {
        f64::INFINITY => "+Inf".to_owned(),
        whole if whole.fract() == 0.0 => format!("{whole:.1}"),
        other => other.to_string(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "so do the text formats' readers")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
