//! Prometheus protobuf: one `io.prometheus.client.MetricFamily` after the other, each after its length.

use prometheus_client::{
    encoding::prometheus_protobuf::{self, prometheus_data_model::Metric},
    registry::Registry,
};
use prost::Message;
use std::{fmt, time::Duration};

/// All families of the registry. What counts has counted since `started`, given as the time since 1970.
///
/// # Errors
/// None but the encoder's own.
pub(super) fn encode(registry: &Registry, started: Option<Duration>) -> Result<Vec<u8>, fmt::Error> {
    let mut families = prometheus_protobuf::encode(registry)?;
    let mut body = Vec::new();
    for family in &mut families {
        if let Some(started) = started {
            for metric in &mut family.metric {
                set_start(metric, started);
            }
        }
        body.append(&mut family.encode_length_delimited_to_vec());
    }
    Ok(body)
}

/// The encoder takes no start of a counter, so both kinds get theirs here.
fn set_start(metric: &mut Metric, started: Duration) {
    let counter = metric.counter.as_mut().map(|counter| &mut counter.start_timestamp);
    let histogram = metric
        .histogram
        .as_mut()
        .map(|histogram| &mut histogram.start_timestamp);
    if let Some(start) = counter.or(histogram) {
        let start = start.get_or_insert_default();
        start.seconds = started.as_secs().cast_signed();
        start.nanos = started.subsec_nanos().cast_signed();
    }
}
