//! What Prometheus scrapes, from families: protobuf, OpenMetrics 1.0, or the text format 0.0.4. prometheus-client encodes.
//!
//! Never collects, and has no clock: the same families give the same bytes.

mod accept;
mod native;
mod plain;
mod protobuf;
mod series;

use crate::families::Families;
use prometheus_client::{encoding::text, registry::Registry};
use std::{fmt, sync::Arc};
use tcpvitals_config::Histograms;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0, without `_created`: what is no comment there is a series to Prometheus and others, so that it would
    /// double the number of counters in a database. Who wants the start of a counter asks for protobuf.
    OpenMetrics,
    /// Prometheus protobuf, delimited by lengths: native beside classic buckets, and since when counters count.
    Protobuf,
}

impl Format {
    /// All of them. What a client would take in the same way gets the first.
    pub const ALL: [Self; 3] = [Self::Text, Self::OpenMetrics, Self::Protobuf];

    /// The format that Accept headers ask for, else text.
    pub fn accepted(headers: &[&str]) -> Self {
        accept::negotiate(headers).unwrap_or(Self::Text)
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// Encodes families, with the buckets that `histograms` says.
///
/// # Errors
/// None but the encoder's own.
pub fn encode(families: &Arc<Families>, format: Format, histograms: &Arc<Histograms>) -> Result<Vec<u8>, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(series::Encoding {
        families: Arc::clone(families),
        histograms: Arc::clone(histograms),
    }));
    let mut body = String::new();
    match format {
        Format::Protobuf => return protobuf::encode(&registry, families),
        Format::OpenMetrics => text::encode(&mut body, &registry)?,
        Format::Text => {
            let mut openmetrics = String::new();
            text::encode(&mut openmetrics, &registry)?;
            body = plain::from_openmetrics(&openmetrics);
        }
    }
    Ok(body.into_bytes())
}
