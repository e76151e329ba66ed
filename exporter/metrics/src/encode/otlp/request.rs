//! Readings as messages of OTLP, which the SDK cannot make: it takes no histograms that exist already.
//! It must never read a clock or know how requests travel. From readings; to the clients.

use super::{
    histogram,
    reading::{Reading, Readings},
};
use crate::families::{self, Point, Value, number, semantic::Instrument};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, ExponentialHistogram, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
        Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use tcpvitals_config::Temporality;

/// The version of the semantic conventions that names, units and attributes follow.
pub const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

pub fn request(
    resource: &Resource,
    temporality: Temporality,
    readings: Vec<Readings<'_>>,
) -> ExportMetricsServiceRequest {
    let told = readings.into_iter().filter(|(_, readings)| !readings.is_empty());
    let metrics = told
        .map(|(own, readings)| metric(own, temporality, &readings))
        .collect();
    let scope_metrics = ScopeMetrics {
        scope: Some(InstrumentationScope {
            name: families::PREFIX.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }),
        metrics,
        schema_url: SCHEMA.to_owned(),
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![scope_metrics],
            schema_url: SCHEMA.to_owned(),
        }],
    }
}

/// Whether there is anything in it.
pub fn is_empty(request: &ExportMetricsServiceRequest) -> bool {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    scopes.map(|scope| scope.metrics.len()).sum::<usize>() == 0
}

/// An attribute whose value is a text.
pub fn attribute(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

fn metric(metric: &'static families::Metric, temporality: Temporality, readings: &[Reading<'_>]) -> Metric {
    let chosen = match temporality {
        Temporality::Cumulative => AggregationTemporality::Cumulative,
        Temporality::Delta => AggregationTemporality::Delta,
    };
    let numbers = || readings.iter().map(|reading| number_point(metric, reading)).collect();
    let sum = |temporality: AggregationTemporality, is_monotonic| {
        Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: temporality.into(),
            is_monotonic,
        })
    };
    let data = match metric.instrument() {
        Instrument::Counter => sum(chosen, true),
        Instrument::UpDownCounter => sum(AggregationTemporality::Cumulative, false),
        Instrument::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Instrument::Histogram => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: readings.iter().filter_map(histogram_point).collect(),
            aggregation_temporality: chosen.into(),
        }),
    };
    Metric {
        name: metric.dotted_name(),
        description: metric.sentence() + ".",
        unit: metric.unit.ucum().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number_point(metric: &families::Metric, reading: &Reading<'_>) -> NumberDataPoint {
    let value = match &*reading.value {
        Value::Count(count) => number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX)),
        Value::Number(number) => number_data_point::Value::AsDouble(*number),
        // No metric of numbers has one.
        Value::Histogram(histogram) => number_data_point::Value::AsDouble(number(histogram.count())),
    };
    NumberDataPoint {
        attributes: attributes(reading.point),
        // A gauge is for one moment.
        start_time_unix_nano: match metric.instrument() {
            Instrument::Gauge => 0,
            Instrument::Counter | Instrument::UpDownCounter | Instrument::Histogram => reading.since,
        },
        time_unix_nano: reading.until,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram_point(
    Reading {
        point,
        value,
        since,
        until,
    }: &Reading<'_>,
) -> Option<opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint> {
    let Value::Histogram(value) = &**value else {
        return None;
    };
    let mut data_point = histogram::data_point(value, *since, *until);
    data_point.attributes = attributes(point);
    Some(data_point)
}

/// A label without a value is no attribute.
fn attributes(point: &Point) -> Vec<KeyValue> {
    let labels = point.all_labels().filter(|(_, value)| !value.is_empty());
    labels.map(|(label, value)| attribute(label.attribute, value)).collect()
}
