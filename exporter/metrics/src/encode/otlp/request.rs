//! Readings as messages of OTLP, which the SDK cannot make: it takes no histograms that exist already.
//! It must never read a clock or know how requests travel. From readings; to the clients.

pub use super::attribute::attribute;
use super::{
    histogram,
    owner::Owner,
    reading::{Reading, Readings},
};
use crate::families::{self, Point, Value, buckets_of, number, semantic::Instrument};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, ExponentialHistogram, Gauge, Histogram, Metric, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use tcpvitals_config::{Histograms, Names, Temporality, label::Label};

/// The version of the semantic conventions that names, units and attributes follow.
pub const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Whether time was spent in the process or in the kernel for it.
const CPU_MODE: &str = "cpu.mode";

/// How readings are told.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    pub temporality: Temporality,
    pub names: Names,
    /// The classic buckets that histograms have; without them they are exponential.
    pub explicit: Option<&'a Histograms>,
}

impl Style<'_> {
    /// By the conventions, with exponential histograms.
    pub const fn conventional(temporality: Temporality) -> Self {
        Self {
            temporality,
            names: Names::Conventions,
            explicit: None,
        }
    }

    fn name(&self, metric: &families::Metric) -> String {
        match self.names {
            Names::Conventions => metric.dotted_name(),
            // Receivers add unit and `_total` only where they are missing.
            Names::Prometheus => metric.full_name(),
        }
    }

    /// A label without a value is no attribute.
    fn attributes(&self, point: &Point) -> Vec<KeyValue> {
        let labels = point.all_labels().filter(|(_, value)| !value.is_empty());
        match self.names {
            Names::Conventions => {
                let owner = Owner::of(point);
                let own = labels.map(|(label, value)| attribute(owner.key(label, value), conventional(label, value)));
                own.chain(owner.controller()).collect()
            }
            Names::Prometheus => labels.map(|(label, value)| attribute(label.word, value)).collect(),
        }
    }

    fn aggregation(&self) -> AggregationTemporality {
        match self.temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        }
    }
}

/// The conventions have a word of their own for an error that is none of the others.
fn conventional<'a>(label: &Label, value: &'a str) -> &'a str {
    match (label.attribute, value) {
        ("error.type", "other") => "_OTHER",
        _ => value,
    }
}

pub fn request(resource: &Resource, style: Style<'_>, readings: Vec<Readings<'_>>) -> ExportMetricsServiceRequest {
    let told = readings.into_iter().filter(|(_, readings)| !readings.is_empty());
    let metrics = told.map(|(own, readings)| metric(own, style, &readings)).collect();
    let scope_metrics = ScopeMetrics {
        scope: Some(InstrumentationScope {
            name: families::PREFIX.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }),
        metrics,
        schema_url: match style.names {
            Names::Conventions => SCHEMA.to_owned(),
            Names::Prometheus => String::new(),
        },
    };
    let resource = match style.names {
        Names::Conventions => resource.clone(),
        Names::Prometheus => targeted(resource),
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![scope_metrics],
            schema_url: SCHEMA.to_owned(),
        }],
    }
}

/// With the labels of a target of Prometheus. That makes them itself, the same way: the namespace of a service comes before its name.
/// Others make labels of a resource's attributes.
fn targeted(resource: &Resource) -> Resource {
    let text = |key: &str| {
        let found = resource.attributes.iter().find(|attribute| attribute.key == key)?;
        let Some(any_value::Value::StringValue(text)) = &found.value.as_ref()?.value else {
            return None;
        };
        Some(text.clone())
    };
    let job = text("service.name").map(|name| match text("service.namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    });
    let labels = [("job", job), ("instance", text("service.instance.id"))];
    let missing = labels.into_iter().filter(|&(label, _)| text(label).is_none());
    let made = missing.filter_map(|(label, value)| Some(attribute(label, value?)));
    let mut targeted = resource.clone();
    targeted.attributes.extend(made);
    targeted
}

/// Whether there is anything in it.
pub fn is_empty(request: &ExportMetricsServiceRequest) -> bool {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    scopes.map(|scope| scope.metrics.len()).sum::<usize>() == 0
}

fn metric(metric: &'static families::Metric, style: Style<'_>, readings: &[Reading<'_>]) -> Metric {
    let numbers = || {
        let points = |reading| number_points(metric, style, reading);
        readings.iter().flat_map(points).collect()
    };
    let sum = |temporality: AggregationTemporality, is_monotonic| {
        Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: temporality.into(),
            is_monotonic,
        })
    };
    let data = match metric.instrument() {
        Instrument::Counter => sum(style.aggregation(), true),
        Instrument::UpDownCounter => sum(AggregationTemporality::Cumulative, false),
        Instrument::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Instrument::Histogram => histograms(metric, style, readings),
    };
    Metric {
        name: style.name(metric),
        description: metric.sentence() + ".",
        unit: metric.unit.ucum().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// One point, but for the time on CPUs, which the conventions tell by mode.
fn number_points(metric: &families::Metric, style: Style<'_>, reading: &Reading<'_>) -> Vec<NumberDataPoint> {
    use number_data_point::Value::{AsDouble, AsInt};
    let point = |mode: Option<&str>, value| {
        let mut attributes = style.attributes(reading.point);
        attributes.extend(mode.map(|mode| attribute(CPU_MODE, mode)));
        NumberDataPoint {
            attributes,
            // A gauge is for one moment.
            start_time_unix_nano: match metric.instrument() {
                Instrument::Gauge => 0,
                Instrument::Counter | Instrument::UpDownCounter | Instrument::Histogram => reading.since,
            },
            time_unix_nano: reading.until,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    };
    match (&*reading.value, style.names) {
        (Value::Count(count), _) => vec![point(None, AsInt(i64::try_from(*count).unwrap_or(i64::MAX)))],
        (Value::Number(number), _) => vec![point(None, AsDouble(*number))],
        (Value::CpuTime(time), Names::Prometheus) => vec![point(None, AsDouble(time.seconds()))],
        (Value::CpuTime(time), Names::Conventions) => {
            let modes = time.by_mode();
            modes.map(|(mode, seconds)| point(Some(mode), AsDouble(seconds))).into()
        }
        // No metric of numbers has one.
        (Value::Histogram(histogram), _) => vec![point(None, AsDouble(number(histogram.count())))],
    }
}

fn histograms(metric: &families::Metric, style: Style<'_>, readings: &[Reading<'_>]) -> Data {
    let values = readings.iter().filter_map(|reading| match &*reading.value {
        Value::Histogram(value) => Some((reading, value)),
        Value::Count(_) | Value::Number(_) | Value::CpuTime(_) => None,
    });
    let aggregation_temporality = style.aggregation().into();
    match style.explicit.map(|histograms| buckets_of(histograms, metric)) {
        None => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: values
                .map(|(reading, value)| {
                    let mut data_point = histogram::data_point(value, reading.since, reading.until);
                    data_point.attributes = style.attributes(reading.point);
                    data_point
                })
                .collect(),
            aggregation_temporality,
        }),
        Some(buckets) => Data::Histogram(Histogram {
            data_points: values
                .map(|(reading, value)| {
                    let (since, until) = (reading.since, reading.until);
                    let mut data_point = histogram::explicit_data_point(value, buckets, since, until);
                    data_point.attributes = style.attributes(reading.point);
                    data_point
                })
                .collect(),
            aggregation_temporality,
        }),
    }
}
