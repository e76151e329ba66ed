//! Connections by subnet and by workload, and what their shares are of.

use super::{ALL, count, find, label, name, number, sum, workload};
use crate::families::{self, Families, HistogramValue, Point, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything counted of the connections of one subnet. What is off on this kernel is none.
///
/// The script of the page subtracts the counts of two collections; what is so now, and is no count, it leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::encode::page) struct Connections {
    /// Live connections.
    #[serde(skip)]
    pub(in crate::encode::page) live: Option<f64>,
    /// The smallest round-trip time in the lives of live connections, in seconds.
    #[serde(skip)]
    pub(in crate::encode::page) floor: Option<f64>,
    /// Name of the workload, without namespace and kind; "" where the metrics do not tell.
    #[serde(skip)]
    pub(in crate::encode::page) workload: String,
    /// The same connections by application protocol, without round-trip times.
    #[serde(skip)]
    pub(in crate::encode::page) services: BTreeMap<String, Self>,
    /// Segments with payload sent, retransmissions included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) sent: Option<u64>,
    /// Of these, retransmissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) again: Option<u64>,
    /// Segments that this host itself dropped on their way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) dropped: Option<u64>,
    /// Retransmissions of what this host had dropped, wherever it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) repaired: Option<u64>,
    /// Connections that were established from here; from both ends where the metrics do not tell roles apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) opened: Option<u64>,
    /// Opens that failed, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::encode::page) failed: BTreeMap<String, u64>,
    /// SYNs that were retransmitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) syns: Option<u64>,
    /// Seconds in which senders had something to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) busy: Option<f64>,
    /// Of these, those that waited for the receive window of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) peer: Option<f64>,
    /// Of these, those that waited for the send buffer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) buffer: Option<f64>,
    /// Bytes of payload sent, retransmissions included.
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) transmitted: Option<u64>,
    /// Bytes of payload received.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) received: Option<u64>,
    /// Round-trip times; none also where none was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::encode::page) rtt: Option<Rtt>,
}

/// Round-trip times in exponential buckets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::encode::page) struct Rtt {
    /// 2^schema buckets per power of two.
    pub(in crate::encode::page) schema: i32,
    /// Index and count of the buckets that are not empty: the upper bound of index i is 2^(i / 2^schema) seconds.
    pub(in crate::encode::page) buckets: BTreeMap<i32, u64>,
    /// Index of the last bucket, which also holds what is longer.
    pub(in crate::encode::page) last: i32,
}

/// A part of a whole: events of those that could have been one, or seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::encode::page) struct Of {
    pub(in crate::encode::page) part: f64,
    pub(in crate::encode::page) whole: f64,
}

impl Of {
    fn new(part: u64, whole: u64) -> Self {
        let [part, whole] = [part, whole].map(families::number);
        Self { part, whole }
    }

    /// 0 to 1; none of nothing.
    pub(in crate::encode::page) fn share(self) -> Option<f64> {
        (self.whole > 0.0).then(|| (self.part / self.whole).min(1.0))
    }
}

/// Reasons of opens that failed for the application's own sake, or nobody knows why; alerts leave them out too.
const NO_FAILURES: [&str; 2] = ["cancelled", "other"];

impl Connections {
    /// Retransmitted segments of those sent.
    pub(in crate::encode::page) fn retransmitted(&self) -> Option<Of> {
        Some(Of::new(self.again?, self.sent?))
    }

    /// Of the retransmitted segments, those that this host itself had dropped before.
    pub(in crate::encode::page) fn ours(&self) -> Option<Of> {
        Some(Of::new(self.repaired?, self.again?))
    }

    /// Segments dropped here of those that were to be sent.
    pub(in crate::encode::page) fn dropped_here(&self) -> Option<Of> {
        let dropped = self.dropped.max(self.repaired)?;
        Some(Of::new(dropped, self.sent? + dropped))
    }

    /// Opens that failed of those tried.
    pub(in crate::encode::page) fn opens_failed(&self) -> Option<Of> {
        let failed = self.failures().map(|(_, count)| count).sum();
        Some(Of::new(failed, self.opened? + failed))
    }

    /// Opens that failed, by reason.
    pub(in crate::encode::page) fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        let known = self.failed.iter().map(|(reason, count)| (reason.as_str(), *count));
        known.filter(|(reason, count)| *count > 0 && !NO_FAILURES.contains(reason))
    }

    /// Seconds in which senders waited for their peers, of those in which they had something to send.
    pub(in crate::encode::page) fn waits(&self) -> Option<Of> {
        let (part, whole) = (self.peer?, self.busy?);
        Some(Of { part, whole })
    }

    /// Whether nothing at all was counted.
    pub(in crate::encode::page) fn is_quiet(&self) -> bool {
        let counts = [
            self.sent,
            self.dropped,
            self.repaired,
            self.opened,
            self.syns,
            self.received,
        ];
        let tried = self.failures().next().is_some();
        !tried && counts.into_iter().flatten().all(|count| count == 0)
    }

    /// Adds those of another subnet.
    pub(in crate::encode::page) fn merge(&mut self, other: &Self) {
        let Self {
            live,
            floor,
            workload: _,
            services: _,
            sent,
            again,
            dropped,
            repaired,
            opened,
            failed,
            syns,
            busy,
            peer,
            buffer,
            transmitted,
            received,
            rtt,
        } = other;
        for (own, more) in [
            (&mut self.live, live),
            (&mut self.busy, busy),
            (&mut self.peer, peer),
            (&mut self.buffer, buffer),
        ] {
            *own = sum(*own, *more);
        }
        for (own, more) in [
            (&mut self.sent, sent),
            (&mut self.again, again),
            (&mut self.dropped, dropped),
            (&mut self.repaired, repaired),
            (&mut self.opened, opened),
            (&mut self.syns, syns),
            (&mut self.transmitted, transmitted),
            (&mut self.received, received),
        ] {
            *own = sum(*own, *more);
        }
        self.floor = smaller(self.floor, *floor);
        for (reason, count) in failed {
            *self.failed.entry(reason.clone()).or_default() += count;
        }
        match (&mut self.rtt, rtt) {
            (Some(own), Some(more)) => own.merge(more),
            (own @ None, Some(more)) => *own = Some(more.clone()),
            (_, None) => {}
        }
    }
}

fn smaller(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
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

/// The connections by subnet; none when no metric of the table is on.
pub(in crate::encode::page) fn by_subnet(families: &Families) -> Option<BTreeMap<String, Connections>> {
    connections_by(families, |point| Some(label(point, "subnet").unwrap_or(ALL).to_owned()))
}

/// The connections by workload; none where the metrics do not tell workloads apart.
pub(in crate::encode::page) fn by_workload(families: &Families) -> Option<BTreeMap<String, Connections>> {
    connections_by(families, workload).filter(|rows| !rows.is_empty())
}

/// How the series of a metric adds to a row.
type Add = fn(&mut Connections, &Point);

const COLUMNS: &[(&str, Add)] = &[
    (name::CONNECTIONS, |row, point| {
        row.live = sum(row.live, number(&point.value))
    }),
    (name::RTT_MIN, |row, point| {
        row.floor = smaller(row.floor, number(&point.value))
    }),
    (name::DATA_SEGMENTS, |row, point| {
        if is(point, "direction", "transmit") {
            row.sent = sum(row.sent, count(&point.value));
        }
    }),
    (name::DATA_BYTES, |row, point| {
        let way = if is(point, "direction", "transmit") {
            &mut row.transmitted
        } else {
            &mut row.received
        };
        *way = sum(*way, count(&point.value));
    }),
    (name::RETRANSMITTED, |row, point| {
        row.again = sum(row.again, count(&point.value))
    }),
    (name::LOCALLY_DROPPED, |row, point| {
        row.dropped = sum(row.dropped, count(&point.value))
    }),
    (name::AFTER_LOCAL_DROP, |row, point| {
        row.repaired = sum(row.repaired, count(&point.value))
    }),
    (name::OPENED, |row, point| {
        if !is(point, "role", "server") {
            row.opened = sum(row.opened, count(&point.value));
        }
    }),
    (name::FAILED, |row, point| {
        if let (Some(reason), Some(count)) = (label(point, "reason"), count(&point.value)) {
            *row.failed.entry(reason.to_owned()).or_default() += count;
        }
    }),
    (name::HANDSHAKE_RETRANSMITS, |row, point| {
        if is(point, "segment", "syn") {
            row.syns = sum(row.syns, count(&point.value));
        }
    }),
    (name::BUSY, |row, point| row.busy = sum(row.busy, number(&point.value))),
    (name::LIMITED, |row, point| {
        let limit = if is(point, "limit", "receive_window") {
            &mut row.peer
        } else {
            &mut row.buffer
        };
        *limit = sum(*limit, number(&point.value));
    }),
];

fn is(point: &Point, name: &str, value: &str) -> bool {
    label(point, name) == Some(value)
}

fn connections_by(
    families: &Families,
    key: impl Fn(&Point) -> Option<String>,
) -> Option<BTreeMap<String, Connections>> {
    let mut rows: BTreeMap<String, Connections> = BTreeMap::new();
    let mut any = false;
    for (name, add) in COLUMNS {
        let Some(family) = find(families, name) else { continue };
        any = true;
        for point in &family.points {
            let Some(key) = key(point) else { continue };
            let row = rows.entry(key).or_default();
            add(row, point);
            if row.workload.is_empty() {
                label(point, "workload")
                    .unwrap_or_default()
                    .clone_into(&mut row.workload);
            }
            if let Some(service) = label(point, "app_protocol") {
                add(row.services.entry(service.to_owned()).or_default(), point);
            }
        }
    }
    if let Some(family) = find(families, name::RTT) {
        any = true;
        for point in &family.points {
            if let (Some(key), Value::Histogram(value)) = (key(point), &point.value) {
                rows.entry(key).or_default().merge(&Connections {
                    rtt: Some(Rtt::new(value)),
                    ..Connections::default()
                });
            }
        }
    }
    any.then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_could_have_been() {
        let row = Connections {
            sent: Some(90),
            again: Some(9),
            dropped: Some(10),
            repaired: Some(4),
            opened: Some(3),
            failed: [("refused", 1), ("cancelled", 7), ("timed_out", 0)]
                .map(|(reason, count)| (reason.to_owned(), count))
                .into(),
            busy: Some(0.0),
            peer: Some(0.0),
            ..Connections::default()
        };
        let shares = [row.retransmitted(), row.dropped_here(), row.opens_failed(), row.waits()];
        assert_eq!(
            shares.map(|of| of.and_then(Of::share)),
            [Some(0.1), Some(0.1), Some(0.25), None]
        );
        assert_eq!(row.failures().collect::<Vec<_>>(), [("refused", 1)]);
        assert!(!row.is_quiet() && Connections::default().is_quiet());
        // What only the host's side of a pod dropped counts too.
        let pod = Connections {
            sent: Some(6),
            dropped: Some(0),
            repaired: Some(2),
            ..Connections::default()
        };
        assert_eq!(pod.dropped_here(), Some(Of { part: 2.0, whole: 8.0 }));
    }
}
