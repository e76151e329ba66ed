//! What the tables of the page show: the families of one collection, summed by subnet, by workload and by drop site.
//! It must never read anything but families, so that the page says what `/metrics` says.

mod connections;
mod drops;

use crate::{
    families::{Families, Family, Point, Value},
    workloads::qualified,
};

pub(super) use connections::{Connections, Of, Rtt, by_subnet, by_workload};
pub(super) use drops::{Drops, Part, Site, by_class, by_site, drops_by_workload};

/// Metrics that the page reads, by their full names.
pub(super) mod name {
    pub(in crate::encode::page) const CONNECTIONS: &str = "tcpvitals_tcp_connections";
    pub(in crate::encode::page) const OPENED: &str = "tcpvitals_tcp_connections_opened_total";
    pub(in crate::encode::page) const FAILED: &str = "tcpvitals_tcp_connections_failed_total";
    /// SYNs and SYN-ACKs sent again.
    pub(in crate::encode::page) const HANDSHAKE_RETRANSMITS: &str = "tcpvitals_tcp_handshake_retransmits_total";
    pub(in crate::encode::page) const DATA_SEGMENTS: &str = "tcpvitals_tcp_data_segments_total";
    pub(in crate::encode::page) const DATA_BYTES: &str = "tcpvitals_tcp_data_bytes_total";
    pub(in crate::encode::page) const RETRANSMITTED: &str = "tcpvitals_tcp_retransmitted_segments_total";
    /// Segments that this host dropped in the network namespace of their connection.
    pub(in crate::encode::page) const LOCALLY_DROPPED: &str = "tcpvitals_tcp_locally_dropped_segments_total";
    /// Segments retransmitted because this host had dropped them, in any network namespace.
    pub(in crate::encode::page) const AFTER_LOCAL_DROP: &str =
        "tcpvitals_tcp_retransmitted_segments_after_local_drop_total";
    pub(in crate::encode::page) const BUSY: &str = "tcpvitals_tcp_sender_busy_seconds_total";
    pub(in crate::encode::page) const LIMITED: &str = "tcpvitals_tcp_sender_limited_seconds_total";
    pub(in crate::encode::page) const RTT: &str = "tcpvitals_tcp_rtt_seconds";
    pub(in crate::encode::page) const RTT_MIN: &str = "tcpvitals_tcp_rtt_min_seconds";
    pub(in crate::encode::page) const DROPPED_PACKETS: &str = "tcpvitals_dropped_packets_total";
    /// Their bytes.
    pub(in crate::encode::page) const DROPPED_BYTES: &str = "tcpvitals_dropped_bytes_total";
}

#[cfg(test)]
pub(super) const METRICS: &[&str] = &[
    name::CONNECTIONS,
    name::OPENED,
    name::FAILED,
    name::HANDSHAKE_RETRANSMITS,
    name::DATA_SEGMENTS,
    name::DATA_BYTES,
    name::RETRANSMITTED,
    name::LOCALLY_DROPPED,
    name::AFTER_LOCAL_DROP,
    name::BUSY,
    name::LIMITED,
    name::RTT,
    name::RTT_MIN,
    name::DROPPED_PACKETS,
    name::DROPPED_BYTES,
];

/// The class of drops that are normal operation.
pub(super) const BENIGN: &str = "benign";

/// The name of the one row there is when the label that would tell rows apart is off.
pub(super) const ALL: &str = "all";

/// What is off adds nothing.
fn sum<T: std::ops::Add<Output = T>>(left: Option<T>, right: Option<T>) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left + right),
        (one, other) => one.or(other),
    }
}

/// Whose a point is, with its kind where that says more; none where the metrics do not tell.
fn workload(point: &Point) -> Option<String> {
    let name = label(point, "workload")?;
    let text = qualified(label(point, "workload_namespace").unwrap_or_default(), name);
    Some(match label(point, "workload_kind").filter(|kind| *kind != name) {
        Some(kind) => format!("{text} ({kind})"),
        None => text,
    })
}

/// The family of a metric that is on.
pub(super) fn find<'a>(families: &'a Families, full_name: &str) -> Option<&'a Family> {
    let Families(families) = families;
    let mut families = families.iter().map(|family| &**family);
    families.find(|family| family.metric.full_name() == full_name)
}

/// The value of the one series of a metric without labels.
pub(super) fn single(families: &Families, full_name: &str) -> Option<f64> {
    let point = find(families, full_name)?.points.first()?;
    number(&point.value)
}

/// The value of a label.
pub(super) fn label<'a>(point: &'a Point, name: &str) -> Option<&'a str> {
    let mut all = point.all_labels();
    all.find(|(label, _)| label.word == name).map(|(_, value)| value)
}

/// A value as a number; a histogram is none.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Count(count) => Some(crate::families::number(*count)),
        Value::Number(number) => Some(*number),
        Value::CpuTime(time) => Some(time.seconds()),
        Value::Histogram(_) => None,
    }
}

const fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Count(count) => Some(*count),
        Value::Number(_) | Value::Histogram(_) | Value::CpuTime(_) => None,
    }
}
