//! What a trace consists of, and the names and order in which its values are shown: the same in text and JSON.

use super::names::TraceNames;
use crate::{
    labels::KeyNames as _,
    workloads::{Instance, Workload},
};
use common::{
    tcp::{
        congestion,
        event::EventKind,
        flow::ADOPTED,
        record::{FlowRecord, Limit},
        state,
    },
    text::Name,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tcpvitals_config::TcpLabel;

/// One line of a trace, or what is needed to read others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all items are events, and one exists at a time"
)]
pub enum Item {
    /// Something happened to a flow.
    Event(EventKind, FlowRecord),
    Lost(LostEvents),
    /// The workload that has the next number, from 0 on.
    Workload(Workload),
    /// The pod and the container that have the next number, from 1 on.
    Instance(Instance),
}

/// Events that found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostEvents {
    /// `CLOCK_MONOTONIC` in nanoseconds: when it was noticed.
    pub now: u64,
    /// How many, since it was last noticed.
    pub count: u64,
}

/// What a line of lost events is called.
pub const LOST: &str = "lost";

/// Names, and when `CLOCK_MONOTONIC` was 0 in nanoseconds since 1970: all that a trace is shown with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub names: TraceNames,
    /// Since 1970, in nanoseconds.
    pub clock_base: u64,
}

impl Setting {
    /// The time of an item, in nanoseconds since 1970.
    pub const fn wall_clock(&self, monotonic: u64) -> u64 {
        self.clock_base.saturating_add(monotonic)
    }
}

/// A name and its number.
pub type Number = (&'static str, u64);

/// The local address and port.
pub fn local(record: &FlowRecord) -> SocketAddr {
    let address = record.local_address().ip();
    SocketAddr::new(address.unwrap_or(NOWHERE), record.local_port)
}

/// The remote address and port.
pub fn remote(record: &FlowRecord) -> SocketAddr {
    let address = record.remote_address().ip();
    SocketAddr::new(address.unwrap_or(NOWHERE), record.remote_port)
}

/// Stands for the address of a socket that is neither IPv4 nor IPv6.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What the TCP tracer of 2014 shows of every event.
pub fn basic(record: &FlowRecord) -> [Number; 5] {
    [
        ("snd_cwnd", record.snd_cwnd.into()),
        ("mss", record.mss.into()),
        ("ssthresh", record.ssthresh.into()),
        ("srtt_us", record.srtt_us.into()),
        ("rto_ms", record.rto_ms.into()),
    ]
}

/// What it shows of every event but `established`.
pub fn statistics(record: &FlowRecord) -> [Number; 21] {
    [
        ("segs_out", record.segs_out.into()),
        ("data_segs_out", record.data_segs_out.into()),
        ("data_octets_out", record.data_octets_out),
        ("other_segs_retrans", record.other_segs_retrans.into()),
        ("timeout_segs_retrans", record.timeout_segs_retrans.into()),
        ("probe_segs_retrans", record.probe_segs_retrans.into()),
        ("fast_segs_retrans", record.fast_segs_retrans.into()),
        ("segs_in", record.segs_in.into()),
        ("data_segs_in", record.data_segs_in.into()),
        ("data_octets_in", record.data_octets_in),
        ("max_rtt_us", record.max_rtt_us.into()),
        ("min_rtt_us", record.min_rtt_us.into()),
        ("count_rtt", record.count_rtt.into()),
        ("sum_rtt_us", record.sum_rtt_us),
        ("rtt_sample_us", record.rtt_sample_us.into()),
        ("max_rto_ms", record.max_rto_ms.into()),
        ("min_rto_ms", record.min_rto_ms.into()),
        ("dup_acks_in", record.dup_acks_in.into()),
        ("sacks_in", record.sacks_in.into()),
        ("sack_blks_in", record.sack_blks_in.into()),
        ("ooo_in", record.ooo_in.into()),
    ]
}

/// The numbers that it did not have.
pub fn further(record: &FlowRecord) -> [Number; 18] {
    [
        ("segs_retrans", record.segs_retrans.into()),
        ("octets_retrans", record.octets_retrans),
        ("locally_dropped", record.locally_dropped.into()),
        ("dsacks_in", record.dsacks_in.into()),
        ("reordering", record.reordering.into()),
        ("ecn_marks", record.ecn_marks.into()),
        ("unacked", record.unacked.into()),
        ("in_flight", record.in_flight.into()),
        ("not_sent", record.not_sent.into()),
        ("snd_wnd", record.snd_wnd.into()),
        ("busy_us", record.busy_us),
        ("receive_window_us", record.receive_window_us),
        ("send_buffer_us", record.send_buffer_us),
        ("pacing_rate", record.pacing_rate),
        ("delivery_rate", record.delivery_rate),
        ("age_us", age(record)),
        ("adopted", u64::from(u32::from(record.flags) & ADOPTED != 0)),
        ("cookie", record.cookie),
    ]
}

/// The names of all values, in their order.
pub fn names() -> Vec<&'static str> {
    let record = FlowRecord::default();
    let numbers = basic(&record)
        .into_iter()
        .chain(statistics(&record))
        .chain(further(&record));
    let labels = [TcpLabel::Role].into_iter().chain(other_labels()).map(TcpLabel::as_str);
    let nothing = Instance::default();
    let instance = nothing.words();
    numbers
        .map(|(name, _)| name)
        .chain(OWN_WORDS)
        .chain(labels)
        .chain(instance.into_iter().map(|(name, _)| name))
        .collect()
}

/// Words that are no labels.
const OWN_WORDS: [&str; 4] = ["limit", "ca_state", "algorithm", "state"];

/// All labels but the role, which has its place before them.
fn other_labels() -> impl Iterator<Item = TcpLabel> {
    TcpLabel::ALL.into_iter().filter(|label| *label != TcpLabel::Role)
}

/// How long the flow has been established, in microseconds; 0 when nobody saw it begin.
const fn age(record: &FlowRecord) -> u64 {
    match record.started {
        0 => 0,
        started => record.now.saturating_sub(started) / 1000,
    }
}

/// The words that it did not have, the labels among them.
pub fn words(record: &FlowRecord, names: &TraceNames) -> impl Iterator<Item = (&'static str, String)> {
    let own = OWN_WORDS.into_iter().zip([
        Limit::from_number(record.limit).as_str().to_owned(),
        congestion::name(record.ca_state).to_owned(),
        Name(record.algorithm).to_string(),
        state::name(record.state.into()).to_owned(),
    ]);
    let tells_workloads = names.workloads.is_some();
    let labels = [TcpLabel::Role].into_iter().chain(other_labels());
    let labels = labels.filter(move |label| !label.row().is_of_workloads || tells_workloads);
    let nothing = Instance::default();
    let instance = names.instances.as_ref();
    let instance = instance.map(|of| of.get(&record.cgroup).unwrap_or(&nothing).words());
    let instance: Vec<_> = instance
        .into_iter()
        .flatten()
        .map(|(name, word)| (name, word.to_owned()))
        .collect();
    own.chain(labels.map(|label| (label.as_str(), names.value(label, &record.key()))))
        .chain(instance)
}
