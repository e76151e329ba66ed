//! What the host says beside the programs: packets that devices lost, connection tracking, and the memory of TCP.

use super::row::metric;
use crate::{
    families::{
        metric::{
            Accessor,
            Kind::{Counter as C, Gauge as G},
            Metric,
            Unit::{Bytes, Counted},
        },
        value::Value,
    },
    host::{
        Host,
        Part::{Devices, SynCookies, TcpMemory},
        files::Failures,
    },
    number::number,
};
use tcpvitals_config::label::Label;

const DEVICE: Label = Label::new("device", "network.interface.name");
const DIRECTION: Label = Label::new("direction", "network.io.direction");
const CLASS: Label = Label::new("class", "tcpvitals.drop.class");
const CAUSE: Label = Label::new("cause", "tcpvitals.device.cause");
const ALLOWANCE: Label = Label::new("allowance", "tcpvitals.device.allowance");
const LIMIT: Label = Label::new("limit", "tcpvitals.tcp.memory.limit");
const STEP: Label = Label::new("step", "tcpvitals.tcp.prune.step");

pub(super) const METRICS: &[Metric] = &[
    metric(
        "device_dropped_packets",
        Counted("{packet}"),
        C,
        "Packets that a hardware device lost before the kernel received them, or after the kernel handed them over. \
         dropped_packets contains none of them, so the sum of both counts no packet twice. Devices beyond the 64th \
         are other",
        "rtnetlink: struct rtnl_link_stats64; ethtool statistics of mlx5_core and ixgbe",
        Accessor::DeviceLosses,
    )
    .by(&[DEVICE, DIRECTION, CLASS, CAUSE])
    .of(Devices),
    metric(
        "device_allowance_exceeded_packets",
        Counted("{packet}"),
        C,
        "Packets that the cloud delayed or dropped because the instance exceeded an allowance. It drops those of \
         connections and link_local; for the others it does not report which of both",
        "ethtool statistics of ena: *_allowance_exceeded",
        Accessor::OverAllowance,
    )
    .by(&[DEVICE, ALLOWANCE])
    .of(Devices),
    metric(
        "softnet_squeezes",
        Counted("{squeeze}"),
        C,
        "Times that a CPU stopped receiving packets at its budget (net.core.netdev_budget) while more were waiting. \
         Nothing is lost yet; device_dropped_packets with the cause missed comes next",
        "/proc/net/softnet_stat: time_squeeze",
        Accessor::Host(|host| host.squeezed.map(Value::Count)),
    )
    .of(Devices),
    metric(
        "conntrack_entries",
        Counted("{entry}"),
        G,
        "Entries of the connection-tracking table of the host's network namespace",
        "net.netfilter.nf_conntrack_count",
        Accessor::Host(|host| Some(Value::Number(number(host.conntrack.as_ref()?.entries)))),
    )
    .adding_up()
    .of(Devices),
    metric(
        "conntrack_entries_limit",
        Counted("{entry}"),
        G,
        "Maximum number of entries of that table. Raise it from 90 % on; at 100 % the kernel drops packets of new \
         connections",
        "net.netfilter.nf_conntrack_max",
        Accessor::Host(|host| Some(Value::Number(number(host.conntrack.as_ref()?.limit)))),
    )
    .adding_up()
    .of(Devices),
    metric(
        "conntrack_failed_inserts",
        Counted("{packet}"),
        C,
        "Packets dropped because another packet had already added the entry of their connection; dropped_packets \
         includes them",
        "/proc/net/stat/nf_conntrack: insert_failed",
        Accessor::Host(|host| failures(host, |failures| failures.insert_failed)),
    )
    .of(Devices),
    metric(
        "conntrack_full_drops",
        Counted("{packet}"),
        C,
        "Packets dropped because the connection-tracking table was full or memory was short; any deserves an alert. \
         dropped_packets includes them",
        "/proc/net/stat/nf_conntrack: drop",
        Accessor::Host(|host| failures(host, |failures| failures.drop)),
    )
    .of(Devices),
    metric(
        "conntrack_early_drops",
        Counted("{entry}"),
        C,
        "Entries removed from the full connection-tracking table to make room for new ones; no packet is dropped",
        "/proc/net/stat/nf_conntrack: early_drop",
        Accessor::Host(|host| failures(host, |failures| failures.early_drop)),
    )
    .of(Devices),
    metric(
        "tcp_memory",
        Bytes,
        G,
        "Memory of TCP's send and receive buffers in all network namespaces. Above 80 % of the limit pressure, look \
         for applications that do not read",
        "/proc/net/sockstat: TCP mem",
        Accessor::TcpMemory(&[(&[], |memory| Some(Value::Number(number(memory.held))))]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_memory_limit",
        Bytes,
        G,
        "Limits of tcp_memory_bytes: above pressure TCP saves memory until it holds less than low; above high it \
         gets no more",
        "net.ipv4.tcp_mem",
        Accessor::TcpMemory(&[
            (&["low"], |memory| Some(Value::Number(number(memory.limits[0])))),
            (&["pressure"], |memory| Some(Value::Number(number(memory.limits[1])))),
            (&["high"], |memory| Some(Value::Number(number(memory.limits[2])))),
        ]),
    )
    .by(&[LIMIT])
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_memory_pressure",
        Counted("{host}"),
        G,
        "1 while TCP is under memory pressure, otherwise 0; more than a minute deserves an alert",
        "/proc/net/protocols: TCP press",
        Accessor::TcpMemory(&[(&[], |memory| {
            let is_under = memory.is_under_pressure?;
            Some(Value::Number(if is_under { 1.0 } else { 0.0 }))
        })]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_memory_pressures",
        Counted("{pressure}"),
        C,
        "Times that a socket of the host's network namespace put TCP under memory pressure; sockets of pods show \
         only in tcp_memory_pressure",
        "/proc/net/netstat: TCPMemoryPressures",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.pressures.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_collapsed_segments",
        Counted("{segment}"),
        C,
        "Segments collapsed in receive queues to save memory, in the host's network namespace",
        "/proc/net/netstat: TCPRcvCollapsed",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.collapsed.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_prunes",
        Counted("{prune}"),
        C,
        "Times that the kernel pruned a receive queue that exceeded its buffer, in the host's network namespace: \
         called counts all of them, out_of_order those that dropped segments already acknowledged by SACK, failed \
         those that dropped the arriving segment. dropped_packets includes the segments",
        "/proc/net/netstat: PruneCalled, OfoPruned, RcvPruned",
        Accessor::TcpMemory(&[
            (&["called"], |memory| memory.events.pruned.map(Value::Count)),
            (&["out_of_order"], |memory| {
                memory.events.out_of_order_pruned.map(Value::Count)
            }),
            (&["failed"], |memory| memory.events.prunes_failed.map(Value::Count)),
        ]),
    )
    .by(&[STEP])
    .of(TcpMemory),
    metric(
        "tcp_announced_zero_windows",
        Counted("{window}"),
        C,
        "Times that TCP changed its announced receive window to zero, in the host's network namespace: an \
         application did not read. tcp_own_zero_windows counts the connections of all namespaces in this state",
        "/proc/net/netstat: TCPToZeroWindowAdv",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.zero_windows.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_window_probes",
        Counted("{segment}"),
        C,
        "Probes sent because the peer's receive window was zero, in the host's network namespace",
        "/proc/net/netstat: TCPWinProbe",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.window_probes.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_orphans",
        Counted("{socket}"),
        G,
        "Orphaned TCP sockets: no process holds them, but they still have data to send; in all network namespaces",
        "/proc/net/sockstat: TCP orphan",
        Accessor::TcpMemory(&[(&[], |memory| memory.orphans.map(number).map(Value::Number))]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_orphans_limit",
        Counted("{socket}"),
        G,
        "Maximum number of orphaned sockets; from a quarter of it on the kernel may reset them, and their data is \
         lost",
        "net.ipv4.tcp_max_orphans",
        Accessor::TcpMemory(&[(&[], |memory| memory.orphans_limit.map(number).map(Value::Number))]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_syn_cookies_sent",
        Counted("{segment}"),
        C,
        "SYN-ACKs with a SYN cookie, in the host's network namespace: each answers a SYN for which a listener's SYN \
         queue had no room",
        "/proc/net/netstat: SyncookiesSent",
        Accessor::Host(|host| host.cookies_sent.map(Value::Count)),
    )
    .of(SynCookies),
    metric(
        "host_readings_failed",
        Counted("{reading}"),
        C,
        "Collections that could not read devices, connection tracking or TCP memory within a second; they show the \
         previous values",
        "the exporter",
        Accessor::Host(|host| host.failed.map(Value::Count)),
    ),
];

fn failures(host: &Host, count: fn(&Failures) -> u64) -> Option<Value> {
    let failures = host.conntrack.as_ref()?.failures?;
    Some(Value::Count(count(&failures)))
}
