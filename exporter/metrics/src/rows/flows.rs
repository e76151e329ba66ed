//! Live flows for people and programs: every number of a record under a name, in base units. What the API and `top` show.
//!
//! Pure: from what the collector read; to filters, order and JSON.

use crate::{
    labels::{LabelSet, value_of},
    workloads::{Instance, qualified},
};
use common::{
    tcp::{
        INFINITE_SSTHRESH, congestion,
        flow::ADOPTED,
        record::{FlowRecord, Limit},
        state,
    },
    text::Name,
};
use serde_json::{Map, Value, json};
use std::{cmp::Reverse, net::SocketAddr, sync::Arc};
use tcpvitals_config::TcpLabel;

/// A live flow with its names.
#[derive(Clone, Debug)]
pub struct LiveFlow {
    /// What the kernel says.
    pub record: FlowRecord,
    /// All labels of [`TcpLabel`], those too that the metrics leave out.
    pub labels: LabelSet,
    /// Its pod and its container; `None` where nobody tells workloads apart.
    pub instance: Option<Arc<Instance>>,
}

impl LiveFlow {
    /// The value of a label.
    pub fn label(&self, label: TcpLabel) -> &str {
        value_of(&self.labels, label.label())
    }

    /// Whose it is, with its namespace; `None` where nobody tells workloads apart.
    pub fn workload(&self) -> Option<String> {
        let name = self.label(TcpLabel::Workload);
        (!name.is_empty()).then(|| qualified(self.label(TcpLabel::WorkloadNamespace), name))
    }

    /// This host's end; `None` without an IP address.
    pub fn local(&self) -> Option<SocketAddr> {
        Some((self.record.local_address().ip()?, self.record.local_port).into())
    }

    /// The other end; `None` without an IP address.
    pub fn remote(&self) -> Option<SocketAddr> {
        Some((self.record.remote_address().ip()?, self.record.remote_port).into())
    }

    /// The oldest first, so that equal rows stand still.
    pub const fn age(&self) -> (u64, u64) {
        (self.record.started, self.record.cookie)
    }

    /// What holds the sender up.
    pub const fn limit(&self) -> &'static str {
        Limit::from_number(self.record.limit).as_str()
    }

    /// Name of the congestion-control algorithm.
    pub fn algorithm(&self) -> String {
        Name(self.record.algorithm).to_string()
    }

    /// For programs: names, then every number of [`FIELDS`]; null for what is not known.
    pub fn json(&self) -> Map<String, Value> {
        let record = &self.record;
        let ends = [("local", self.local()), ("remote", self.remote())];
        let mut flow = Map::new();
        for (end, address) in ends {
            flow.insert(
                format!("{end}_address"),
                json!(address.map(|address| address.ip().to_string())),
            );
            flow.insert(format!("{end}_port"), json!(address.map(|address| address.port())));
        }
        flow.extend(
            self.labels
                .iter()
                .map(|(label, value)| (label.word.to_owned(), json!(value))),
        );
        for (name, value) in self.instance.iter().flat_map(|instance| instance.words()) {
            flow.insert(name.to_owned(), json!((!value.is_empty()).then_some(value)));
        }
        for (name, value) in [
            ("cookie", json!(record.cookie)),
            ("adopted", json!(u32::from(record.flags) & ADOPTED != 0)),
            ("state", json!(named(state::name(record.state.into()), record.state))),
            (
                "congestion_state",
                json!(named(congestion::name(record.ca_state), record.ca_state)),
            ),
            ("algorithm", json!(self.algorithm())),
            ("limit", json!(self.limit())),
        ] {
            flow.insert(name.to_owned(), value);
        }
        let numbers = FIELDS
            .iter()
            .map(|field| (String::from(field.name), (field.read)(record).json()));
        flow.extend(numbers);
        flow
    }
}

/// A name that the kernel does not change; for a number without one the number itself.
fn named(name: &str, number: u8) -> String {
    if name.is_empty() {
        number.to_string()
    } else {
        name.to_owned()
    }
}

/// A number of a record, in the unit in which it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Number {
    /// The kernel does not know, or there is no bound.
    Unknown,
    /// A count, bytes, or bytes per second.
    Count(u64),
    /// Microseconds.
    Micros(u64),
}

impl Number {
    fn some_micros(micros: u32) -> Self {
        if micros == 0 {
            Self::Unknown
        } else {
            Self::Micros(micros.into())
        }
    }

    const fn millis(millis: u32) -> Self {
        Self::Micros(millis as u64 * 1000)
    }

    /// In base units.
    fn json(self) -> Value {
        match self {
            Self::Unknown => Value::Null,
            Self::Count(count) => json!(count),
            #[expect(clippy::cast_precision_loss, reason = "exact for three centuries")]
            Self::Micros(micros) => json!(micros as f64 / 1e6),
        }
    }
}

/// A number that a flow has: its name in base units, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name; rows are sorted by it.
    pub name: &'static str,
    pub read: fn(&FlowRecord) -> Number,
}

macro_rules! fields {
    ($($name:literal: $read:expr,)+) => {
        /// Every number of a flow. Counters run since the connection began, those of hooks since the exporter first saw it.
        pub const FIELDS: &[Field] = &[$(Field { name: $name, read: $read },)+];
    };
}

fields! {
    "age_seconds": |r| match r.started { 0 => Number::Unknown, started => Number::Micros(r.now.saturating_sub(started) / 1000) },
    "transmitted_segments": |r| Number::Count(r.segs_out.into()),
    "received_segments": |r| Number::Count(r.segs_in.into()),
    "transmitted_data_segments": |r| Number::Count(r.data_segs_out.into()),
    "received_data_segments": |r| Number::Count(r.data_segs_in.into()),
    "transmitted_data_bytes": |r| Number::Count(r.data_octets_out),
    "received_data_bytes": |r| Number::Count(r.data_octets_in),
    "retransmitted_segments": |r| Number::Count(r.segs_retrans.into()),
    "retransmitted_bytes": |r| Number::Count(r.octets_retrans),
    "timeout_retransmitted_segments": |r| Number::Count(r.timeout_segs_retrans.into()),
    "tail_loss_probe_retransmitted_segments": |r| Number::Count(r.probe_segs_retrans.into()),
    "fast_retransmitted_segments": |r| Number::Count(r.fast_segs_retrans.into()),
    "other_retransmitted_segments": |r| Number::Count(r.other_segs_retrans.into()),
    "retransmitted_segments_after_local_drop": |r| if r.after_local_drop == u64::MAX { Number::Unknown } else { Number::Count(r.after_local_drop) },
    "locally_dropped_segments": |r| Number::Count(r.locally_dropped.into()),
    "duplicate_acks": |r| Number::Count(r.dup_acks_in.into()),
    "sacks": |r| Number::Count(r.sacks_in.into()),
    "sack_blocks": |r| Number::Count(r.sack_blks_in.into()),
    "dsacks": |r| Number::Count(r.dsacks_in.into()),
    "out_of_order_segments": |r| Number::Count(r.ooo_in.into()),
    "reordering_events": |r| Number::Count(r.reordering.into()),
    "ecn_marked_segments": |r| Number::Count(r.ecn_marks.into()),
    "smoothed_rtt_seconds": |r| Number::some_micros(r.srtt_us),
    "last_rtt_seconds": |r| Number::some_micros(r.rtt_sample_us),
    "min_rtt_seconds": |r| if r.count_rtt == 0 { Number::Unknown } else { Number::Micros(r.min_rtt_us.into()) },
    "max_rtt_seconds": |r| if r.count_rtt == 0 { Number::Unknown } else { Number::Micros(r.max_rtt_us.into()) },
    "rtt_samples": |r| Number::Count(r.count_rtt.into()),
    "rtt_sum_seconds": |r| Number::Micros(r.sum_rtt_us),
    "rto_seconds": |r| Number::millis(r.rto_ms),
    "min_rto_seconds": |r| if r.count_rtt == 0 { Number::Unknown } else { Number::millis(r.min_rto_ms) },
    "max_rto_seconds": |r| if r.count_rtt == 0 { Number::Unknown } else { Number::millis(r.max_rto_ms) },
    "congestion_window_segments": |r| Number::Count(r.snd_cwnd.into()),
    "slow_start_threshold_segments": |r| if r.ssthresh >= INFINITE_SSTHRESH { Number::Unknown } else { Number::Count(r.ssthresh.into()) },
    "mss_bytes": |r| Number::Count(r.mss.into()),
    "unacknowledged_segments": |r| Number::Count(r.unacked.into()),
    "in_flight_segments": |r| Number::Count(r.in_flight.into()),
    "not_sent_bytes": |r| Number::Count(r.not_sent.into()),
    "peer_window_bytes": |r| Number::Count(r.snd_wnd.into()),
    "pacing_rate_bytes_per_second": |r| if r.pacing_rate == u64::MAX { Number::Unknown } else { Number::Count(r.pacing_rate) },
    "delivery_rate_bytes_per_second": |r| if r.delivery_rate == 0 { Number::Unknown } else { Number::Count(r.delivery_rate) },
    "sender_busy_seconds": |r| Number::Micros(r.busy_us),
    "receive_window_limited_seconds": |r| Number::Micros(r.receive_window_us),
    "send_buffer_limited_seconds": |r| Number::Micros(r.send_buffer_us),
}

/// By what flows are sorted.
#[derive(Clone, Copy, Debug)]
pub enum SortKey {
    /// A number, the largest first; what is not known is smallest.
    Number(fn(&FlowRecord) -> Number),
    /// A label, by the alphabet.
    Label(TcpLabel),
    Remote,
    Local,
}

impl SortKey {
    /// Every key and its word.
    pub fn all() -> Vec<(&'static str, Self)> {
        let labels = TcpLabel::ALL.iter().map(|label| (label.as_str(), Self::Label(*label)));
        let ends = [("remote_address", Self::Remote), ("local_address", Self::Local)];
        let numbers = FIELDS.iter().map(|field| (field.name, Self::Number(field.read)));
        numbers.chain(labels).chain(ends).collect()
    }

    /// Whether the usual order begins with the largest.
    pub const fn falls(self) -> bool {
        matches!(self, Self::Number(_))
    }
}

/// Sorts flows in the usual order of a key or the other way round; equal ones by their age, the oldest first.
pub fn sort(flows: &mut [&LiveFlow], key: SortKey, reversed: bool) {
    flows.sort_by(|one, other| {
        let order = match key {
            SortKey::Number(read) => Reverse(read(&one.record)).cmp(&Reverse(read(&other.record))),
            SortKey::Label(label) => one.label(label).cmp(other.label(label)),
            SortKey::Remote => one.remote().cmp(&other.remote()),
            SortKey::Local => one.local().cmp(&other.local()),
        };
        let order = if reversed { order.reverse() } else { order };
        order.then_with(|| one.age().cmp(&other.age()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples::flow;

    #[test]
    fn an_object_has_names_and_base_units() {
        let mut flow = flow(7, [192, 0, 2, 9], 443, "office");
        let record = &mut flow.record;
        (record.now, record.started) = (5_500_000_000, 2_000_000_000);
        (record.srtt_us, record.rto_ms, record.ssthresh) = (105, 204, INFINITE_SSTHRESH);
        (record.limit, record.ca_state) = (Limit::SendBuffer as u8, 3);
        (record.data_octets_out, record.pacing_rate) = (1 << 40, u64::MAX);
        let json = Value::Object(flow.json());
        for (name, expected) in [
            ("local_address", json!("10.0.0.1")),
            ("remote_address", json!("192.0.2.9")),
            ("remote_port", json!(443)),
            ("subnet", json!("office")),
            ("role", json!("client")),
            ("cookie", json!(7)),
            ("state", json!("established")),
            ("congestion_state", json!("recovery")),
            ("limit", json!("send_buffer")),
            ("age_seconds", json!(3.5)),
            ("smoothed_rtt_seconds", json!(0.000_105)),
            ("min_rtt_seconds", Value::Null),
            ("rto_seconds", json!(0.204)),
            ("slow_start_threshold_segments", Value::Null),
            ("pacing_rate_bytes_per_second", Value::Null),
            ("transmitted_data_bytes", json!(1_u64 << 40)),
        ] {
            assert_eq!(json[name], expected, "{name}");
        }
    }

    #[test]
    fn pod_and_container_are_there_where_workloads_are_told_apart() {
        let mut flow = flow(7, [192, 0, 2, 9], 443, "office");
        assert_eq!(flow.json().get("pod"), None);
        flow.instance = Some(Arc::new(Instance::new("cart-0", "")));
        let json = flow.json();
        assert_eq!((&json["pod"], &json["container_id"]), (&json!("cart-0"), &Value::Null));
    }

    #[test]
    fn flows_are_sorted_by_numbers_labels_and_ends() {
        let mut flows = [
            flow(1, [10, 0, 0, 9], 443, "b"),
            flow(2, [10, 0, 0, 10], 443, "a"),
            flow(3, [9, 0, 0, 1], 80, "c"),
        ];
        for (record, srtt) in flows.iter_mut().map(|flow| &mut flow.record).zip([20, 0, 30]) {
            record.srtt_us = srtt;
        }
        let check = |word: &str, reversed, expected: [u64; 3]| {
            let (_, key) = SortKey::all().into_iter().find(|(known, _)| *known == word).unwrap();
            let mut sorted: Vec<&LiveFlow> = flows.iter().collect();
            sort(&mut sorted, key, reversed);
            let cookies: Vec<u64> = sorted.iter().map(|flow| flow.record.cookie).collect();
            assert_eq!(cookies, expected, "{word} {reversed}");
        };
        check("smoothed_rtt_seconds", false, [3, 1, 2]);
        check("smoothed_rtt_seconds", true, [2, 1, 3]);
        check("subnet", false, [2, 1, 3]);
        check("remote_address", false, [3, 1, 2]);
        check("transmitted_segments", false, [1, 2, 3]);
    }

    #[test]
    fn a_state_without_a_name_is_its_number() {
        let mut flow = flow(1, [10, 0, 0, 2], 443, "office");
        let mut states = |state, ca_state| {
            (flow.record.state, flow.record.ca_state) = (state, ca_state);
            let json = flow.json();
            [json["state"].clone(), json["congestion_state"].clone()]
        };
        assert_eq!(states(11, 4), [json!("closing"), json!("loss")]);
        assert_eq!(states(0, 99), [json!("0"), json!("99")]);
    }
}
