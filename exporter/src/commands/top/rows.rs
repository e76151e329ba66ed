//! Rows of live flows: rates and ratios from two readings of the same flow, and both ends of a connection within this host in one. Pure.

use super::table::Row;
use common::tcp::{flow::ADOPTED, record::FlowRecord, state};
use serde_json::{Map, Value, json};
use std::{cmp::Ordering, collections::HashMap, iter, net::SocketAddr, time::Duration};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::rows::{drops::table::per_second, flows::LiveFlow};

/// A flow and what it did in the interval.
#[derive(Clone, Debug)]
pub struct FlowRow {
    /// The flow as it was last.
    pub flow: LiveFlow,
    /// What it did since it was seen before; none for one that was not, unless it began meanwhile.
    pub rates: Option<Rates>,
    /// The other end, where that is a socket of this host too.
    pub other: Option<Box<Self>>,
}

/// What a flow did in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Payload sent, in bytes per second.
    pub transmit: f64,
    /// Payload received, in bytes per second.
    pub receive: f64,
    /// Retransmitted segments for each segment sent with payload; none while nothing is sent.
    pub retransmit_ratio: Option<f64>,
    /// Retransmitted segments that this host itself had dropped, of all that were retransmitted; none while there are none, and where
    /// nobody looks for such drops.
    pub after_local_drop: Option<f64>,
    /// Segments that this host dropped on their way out, in the network namespace of the flow or, if those are more, sent again after a
    /// drop in any; of those that it wanted to send.
    pub dropped_here: Option<f64>,
}

impl FlowRow {
    /// From a flow and what it was before.
    fn new(flow: LiveFlow, before: Option<&FlowRecord>) -> Self {
        let now = &flow.record;
        // Its own clock: flows are read one after the other.
        let begun = FlowRecord {
            now: now.started,
            ..FlowRecord::default()
        };
        let is_new = now.started != 0 && u32::from(now.flags) & ADOPTED == 0;
        let before = before.or(is_new.then_some(&begun));
        let rates = before.map(|before| Rates::between(before, now));
        Self {
            flow,
            rates,
            other: None,
        }
    }

    /// The ends of this host: one, or both.
    pub fn own_ends(&self) -> impl Iterator<Item = &Self> {
        iter::once(self).chain(self.other.as_deref())
    }

    fn largest(&self, value: impl Fn(&Self) -> Option<f64>) -> Option<f64> {
        self.own_ends().filter_map(value).max_by(f64::total_cmp)
    }

    /// Payload in both directions, in bytes per second.
    pub fn throughput(&self) -> Option<f64> {
        self.rates.map(|rates| rates.transmit + rates.receive)
    }

    /// Retransmitted segments for each one sent, in the interval, of the end that has more of them.
    pub fn retransmit_ratio(&self) -> Option<f64> {
        self.largest(|end| end.rates?.retransmit_ratio)
    }

    /// Retransmitted segments that this host itself had dropped, of all that were retransmitted in the interval, of the end that has more of
    /// them.
    pub fn after_local_drop(&self) -> Option<f64> {
        self.largest(|end| end.rates?.after_local_drop)
    }

    /// Segments dropped here of those that were to be sent, in the interval, of the end that has more of them.
    pub fn dropped_here(&self) -> Option<f64> {
        self.largest(|end| end.rates?.dropped_here)
    }

    /// The smoothed round-trip time in microseconds, of the end that measures the longer one; 0 before the first sample.
    pub fn rtt(&self) -> u32 {
        self.own_ends().map(|end| end.flow.record.srtt_us).max().unwrap_or(0)
    }

    /// What holds the sender up, in the kernel's word: of the end that has something to send.
    pub fn limit(&self) -> &'static str {
        let mut limits = self.own_ends().map(|end| end.flow.limit());
        limits.find(|limit| *limit != IDLE).unwrap_or(IDLE)
    }

    /// How often its SYN was sent, and for how long there has been no answer, in seconds; `None` once it is established.
    pub fn opening(&self) -> Option<(u32, f64)> {
        let record = &self.flow.record;
        let age = Duration::from_nanos(record.now.saturating_sub(record.started));
        (u32::from(record.state) == state::SYN_SENT).then(|| (record.segs_retrans + 1, age.as_secs_f64()))
    }

    /// How long it has been established, in seconds; `None` where nobody saw it begin.
    pub fn age(&self) -> Option<f64> {
        let record = &self.flow.record;
        let age = Duration::from_nanos(record.now.saturating_sub(record.started));
        (record.started != 0).then_some(age.as_secs_f64())
    }

    /// The kind of most of its retransmissions so far, as the metrics call it; "" without any.
    pub fn cause(&self) -> &'static str {
        type Count = fn(&FlowRecord) -> u32;
        let kinds: [(&str, Count); 4] = [
            ("timeout", |record| record.timeout_segs_retrans),
            ("fast", |record| record.fast_segs_retrans),
            ("probe", |record| record.probe_segs_retrans),
            ("other", |record| record.other_segs_retrans),
        ];
        let counts = kinds.map(|(kind, count)| (self.own_ends().map(|end| count(&end.flow.record)).sum::<u32>(), kind));
        let most = counts.into_iter().filter(|(count, _)| *count > 0).rev();
        most.max_by_key(|(count, _)| *count).map_or("", |(_, kind)| kind)
    }

    /// For programs: the flow as the API has it, and its rates.
    pub fn json(&self) -> Map<String, Value> {
        let mut json = self.flow.json();
        let rates = self.rates;
        for (name, value) in [
            ("transmitted_bytes_per_second", json!(rates.map(|rates| rates.transmit))),
            ("received_bytes_per_second", json!(rates.map(|rates| rates.receive))),
            (
                "retransmit_ratio",
                json!(rates.and_then(|rates| rates.retransmit_ratio)),
            ),
            (
                "retransmitted_after_local_drop_ratio",
                json!(rates.and_then(|rates| rates.after_local_drop)),
            ),
            ("dropped_here_ratio", json!(rates.and_then(|rates| rates.dropped_here))),
        ] {
            json.insert(name.to_owned(), value);
        }
        json
    }
}

/// The kernel's word for a sender that has nothing to send.
const IDLE: &str = "idle";

impl Rates {
    fn between(before: &FlowRecord, after: &FlowRecord) -> Self {
        let interval = Duration::from_nanos(after.now.saturating_sub(before.now));
        let grown = |count: fn(&FlowRecord) -> u32| count(after).wrapping_sub(count(before));
        let sent = grown(|record| record.data_segs_out);
        let retransmitted = grown(|record| record.segs_retrans);
        let finds_local_losses = after.after_local_drop != u64::MAX;
        let after_drop = after.after_local_drop.saturating_sub(before.after_local_drop);
        let after_drop = u32::try_from(after_drop).unwrap_or_default();
        let dropped = grown(|record| record.locally_dropped).max(after_drop);
        let rate = |after: u64, before: u64| per_second(after.saturating_sub(before), interval);
        let ratio = |part: u32, of: u32| (of != 0).then(|| f64::from(part) / f64::from(of));
        Self {
            transmit: rate(after.data_octets_out, before.data_octets_out),
            receive: rate(after.data_octets_in, before.data_octets_in),
            retransmit_ratio: ratio(retransmitted, sent),
            after_local_drop: ratio(after_drop, retransmitted).filter(|_| finds_local_losses),
            dropped_here: ratio(dropped, sent.saturating_add(dropped)),
        }
    }
}

/// Rows of all flows of a reading.
pub fn rows(before: &[LiveFlow], after: &[LiveFlow]) -> Vec<FlowRow> {
    let before: HashMap<u64, &FlowRecord> = before.iter().map(|flow| (flow.record.cookie, &flow.record)).collect();
    let row = |flow: &LiveFlow| FlowRow::new(flow.clone(), before.get(&flow.record.cookie).copied());
    after.iter().map(row).collect()
}

/// The same rows, but both ends of a connection within this host are one: that of the client, or of the older socket. Namespaces may
/// share addresses: where it is not clear which ends belong together they stay apart.
pub fn paired(rows: Vec<FlowRow>) -> Vec<FlowRow> {
    type Ends = (SocketAddr, SocketAddr);
    let ends = |row: &FlowRow| Some((row.flow.local()?, row.flow.remote()?));
    let mut places: HashMap<Ends, Vec<usize>> = HashMap::new();
    for (place, row) in rows.iter().enumerate() {
        if let Some(ends) = ends(row) {
            places.entry(ends).or_default().push(place);
        }
    }
    let only = |ends: &Ends| match places.get(ends).map(Vec::as_slice) {
        Some([place]) => Some(*place),
        _ => None,
    };
    let partner = |place: usize, row: &FlowRow| {
        let (local, remote) = ends(row)?;
        only(&(local, remote))?;
        only(&(remote, local)).filter(|other| *other != place)
    };
    let partners: Vec<Option<usize>> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| partner(place, row))
        .collect();
    let is_first = |one: &FlowRow, other: &FlowRow| {
        let order = |row: &FlowRow| (row.flow.label(TcpLabel::Role) != "client", row.flow.age());
        order(one) < order(other)
    };
    let seconds: Vec<bool> = rows
        .iter()
        .zip(&partners)
        .map(|(row, partner)| partner.is_some_and(|other| is_first(&rows[other], row)))
        .collect();
    let mut rows: Vec<Option<FlowRow>> = rows.into_iter().map(Some).collect();
    let mut pairs = Vec::with_capacity(rows.len());
    for place in 0..rows.len() {
        if seconds[place] {
            continue;
        }
        let other = partners[place].filter(|other| seconds[*other]);
        let other = other.and_then(|other| rows[other].take());
        if let Some(row) = rows[place].take() {
            pairs.push(FlowRow {
                other: other.map(Box::new),
                ..row
            });
        }
    }
    pairs
}

impl Row for FlowRow {
    type Key = u64;

    fn key(&self) -> u64 {
        self.flow.record.cookie
    }

    /// Ends, labels, pod, container, algorithm, and what the sender waits for: in the word of the screen, and in others' words.
    fn words(&self) -> Vec<String> {
        let limit = self.limit();
        let of_window = (limit == "receive_window").then_some("rwnd");
        let mut words: Vec<String> = [super::format::limit(limit), limit]
            .into_iter()
            .chain(of_window)
            .chain(self.opening().map(|_| "SYN"))
            .chain([self.cause()])
            .map(str::to_owned)
            .collect();
        for Self { flow, .. } in self.own_ends() {
            let ends = [flow.local(), flow.remote()];
            words.extend(ends.into_iter().flatten().map(|end| end.to_string()));
            words.extend(flow.labels.iter().map(|(_, value)| value.clone()));
            let instance = flow.instance.iter().flat_map(|instance| instance.words());
            words.extend(instance.map(|(_, word)| word.to_owned()));
            words.extend(flow.workload());
            words.push(flow.algorithm());
        }
        words
    }

    fn tie(&self, other: &Self) -> Ordering {
        self.flow.age().cmp(&other.flow.age())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::commands::top::table::matches;
    use tcpvitals_metrics::rows::samples::{flow, in_pod};

    const SECOND: u64 = 1_000_000_000;

    /// A flow with so many bytes and segments sent, and so many of them retransmitted, at a second.
    fn at(cookie: u64, second: u64, [bytes, sent, again]: [u32; 3]) -> LiveFlow {
        let mut flow = flow(cookie, [192, 0, 2, 9], 443, "office");
        let record = &mut flow.record;
        (record.now, record.data_octets_out) = (second * SECOND, bytes.into());
        (record.data_segs_out, record.segs_retrans) = (sent, again);
        flow
    }

    /// Three flows: one sends fast, one retransmits, one is new and idle.
    pub(crate) fn three() -> Vec<FlowRow> {
        let before = [at(1, 10, [1000, 10, 0]), at(2, 10, [0, 0, 0])];
        let mut new = at(3, 12, [0, 0, 0]);
        new.record.started = 11 * SECOND;
        new.record.snd_cwnd = 10;
        let mut second = at(2, 12, [100, 8, 2]);
        second.record.srtt_us = 1500;
        second.record.fast_segs_retrans = 2;
        (second.record.locally_dropped, second.record.after_local_drop) = (2, 1);
        rows(&before, &[at(1, 12, [9000, 90, 0]), second, new])
    }

    /// Both ends of a connection within this host: 10.0.0.1 to port 443 of 192.0.2.9. The client sends, the server retransmits.
    pub(crate) fn both_ends() -> Vec<FlowRow> {
        let client = at(7, 12, [4000, 4, 0]);
        let mut server = at(8, 12, [0, 10, 1]);
        let record = &mut server.record;
        (record.local, record.remote) = (client.record.remote, client.record.local);
        (record.local_port, record.remote_port) = (443, 40_000);
        (record.srtt_us, record.limit) = (900, 2);
        let mut before = [client.clone(), server.clone()];
        for flow in &mut before {
            (flow.record.now, flow.record.data_octets_out) = (10 * SECOND, 0);
            (flow.record.data_segs_out, flow.record.segs_retrans) = (0, 0);
        }
        // The server's socket stands first in the reading.
        rows(&before, &[server, client])
    }

    #[test]
    fn rates_are_differences_over_the_flows_own_time() {
        let rows = three();
        assert_eq!(
            rows[0].rates,
            Some(Rates {
                transmit: 4000.0,
                receive: 0.0,
                retransmit_ratio: Some(0.0),
                after_local_drop: None,
                dropped_here: Some(0.0),
            })
        );
        assert_eq!(rows[1].retransmit_ratio(), Some(0.25));
        assert_eq!(rows[1].after_local_drop(), Some(0.5));
        assert_eq!(rows[1].dropped_here(), Some(0.2));
        assert_eq!(["", "fast", ""], [0, 1, 2].map(|place: usize| rows[place].cause()));
        assert_eq!(rows[2].retransmit_ratio(), None);
        assert!(rows[2].rates.is_some());
        let json = rows[1].json();
        assert_eq!(
            (&json["transmitted_bytes_per_second"], &json["retransmit_ratio"]),
            (&json!(50.0), &json!(0.25))
        );
    }

    #[test]
    fn nobody_knows_whose_a_loss_is_where_nobody_looks_for_drops() {
        let of = |before, after| {
            let reading = |second, after_drop, counts| {
                let mut flow = at(1, second, counts);
                flow.record.after_local_drop = after_drop;
                flow
            };
            let rows = rows(&[reading(10, before, [0, 0, 0])], &[reading(12, after, [0, 16, 8])]);
            [rows[0].after_local_drop(), rows[0].dropped_here()]
        };
        assert_eq!(of(u64::MAX, u64::MAX), [None, Some(0.0)]);
        // Nothing was dropped in the flow's own namespace.
        assert_eq!(of(3, 7), [Some(0.5), Some(0.2)]);
    }

    #[test]
    fn a_flow_that_was_only_found_has_no_rates_yet() {
        let mut found = at(5, 12, [1 << 20, 900, 1]);
        (found.record.flags, found.record.started) = (ADOPTED.try_into().unwrap(), 11 * SECOND);
        assert_eq!(rows(&[], &[found.clone()])[0].rates, None);
        found.record.started = 0;
        assert_eq!(rows(&[], &[found])[0].rates, None);
    }

    #[test]
    fn counters_may_wrap() {
        let (before, after) = (at(1, 10, [0, u32::MAX - 1, u32::MAX]), at(1, 11, [0, 2, 0]));
        assert_eq!(rows(&[before], &[after])[0].retransmit_ratio(), Some(0.25));
    }

    #[test]
    fn both_ends_of_a_connection_within_this_host_are_one_row() {
        let rows = paired(both_ends());
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(row.flow.record.cookie, 7);
        assert_eq!(row.other.as_ref().unwrap().flow.record.cookie, 8);
        assert_eq!((row.throughput(), row.retransmit_ratio()), (Some(2000.0), Some(0.1)));
        assert_eq!((row.rtt(), row.limit()), (900, "receive_window"));
    }

    #[test]
    fn ends_that_could_belong_to_others_stay_apart() {
        // The same addresses and ports in another namespace.
        let mut rows = both_ends();
        let mut twin = rows[1].clone();
        twin.flow.record.cookie = 9;
        rows.push(twin);
        assert_eq!(paired(rows).len(), 3);
        assert_eq!(paired(three()).len(), 3);
    }

    #[test]
    fn an_open_in_progress_tells_its_syns() {
        let mut opening = at(4, 12, [0, 0, 2]);
        let record = &mut opening.record;
        (record.state, record.started) = (2, 12 * SECOND - SECOND / 2);
        let rows = rows(&[], &[opening]);
        assert_eq!(rows[0].opening(), Some((3, 0.5)));
        assert_eq!(three()[0].opening(), None);
    }

    #[test]
    fn a_filter_finds_words_anywhere() {
        let row = &three()[0];
        for (filter, expected) in [
            ("", true),
            ("192.0.2.9:443", true),
            ("OFFICE https", true),
            ("office ssh", false),
            ("idle", true),
        ] {
            assert_eq!(matches(filter, row), expected, "{filter}");
        }
        let row = &paired(both_ends())[0];
        for word in ["peer", "rwnd", "receive_window"] {
            assert!(matches(word, row), "{word}");
        }
        let mut row = three().remove(0);
        row.flow = in_pod(row.flow, "cart-0");
        assert!(matches("cart-0", &row));
    }
}
