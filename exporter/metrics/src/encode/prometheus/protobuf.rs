//! Prometheus protobuf: one `io.prometheus.client.MetricFamily` after the other, each after its length.

use prometheus_client::{
    encoding::prometheus_protobuf::{self, prometheus_data_model::Counter},
    registry::Registry,
};
use prost::Message;
use std::{fmt, time::Duration};

/// All families of the registry. Counters have counted since `started`, given as the time since 1970.
///
/// # Errors
/// None but the encoder's own.
pub(super) fn encode(registry: &Registry, started: Option<Duration>) -> Result<Vec<u8>, fmt::Error> {
    let mut families = prometheus_protobuf::encode(registry)?;
    let mut body = Vec::new();
    for family in &mut families {
        if let Some(started) = started {
            let metrics = family.metric.iter_mut();
            metrics
                .filter_map(|metric| metric.counter.as_mut())
                .for_each(|counter| set_start(counter, started));
        }
        body.append(&mut family.encode_length_delimited_to_vec());
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
