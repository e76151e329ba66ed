//! Families as values for the encoders of prometheus-client. It knows no format: those without native buckets leave them out.

use super::native::Native;
use crate::families::{Families, Family, Kind, Point, Unit, Value, buckets_of};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry,
};
use std::{fmt, sync::Arc};
use tcpvitals_config::Histograms;

/// Collects what was collected.
#[derive(Debug)]
pub(super) struct Encoding {
    pub(super) families: Arc<Families>,
    pub(super) histograms: Arc<Histograms>,
}

impl Collector for Encoding {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Families(families) = &*self.families;
        families
            .iter()
            .try_for_each(|family| encode_family(family, &self.histograms, &mut encoder))
    }
}

fn encode_family(family: &Family, histograms: &Histograms, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Family { metric, points } = family;
    let buckets = buckets_of(histograms, family.metric);
    let name = metric.name_without_unit();
    let unit = match metric.unit {
        Unit::Counted(_) => None,
        Unit::Seconds => Some(registry::Unit::Seconds),
        Unit::Bytes => Some(registry::Unit::Bytes),
        Unit::Segments | Unit::BytesPerSecond | Unit::Ratio => {
            Some(registry::Unit::Other(metric.unit.as_str().to_owned()))
        }
    };
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut encoded = encoder.encode_descriptor(&name, &(metric.sentence() + "."), unit.as_ref(), kind)?;
    let encode = |point: &Point, series: &mut MetricEncoder<'_>| match (&point.value, metric.kind) {
        (Value::Count(count), Kind::Counter) => series.encode_counter::<NoLabelSet, _, f64>(count, None),
        (Value::Number(number), Kind::Counter) => series.encode_counter::<NoLabelSet, _, f64>(number, None),
        (Value::CpuTime(time), _) => series.encode_counter::<NoLabelSet, _, f64>(&time.seconds(), None),
        (Value::Count(count), _) => series.encode_gauge(count),
        (Value::Number(number), _) => series.encode_gauge(number),
        (Value::Histogram(value), _) if !histograms.native => {
            let classic = value.classic(buckets);
            series.encode_histogram::<NoLabelSet>(value.sum, value.count(), &classic, None)
        }
        (Value::Histogram(value), _) => series.encode_histogram_with_native::<NoLabelSet>(
            value.sum,
            value.count(),
            &value.classic(buckets),
            None,
            Native::from(value).borrowed(),
        ),
    };
    for point in points {
        // An empty set would be written as braces with nothing between.
        if point.all_labels().next().is_none() {
            encode(point, &mut encoded)?;
        } else {
            encode(point, &mut encoded.encode_family(&Labels(point))?)?;
        }
    }
    Ok(())
}

struct Labels<'a>(&'a Point);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.0.all_labels() {
            let mut label = encoder.encode_label();
            let mut key = label.encode_label_key()?;
            fmt::Write::write_str(&mut key, name.word)?;
            let mut text = key.encode_label_value()?;
            fmt::Write::write_str(&mut text, value)?;
            text.finish()?;
        }
        Ok(())
    }
}
