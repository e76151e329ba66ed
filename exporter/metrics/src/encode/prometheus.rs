//! What Prometheus scrapes, from families: protobuf, OpenMetrics 1.0, or the text format 0.0.4. prometheus-client encodes.
//!
//! Never collects, and has no clock: the same families give the same bytes.

mod accept;
mod format;
mod native;
mod plain;
mod protobuf;
mod series;

use crate::families::Families;
pub use format::Format;
use prometheus_client::{encoding::text, registry::Registry};
use std::{fmt, sync::Arc, time::Duration};
use tcpvitals_config::Histograms;

/// Encodes families, with the buckets that `histograms` says. `started` is when the exporter began, since 1970: a choice of families
/// may leave out the one that says so.
///
/// # Errors
/// None but the encoder's own.
pub fn encode(
    families: &Arc<Families>,
    started: Option<Duration>,
    format: Format,
    histograms: &Arc<Histograms>,
) -> Result<Vec<u8>, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(series::Encoding {
        families: Arc::clone(families),
        histograms: Arc::clone(histograms),
    }));
    let mut body = String::new();
    match format {
        Format::Protobuf => return protobuf::encode(&registry, families, started),
        Format::OpenMetrics => text::encode(&mut body, &registry)?,
        Format::Text => {
            let mut openmetrics = String::new();
            text::encode(&mut openmetrics, &registry)?;
            body = plain::from_openmetrics(&openmetrics);
        }
    }
    Ok(body.into_bytes())
}
