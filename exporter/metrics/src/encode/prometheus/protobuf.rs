//! Prometheus protobuf: one `io.prometheus.client.MetricFamily` after the other, each after its length.

use crate::families::{Families, Family};
use prometheus_client::{
    encoding::prometheus_protobuf::{self, prometheus_data_model::Counter},
    registry::Registry,
};
use prost::Message;
use std::{fmt, time::Duration};

/// All families of the registry, which are `families`. A counter has counted since its series began, and not before the exporter
/// `started`.
///
/// # Errors
/// None but the encoder's own.
pub(super) fn encode(
    registry: &Registry,
    Families(families): &Families,
    started: Option<Duration>,
) -> Result<Vec<u8>, fmt::Error> {
    let mut body = Vec::new();
    for (mut encoded, family) in prometheus_protobuf::encode(registry)?.into_iter().zip(families) {
        let Family { points, .. } = &**family;
        for (metric, point) in encoded.metric.iter_mut().zip(points) {
            if let (Some(counter), Some(started)) = (&mut metric.counter, started) {
                set_start(counter, point.since.max(started));
            }
        }
        body.append(&mut encoded.encode_length_delimited_to_vec());
    }
    Ok(body)
}

/// The encoder takes no start of a counter. It would take one of a histogram, and must not get it: Prometheus 3.2 to 3.5 with
/// `native-histograms` and `created-timestamp-zero-ingestion` ends with "unlock of unlocked mutex" when that lies an hour back
/// (<https://github.com/prometheus/prometheus/issues/16318>).
fn set_start(counter: &mut Counter, started: Duration) {
    let start = counter.start_timestamp.get_or_insert_default();
    start.seconds = started.as_secs().cast_signed();
    start.nanos = started.subsec_nanos().cast_signed();
}
