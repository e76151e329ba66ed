//! The text that Prometheus scrapes: OpenMetrics 1.0, and the text format 0.0.4 made from it. prometheus-client encodes.

use crate::families::{Families, Family, Kind, Point, Unit, Value};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::{self, Registry},
};
use std::{fmt, sync::Arc};

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Text,
}

impl Format {
    /// The format that an Accept header asks for: OpenMetrics if it is named, else plain text.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The Content-Type header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Encodes families.
///
/// # Errors
/// None but the encoder's own.
pub fn encode(families: &Arc<Families>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Encoding(Arc::clone(families))));
    let mut body = String::new();
    text::encode(&mut body, &registry)?;
    Ok(match format {
        Format::OpenMetrics => body,
        Format::Text => plain(&body),
    })
}

/// OpenMetrics as text 0.0.4: there the family of a counter has its suffix, and units and the end mark do not exist.
fn plain(openmetrics: &str) -> String {
    let mut body = String::with_capacity(openmetrics.len());
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        // The type of a family follows its help.
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let of_counter =
            is_counter(line) || (line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_counter(next)));
        let mut words = line.splitn(4, ' ');
        match (of_counter, words.next(), words.next(), words.next(), words.next()) {
            (true, Some(hash), Some(keyword), Some(name), Some(rest)) => {
                body.extend([hash, " ", keyword, " ", name, "_total ", rest, "\n"]);
            }
            _ => body.extend([line, "\n"]),
        }
    }
    body
}

#[derive(Debug)]
struct Encoding(Arc<Families>);

impl Collector for Encoding {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Families(families) = &*self.0;
        families
            .iter()
            .try_for_each(|family| encode_family(family, &mut encoder))
    }
}

fn encode_family(Family { metric, points }: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let name = metric.name_without_unit();
    let unit = match metric.unit {
        Unit::None => None,
        Unit::Seconds => Some(registry::Unit::Seconds),
        Unit::Bytes => Some(registry::Unit::Bytes),
        Unit::Segments => Some(registry::Unit::Other(metric.unit.as_str().to_owned())),
    };
    let kind = match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let mut family = encoder.encode_descriptor(&name, &format!("{}.", metric.help), unit.as_ref(), kind)?;
    for point in points {
        let labels = Labels(point);
        let mut series = family.encode_family(&labels)?;
        match (&point.value, metric.kind) {
            (Value::Count(count), Kind::Counter) => series.encode_counter::<NoLabelSet, _, f64>(count, None)?,
            (Value::Number(number), Kind::Counter) => series.encode_counter::<NoLabelSet, _, f64>(number, None)?,
            (Value::Count(count), _) => series.encode_gauge(count)?,
            (Value::Number(number), _) => series.encode_gauge(number)?,
            (Value::Histogram(value), _) => {
                series.encode_histogram::<NoLabelSet>(value.sum, value.count(), &value.classic(), None)?;
            }
        }
    }
    Ok(())
}

struct Labels<'a>(&'a Point);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Point { labels, own, value: _ } = self.0;
        for (name, value) in labels.iter().chain(own) {
            let mut label = encoder.encode_label();
            let mut key = label.encode_label_key()?;
            fmt::Write::write_str(&mut key, name)?;
            let mut text = key.encode_label_value()?;
            fmt::Write::write_str(&mut text, value)?;
            text.finish()?;
        }
        Ok(())
    }
}
