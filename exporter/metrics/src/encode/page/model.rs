//! What the tables of the page show: the families of one collection, summed by subnet, by workload and by drop site.
//! It must never read anything but families, so that the page says what `/metrics` says.

use crate::{
    families::{Families, Family, HistogramValue, Point, Value},
    workloads::qualified,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Metrics that the page reads, by their full names.
pub(super) mod name {
    pub(in crate::encode::page) const CONNECTIONS: &str = "tcpvitals_tcp_connections";
    pub(in crate::encode::page) const DATA_SEGMENTS: &str = "tcpvitals_tcp_data_segments_total";
    pub(in crate::encode::page) const RETRANSMITTED: &str = "tcpvitals_tcp_retransmitted_segments_total";
    /// Segments that this host dropped.
    pub(in crate::encode::page) const LOCALLY_DROPPED: &str = "tcpvitals_tcp_locally_dropped_segments_total";
    pub(in crate::encode::page) const RTT: &str = "tcpvitals_tcp_rtt_seconds";
    pub(in crate::encode::page) const DROPPED_PACKETS: &str = "tcpvitals_dropped_packets_total";
    /// Their bytes.
    pub(in crate::encode::page) const DROPPED_BYTES: &str = "tcpvitals_dropped_bytes_total";
}

#[cfg(test)]
pub(super) const METRICS: &[&str] = &[
    name::CONNECTIONS,
    name::DATA_SEGMENTS,
    name::RETRANSMITTED,
    name::LOCALLY_DROPPED,
    name::RTT,
    name::DROPPED_PACKETS,
    name::DROPPED_BYTES,
];

/// The class of drops that are normal operation.
pub(super) const BENIGN: &str = "benign";

/// The name of the one row there is when the label that would tell rows apart is off.
const ALL: &str = "all";

/// Everything counted of the connections of one subnet. What is off on this kernel is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Connections {
    /// Live connections: what is so now, not a count, so the script has no use for it.
    #[serde(skip)]
    pub(super) live: Option<f64>,
    /// Segments with payload sent, retransmissions included.
    pub(super) sent: Option<u64>,
    /// Of these, sent again.
    pub(super) again: Option<u64>,
    /// Segments that this host itself dropped on their way out.
    pub(super) dropped: Option<u64>,
    /// Round-trip times; none also where none was measured.
    pub(super) rtt: Option<Rtt>,
}

/// Round-trip times in exponential buckets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Rtt {
    /// 2^schema buckets per power of two.
    pub(super) schema: i32,
    /// Index and count of the buckets that are not empty: the upper bound of index i is 2^(i / 2^schema) seconds.
    pub(super) buckets: BTreeMap<i32, u64>,
    /// Index of the last bucket, which also holds what is longer.
    pub(super) last: i32,
}

/// Packets dropped at one site.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Drops {
    pub(super) packets: u64,
    /// Their bytes, where they are known.
    pub(super) bytes: Option<u64>,
}

/// What tells drop sites apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    /// Kernel function, trap, or XDP program.
    pub(super) location: String,
    pub(super) reason: String,
    /// What that means to an operator.
    pub(super) class: String,
    pub(super) source: String,
}

impl Connections {
    /// Adds those of another subnet.
    pub(super) fn merge(&mut self, other: &Self) {
        let Self {
            live,
            sent,
            again,
            dropped,
            rtt,
        } = other;
        self.live = sum(self.live, *live);
        self.sent = sum(self.sent, *sent);
        self.again = sum(self.again, *again);
        self.dropped = sum(self.dropped, *dropped);
        match (&mut self.rtt, rtt) {
            (Some(own), Some(more)) => own.merge(more),
            (own @ None, Some(more)) => *own = Some(more.clone()),
            (_, None) => {}
        }
    }
}

impl Rtt {
    fn new(value: &HistogramValue) -> Self {
        let buckets = (value.first..).zip(&value.buckets);
        let last = value
            .first
            .saturating_add(i32::try_from(value.buckets.len()).unwrap_or(0))
            - 1;
        Self {
            schema: value.schema,
            buckets: buckets
                .filter(|(_, count)| **count != 0)
                .map(|(index, count)| (index, *count))
                .collect(),
            last,
        }
    }

    fn merge(&mut self, other: &Self) {
        for (index, count) in &other.buckets {
            *self.buckets.entry(*index).or_default() += count;
        }
    }
}

impl Drops {
    /// Adds those of another site.
    pub(super) fn merge(&mut self, other: &Self) {
        let Self { packets, bytes } = other;
        self.packets += packets;
        self.bytes = sum(self.bytes, *bytes);
    }
}

/// What is off adds nothing.
fn sum<T: std::ops::Add<Output = T>>(left: Option<T>, right: Option<T>) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left + right),
        (one, other) => one.or(other),
    }
}

/// The connections by subnet; none when no metric of the table is on.
pub(super) fn by_subnet(families: &Families) -> Option<BTreeMap<String, Connections>> {
    connections_by(families, |point| Some(label(point, "subnet").unwrap_or(ALL).to_owned()))
}

/// The connections by workload; none where the metrics do not tell workloads apart.
pub(super) fn by_workload(families: &Families) -> Option<BTreeMap<String, Connections>> {
    connections_by(families, workload).filter(|rows| !rows.is_empty())
}

fn connections_by(
    families: &Families,
    key: impl Fn(&Point) -> Option<String>,
) -> Option<BTreeMap<String, Connections>> {
    type Add = fn(&mut Connections, &Value);
    let columns: [(&str, Add); 5] = [
        (name::CONNECTIONS, |row, value| row.live = sum(row.live, number(value))),
        (name::DATA_SEGMENTS, |row, value| row.sent = sum(row.sent, count(value))),
        (name::RETRANSMITTED, |row, value| {
            row.again = sum(row.again, count(value))
        }),
        (name::LOCALLY_DROPPED, |row, value| {
            row.dropped = sum(row.dropped, count(value))
        }),
        (name::RTT, |row, value| {
            if let Value::Histogram(value) = value {
                row.merge(&Connections {
                    rtt: Some(Rtt::new(value)),
                    ..Connections::default()
                });
            }
        }),
    ];
    let mut rows: BTreeMap<String, Connections> = BTreeMap::new();
    let mut any = false;
    for (name, add) in columns {
        let Some(family) = find(families, name) else { continue };
        any = true;
        // Of segments with payload the table counts those sent.
        for point in family
            .points
            .iter()
            .filter(|point| label(point, "direction") != Some("receive"))
        {
            if let Some(key) = key(point) {
                add(rows.entry(key).or_default(), &point.value);
            }
        }
    }
    any.then_some(rows)
}

/// Drops by site; none when they are off.
pub(super) fn by_site(families: &Families) -> Option<BTreeMap<Site, Drops>> {
    drops_by(families, |point| Some(site(point)))
}

/// Drops by workload, without normal operation; none where the metrics do not tell workloads apart.
pub(super) fn drops_by_workload(families: &Families) -> Option<BTreeMap<String, Drops>> {
    let counts = |point: &Point| label(point, "class") != Some(BENIGN);
    let rows = drops_by(families, |point| workload(point).filter(|_| counts(point)));
    rows.filter(|rows| !rows.is_empty())
}

fn drops_by<K: Ord>(families: &Families, key: impl Fn(&Point) -> Option<K>) -> Option<BTreeMap<K, Drops>> {
    let mut rows: BTreeMap<K, Drops> = BTreeMap::new();
    for point in &find(families, name::DROPPED_PACKETS)?.points {
        if let Some(key) = key(point) {
            rows.entry(key).or_default().packets += count(&point.value).unwrap_or(0);
        }
    }
    let of_bytes = find(families, name::DROPPED_BYTES);
    for point in of_bytes.iter().flat_map(|family| &family.points) {
        if let Some(key) = key(point) {
            let row = rows.entry(key).or_default();
            row.bytes = sum(row.bytes, count(&point.value));
        }
    }
    Some(rows)
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

fn site(point: &Point) -> Site {
    let value = |name| label(point, name).unwrap_or(ALL).to_owned();
    Site {
        location: value("location"),
        reason: value("reason"),
        class: value("class"),
        source: value("source"),
    }
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
