//! What is counted of dropped packets.

use super::row::metric;
use crate::families::metric::{
    Accessor,
    Kind::Counter as C,
    Metric,
    Unit::{Bytes, Counted},
};
use common::{
    drops,
    kernel::{
        fields::global,
        programs::{DROPS, RETRANSMIT, TRAPS, XDP, XDP_REDIRECT},
        tracepoints::Tracepoint,
    },
};
use tcpvitals_config::label::Label;

const SOURCE: Label = Label::new("source", "tcpvitals.drop.source");

/// The programs that see packets being dropped.
const SEEN_BY: &[&str] = &[
    DROPS,
    TRAPS,
    XDP,
    XDP_REDIRECT,
    Tracepoint::XdpBulkTx.name(),
    Tracepoint::XdpDevmapXmit.name(),
    Tracepoint::XdpCpumapEnqueue.name(),
    Tracepoint::XdpCpumapKthread.name(),
];

pub(super) const METRICS: &[Metric] = &[
    metric(
        "dropped_packets",
        Counted("{packet}"),
        C,
        "Dropped packets, each counted once even if it holds several segments. Source software: location is the \
         kernel function, reason the kernel's drop reason. Source hardware: location is the devlink trap, reason \
         its group. Source xdp: location is the program, reason its action or the error number; for packets sent in \
         bulk the tracepoint and the error",
        "tracepoints kfree_skb and qdisc_drop; devlink_trap_report; xdp_exception, xdp_redirect_err, xdp_bulk_tx, xdp_devmap_xmit, \
         xdp_cpumap_enqueue and xdp_cpumap_kthread",
        Accessor::Drops(&drops::DropSource::ALL, |count| count.packets),
    )
    .by(&[SOURCE])
    .needs_one_of(SEEN_BY),
    metric(
        "dropped",
        Bytes,
        C,
        "Bytes of dropped packets, without the headers that the kernel had already processed",
        "tracepoints kfree_skb and devlink_trap_report: sk_buff.len",
        Accessor::Drops(&[drops::DropSource::Software, drops::DropSource::Hardware], |count| count.bytes),
    )
    .by(&[SOURCE])
    .needs_one_of(&[DROPS, TRAPS]),
    metric(
        "dropped_segments_retransmitted",
        Counted("{segment}"),
        C,
        "TCP segments that a sender on this host retransmitted because this host had dropped them",
        "tracepoint kfree_skb: TCP header; tcp_retransmit_skb: tcp_skb_cb.seq, end_seq",
        Accessor::Drops(&[drops::DropSource::Software], |count| count.repeated),
    )
    .by(&[SOURCE])
    .needs(&[DROPS, RETRANSMIT], &[global::TCP_SKB_CB_SEQ]),
];
