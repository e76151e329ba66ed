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
        programs::{DROPS, RETRANSMIT, TRAPS, XDP, XDP_BULK, XDP_CPUMAP, XDP_DEVMAP, XDP_REDIRECT},
    },
};
use tcpvitals_config::label::Label;

const SOURCE: Label = Label::new("source", "tcpvitals.drop.source");

pub(super) const METRICS: &[Metric] = &[
    metric(
        "dropped_packets",
        Counted("{packet}"),
        C,
        "Packets dropped, each counted once, even if it still holds several segments; where (location) and why (reason) are, by \
         source: the kernel function and the kernel's reason (software), the devlink trap and its group (hardware), the program and \
         the action or error number that failed it, or the tracepoint and the error where packets are sent together (xdp)",
        "tracepoints kfree_skb and qdisc_drop; devlink_trap_report; xdp_exception, xdp_redirect_err, xdp_bulk_tx, xdp_devmap_xmit, \
         xdp_cpumap_enqueue and xdp_cpumap_kthread",
        Accessor::Drops(&drops::DropSource::ALL, |count| count.packets),
    )
    .by(&[SOURCE])
    .needs_one_of(&[DROPS, TRAPS, XDP, XDP_REDIRECT, XDP_BULK, XDP_DEVMAP, XDP_CPUMAP]),
    metric(
        "dropped",
        Bytes,
        C,
        "Bytes of dropped packets, without the headers that had been processed already",
        "tracepoints kfree_skb and devlink_trap_report: sk_buff.len",
        Accessor::Drops(&[drops::DropSource::Software, drops::DropSource::Hardware], |count| count.bytes),
    )
    .by(&[SOURCE])
    .needs_one_of(&[DROPS, TRAPS]),
    metric(
        "dropped_segments_retransmitted",
        Counted("{segment}"),
        C,
        "TCP segments that a sender on this host retransmitted because they had been dropped here",
        "tracepoint kfree_skb: TCP header; tcp_retransmit_skb: tcp_skb_cb.seq, end_seq",
        Accessor::Drops(&[drops::DropSource::Software], |count| count.repeated),
    )
    .by(&[SOURCE])
    .needs(&[DROPS, RETRANSMIT], &[global::TCP_SKB_CB_SEQ]),
];
