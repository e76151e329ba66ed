//! What connections did between two readings, by subnet or by workload: what `top` shows. Pure.

use super::drops::table::per_second;
use crate::{
    families::number,
    findings::rules::FAILURES,
    labels::{LabelSet, value_of},
    snapshot::Group,
    workloads::qualified,
};
use common::{
    histogram::{RTT_BOUNDS, RTT_BUCKETS},
    tcp::group::{Counter, GroupCounters, Role},
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tcpvitals_config::TcpLabel;

/// What was counted of one label set since the start, and how its live connections are.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Which row of the kernel's: the same one for as long as the programs are loaded.
    pub id: u64,
    /// All labels of [`TcpLabel`], those too that the metrics leave out.
    pub labels: LabelSet,
    pub total: Group,
}

impl Counted {
    /// The value of a label.
    pub fn label(&self, label: TcpLabel) -> &str {
        value_of(&self.labels, label.label())
    }

    /// Its subnet.
    pub fn subnet(&self) -> Option<String> {
        Some(self.label(TcpLabel::Subnet).to_owned())
    }

    /// Its workload, with its namespace; `None` where nobody tells workloads apart.
    pub fn workload(&self) -> Option<String> {
        let name = self.label(TcpLabel::Workload);
        (!name.is_empty()).then(|| qualified(self.label(TcpLabel::WorkloadNamespace), name))
    }
}

/// What the connections of one subnet or workload did in an interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficRow {
    pub name: String,
    /// Live connections.
    pub live: u64,
    /// Smallest round-trip time of a live connection, in microseconds; 0 without one.
    pub rtt_floor: u32,
    /// Length of the interval.
    pub interval: Duration,
    /// What was counted in the interval.
    now: GroupCounters,
    /// Connections that this host opened in the interval.
    client_opens: u64,
    /// Whether nobody looks for drops that are sent again (`local_loss`).
    ignores_local_losses: bool,
}

/// Rows by name, in the order of the alphabet; what has no name is left out.
pub fn rows(
    before: &[Counted],
    after: &[Counted],
    interval: Duration,
    name: impl Fn(&Counted) -> Option<String>,
) -> Vec<TrafficRow> {
    let before: HashMap<u64, &GroupCounters> = before.iter().map(|row| (row.id, &row.total.counters)).collect();
    let mut rows: BTreeMap<String, TrafficRow> = BTreeMap::new();
    for counted in after {
        let Some(name) = name(counted) else { continue };
        let none = GroupCounters::default();
        let earlier = before.get(&counted.id).copied().unwrap_or(&none);
        let mut counters = counted.total.counters;
        // A reading that another reading overlaps may be behind it for a moment.
        counters.clamp(earlier);
        let row = rows.entry(name.clone()).or_insert_with(|| TrafficRow {
            name,
            interval,
            ..TrafficRow::default()
        });
        row.merge(&TrafficRow {
            live: counted.total.samples.live,
            rtt_floor: counted.total.samples.rtt_min,
            client_opens: if counted.label(TcpLabel::Role) == Role::Client.as_str() {
                counters.since(earlier).get(Counter::Opened)
            } else {
                0
            },
            now: counters.since(earlier),
            ..TrafficRow::default()
        });
    }
    rows.into_values().collect()
}

/// All rows as one.
pub fn sum(rows: &[TrafficRow]) -> TrafficRow {
    let mut sum = TrafficRow::default();
    for row in rows {
        sum.interval = row.interval;
        sum.merge(row);
    }
    sum
}

impl TrafficRow {
    fn merge(&mut self, other: &Self) {
        let Self {
            name: _,
            live,
            rtt_floor,
            interval: _,
            now,
            client_opens,
            ignores_local_losses,
        } = self;
        *live += other.live;
        *rtt_floor = match (*rtt_floor, other.rtt_floor) {
            (0, one) | (one, 0) => one,
            (one, other) => one.min(other),
        };
        now.merge(&other.now);
        *client_opens += other.client_opens;
        *ignores_local_losses |= other.ignores_local_losses;
    }

    /// The same where nobody looks for drops that are sent again.
    pub fn without_local_losses(self) -> Self {
        Self {
            ignores_local_losses: true,
            ..self
        }
    }

    fn count(&self, counters: &[Counter]) -> u64 {
        counters.iter().map(|counter| self.now.get(*counter)).sum()
    }

    fn rate(&self, counters: &[Counter]) -> f64 {
        per_second(self.count(counters), self.interval)
    }

    /// Payload sent, retransmissions included, in bytes per second.
    pub fn transmit(&self) -> f64 {
        self.rate(&[Counter::DataBytesTransmitted])
    }

    /// Payload received, in bytes per second.
    pub fn receive(&self) -> f64 {
        self.rate(&[Counter::DataBytesReceived])
    }

    /// Connections that were established, per second.
    pub fn opens(&self) -> f64 {
        self.rate(&[Counter::Opened])
    }

    /// Connections that this host tried to open in vain, per second.
    pub fn failures(&self) -> f64 {
        per_second(self.failed(), self.interval)
    }

    /// Without those that nobody knows the reason of, as on the page and in alerts.
    fn failed(&self) -> u64 {
        let all = self.count(&FAILURES) + self.now.get(Counter::FailedNoLocalPort);
        all - self.now.get(Counter::FailedOther)
    }

    /// Retransmitted segments of those sent with payload; `None` while nothing is sent.
    pub fn retransmit_ratio(&self) -> Option<f64> {
        ratio(self.retransmitted(), self.now.get(Counter::DataSegmentsTransmitted))
    }

    fn retransmitted(&self) -> u64 {
        self.count(&[
            Counter::RetransmittedSegmentsTimeout,
            Counter::RetransmittedSegmentsTailLossProbe,
            Counter::RetransmittedSegmentsFast,
            Counter::RetransmittedSegmentsOther,
        ])
    }

    /// Retransmitted segments that this host itself had dropped, of all that were retransmitted; `None` while there are none, and where
    /// nobody looks for such drops.
    pub fn after_local_drop(&self) -> Option<f64> {
        let after_drop = self.now.get(Counter::RetransmittedAfterLocalDrop);
        ratio(after_drop, self.retransmitted()).filter(|_| !self.ignores_local_losses)
    }

    /// Segments that this host dropped on their way out, in the network namespace of their connection or, if those are more, sent again
    /// after a drop in any; of those that it wanted to send.
    pub fn dropped_here(&self) -> Option<f64> {
        let after_drop = self.now.get(Counter::RetransmittedAfterLocalDrop);
        let dropped = self.now.get(Counter::LocallyDroppedSegments).max(after_drop);
        let sent = self.count(&[Counter::DataSegmentsTransmitted, Counter::SynRetransmits]) + self.client_opens;
        ratio(dropped, sent + dropped)
    }

    /// Opens that failed, of those that this host tried.
    pub fn failed_opens(&self) -> Option<f64> {
        ratio(self.failed(), self.failed() + self.client_opens)
    }

    /// SYNs that were retransmitted, per second.
    pub fn repeated_syns(&self) -> f64 {
        self.rate(&[Counter::SynRetransmits])
    }

    /// Time in which senders waited for the peer's receive window, of that in which they had something to send.
    pub fn waits_for_peer(&self) -> Option<f64> {
        self.waits(Counter::ReceiveWindowJiffies)
    }

    /// The same for room in the send buffer.
    pub fn waits_for_buffer(&self) -> Option<f64> {
        self.waits(Counter::SendBufferJiffies)
    }

    fn waits(&self, what: Counter) -> Option<f64> {
        ratio(self.now.get(what), self.now.get(Counter::SenderBusyJiffies)).map(|share| share.min(1.0))
    }

    /// A quantile of the round-trip times, in microseconds; `None` without one.
    pub fn rtt(&self, quantile: f64) -> Option<f64> {
        rtt_quantile(&self.now.rtt.buckets, quantile)
    }

    /// For programs: every number in base units; null for a share of nothing.
    pub fn json(&self, label: TcpLabel) -> Map<String, Value> {
        let seconds = |micros: Option<f64>| micros.map(|micros| micros / 1e6);
        let mut row = Map::new();
        row.insert(label.as_str().to_owned(), json!(self.name));
        for (name, value) in [
            ("connections", json!(self.live)),
            ("transmitted_bytes_per_second", json!(self.transmit())),
            ("received_bytes_per_second", json!(self.receive())),
            ("opens_per_second", json!(self.opens())),
            ("failed_opens_per_second", json!(self.failures())),
            ("syn_retransmits_per_second", json!(self.repeated_syns())),
            ("retransmit_ratio", json!(self.retransmit_ratio())),
            ("retransmitted_after_local_drop_ratio", json!(self.after_local_drop())),
            ("dropped_here_ratio", json!(self.dropped_here())),
            ("failed_opens_ratio", json!(self.failed_opens())),
            ("receive_window_limited_ratio", json!(self.waits_for_peer())),
            ("send_buffer_limited_ratio", json!(self.waits_for_buffer())),
            (
                "min_rtt_seconds",
                json!(seconds((self.rtt_floor != 0).then_some(self.rtt_floor.into()))),
            ),
            ("p50_rtt_seconds", json!(seconds(self.rtt(0.5)))),
            ("p90_rtt_seconds", json!(seconds(self.rtt(0.9)))),
        ] {
            row.insert(name.to_owned(), value);
        }
        row
    }
}

fn ratio(part: u64, of: u64) -> Option<f64> {
    (of != 0).then(|| number(part) / number(of))
}

/// Within a bucket values are taken to lie evenly on the logarithmic scale, as Prometheus does; the last one has no end.
fn rtt_quantile(buckets: &[u64; RTT_BUCKETS], quantile: f64) -> Option<f64> {
    let rank = quantile * number(buckets.iter().sum());
    let mut below = 0.0;
    let mut lower = 1.0;
    for (count, bound) in buckets.iter().zip(RTT_BOUNDS) {
        let (count, upper) = (number(*count), f64::from(bound));
        if count > 0.0 && below + count >= rank {
            return Some(lower * (upper / lower).powf((rank - below) / count));
        }
        below += count;
        lower = upper;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples::counted;

    fn check(actual: Option<f64>, expected: Option<f64>) {
        let is_same = match (actual, expected) {
            (Some(actual), Some(expected)) => (actual - expected).abs() < 1e-9,
            (actual, expected) => actual == expected,
        };
        assert!(is_same, "{actual:?} is not {expected:?}");
    }

    #[test]
    fn rows_are_what_an_interval_added_by_subnet() {
        let before = [counted(1, "office client", &[(Counter::DataSegmentsTransmitted, 100)])];
        let after = [
            counted(
                1,
                "office client",
                &[
                    (Counter::DataSegmentsTransmitted, 200),
                    (Counter::RetransmittedSegmentsFast, 3),
                    (Counter::RetransmittedSegmentsTimeout, 1),
                    (Counter::RetransmittedAfterLocalDrop, 3),
                    (Counter::DataBytesTransmitted, 4000),
                    (Counter::Opened, 6),
                    (Counter::FailedRefused, 2),
                    // No failures of the peer or of the network.
                    (Counter::FailedCancelled, 5),
                    (Counter::FailedOther, 5),
                ],
            ),
            // Its opens are the peers'.
            counted(
                2,
                "office server",
                &[(Counter::LocallyDroppedSegments, 12), (Counter::Opened, 9)],
            ),
            counted(
                3,
                "lab client",
                &[(Counter::SenderBusyJiffies, 10), (Counter::ReceiveWindowJiffies, 9)],
            ),
        ];
        let rows = rows(&before, &after, Duration::from_secs(2), Counted::subnet);
        let [lab, office] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!([&lab.name, &office.name], ["lab", "office"]);
        check(office.retransmit_ratio(), Some(0.04));
        check(office.after_local_drop(), Some(0.75));
        check(office.clone().without_local_losses().after_local_drop(), None);
        check(lab.after_local_drop(), None);
        check(office.dropped_here(), Some(12.0 / (100.0 + 6.0 + 12.0)));
        check(office.failed_opens(), Some(0.25));
        check(Some(office.transmit()), Some(2000.0));
        check(Some(office.opens()), Some(7.5));
        check(Some(office.failures()), Some(1.0));
        check(lab.waits_for_peer(), Some(0.9));
        check(lab.retransmit_ratio(), None);
        let all = sum(&rows);
        check(all.retransmit_ratio(), Some(0.04));
        assert_eq!(all.live, 3);
        assert_eq!(office.json(TcpLabel::Subnet)["failed_opens_ratio"], json!(0.25));
        assert_eq!(office.json(TcpLabel::Subnet)["subnet"], json!("office"));
    }

    #[test]
    fn what_the_host_of_a_pod_dropped_counts_as_dropped_here() {
        let after = [counted(
            1,
            "office client",
            &[
                (Counter::DataSegmentsTransmitted, 90),
                (Counter::RetransmittedSegmentsFast, 10),
                (Counter::RetransmittedAfterLocalDrop, 10),
                (Counter::LocallyDroppedSegments, 1),
            ],
        )];
        let rows = rows(&[], &after, Duration::from_secs(1), Counted::subnet);
        check(rows[0].dropped_here(), Some(0.1));
        check(sum(&rows).after_local_drop(), Some(1.0));
    }

    #[test]
    fn workloads_are_rows_only_where_they_are_told_apart() {
        let after = [counted(1, "office client", &[])];
        assert_eq!(rows(&[], &after, Duration::from_secs(1), Counted::workload), []);
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let mut buckets = [0; RTT_BUCKETS];
        assert_eq!(rtt_quantile(&buckets, 0.5), None);
        // From half a second to a second are four buckets.
        buckets[79] = 10;
        check(rtt_quantile(&buckets, 1.0), Some(1_000_000.0));
        let half = rtt_quantile(&buckets, 0.5).unwrap();
        assert!(half > f64::from(RTT_BOUNDS[78]) && half < 1e6, "{half}");
        buckets[75] = 90;
        check(rtt_quantile(&buckets, 0.9), Some(500_000.0));
    }
}
