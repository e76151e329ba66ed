//! What one request says: its metrics as samples, by name and attributes.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, ExponentialHistogramDataPoint, NumberDataPoint};

/// Texts by key.
pub type Attributes = BTreeMap<String, String>;

/// What a request says, resource and samples.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Who says it.
    pub resource: Attributes,
    /// Name and version of the instrumentation.
    pub scope: (String, String),
    /// All data points.
    pub samples: Vec<Sample>,
}

/// A data point and its metric.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What it is: `counter`, `up-down counter`, `gauge` or `exponential histogram`.
    pub kind: &'static str,
    /// Whether it is told by what it has grown.
    pub is_delta: bool,
    /// Attributes of the data point.
    pub attributes: Attributes,
    /// The time that it is for, in nanoseconds since 1970.
    pub time: (u64, u64),
    /// The value.
    pub value: Number,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// Of a sum or a gauge.
    One(f64),
    /// Of a histogram: count, sum, scale, and count by index of a bucket.
    Many(u64, f64, i32, BTreeMap<i32, u64>),
}

impl Received {
    /// Takes a request apart. Values that are no texts have no place in our attributes and would be missed by the tests.
    pub fn new(request: &ExportMetricsServiceRequest) -> Self {
        let mut received = Self::default();
        for resource in &request.resource_metrics {
            let own = resource
                .resource
                .as_ref()
                .map(|resource| attributes(&resource.attributes));
            received.resource.extend(own.unwrap_or_default());
            for scope in &resource.scope_metrics {
                if let Some(scope) = &scope.scope {
                    received.scope = (scope.name.clone(), scope.version.clone());
                }
                for metric in &scope.metrics {
                    let points = points(metric.data.as_ref());
                    received.samples.extend(points.into_iter().map(|mut sample| {
                        sample.name.clone_from(&metric.name);
                        sample.unit.clone_from(&metric.unit);
                        sample
                    }));
                }
            }
        }
        received
    }

    /// The sum over all data points of a metric with these attributes.
    pub fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        self.matching(name, wanted).fold(0.0, |sum, sample| match sample.value {
            Number::One(value) => sum + value,
            Number::Many(_, own, ..) => sum + own,
        })
    }

    /// The number of observations in all histograms of a metric with these attributes.
    pub fn observations(&self, name: &str, wanted: &[(&str, &str)]) -> u64 {
        let counts = self.matching(name, wanted).map(|sample| match sample.value {
            Number::One(_) => 0,
            Number::Many(count, ..) => count,
        });
        counts.sum()
    }

    fn matching<'a>(&'a self, name: &'a str, wanted: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Sample> {
        let has =
            |sample: &&Sample, (key, value): &(&str, &str)| sample.attributes.get(*key).is_some_and(|own| own == value);
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && wanted.iter().all(|wanted| has(sample, wanted)))
    }
}

fn points(data: Option<&Data>) -> Vec<Sample> {
    let is_delta = |temporality: i32| temporality == AggregationTemporality::Delta as i32;
    match data {
        Some(Data::Gauge(gauge)) => gauge
            .data_points
            .iter()
            .map(|point| number(point, "gauge", false))
            .collect(),
        Some(Data::Sum(sum)) => {
            let kind = if sum.is_monotonic { "counter" } else { "up-down counter" };
            let is_delta = is_delta(sum.aggregation_temporality);
            sum.data_points
                .iter()
                .map(|point| number(point, kind, is_delta))
                .collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            let is_delta = is_delta(data.aggregation_temporality);
            data.data_points
                .iter()
                .map(|point| histogram(point, is_delta))
                .collect()
        }
        Some(Data::Histogram(_) | Data::Summary(_)) | None => Vec::new(),
    }
}

fn number(point: &NumberDataPoint, kind: &'static str, is_delta: bool) -> Sample {
    let value = match point.value {
        #[expect(clippy::cast_precision_loss, reason = "a scrape has the same number as f64")]
        Some(Value::AsInt(value)) => value as f64,
        Some(Value::AsDouble(value)) => value,
        None => f64::NAN,
    };
    Sample {
        name: String::new(),
        unit: String::new(),
        kind,
        is_delta,
        attributes: attributes(&point.attributes),
        time: (point.start_time_unix_nano, point.time_unix_nano),
        value: Number::One(value),
    }
}

fn histogram(point: &ExponentialHistogramDataPoint, is_delta: bool) -> Sample {
    let positive = point.positive.clone().unwrap_or_default();
    let buckets = (positive.offset..).zip(positive.bucket_counts).collect();
    Sample {
        name: String::new(),
        unit: String::new(),
        kind: "exponential histogram",
        is_delta,
        attributes: attributes(&point.attributes),
        time: (point.start_time_unix_nano, point.time_unix_nano),
        value: Number::Many(point.count, point.sum.unwrap_or(f64::NAN), point.scale, buckets),
    }
}

fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |own: &KeyValue| {
        let Some(any_value::Value::StringValue(text)) = &own.value.as_ref()?.value else {
            return None;
        };
        Some((own.key.clone(), text.clone()))
    };
    list.iter().filter_map(text).collect()
}
