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
        "Packets that a device with hardware behind it lost before the kernel had them, or after it had handed them over: none of \
         them is in dropped_packets, so that the sum of both counts no packet twice; beyond 64 devices, other",
        "rtnetlink: struct rtnl_link_stats64; ethtool statistics of mlx5_core and ixgbe",
        Accessor::DeviceLosses,
    )
    .by(&[DEVICE, DIRECTION, CLASS, CAUSE])
    .of(Devices),
    metric(
        "device_allowance_exceeded_packets",
        Counted("{packet}"),
        C,
        "Packets that the cloud delayed or dropped because the instance was over an allowance; connections and link_local are \
         dropped, of the others it does not say",
        "ethtool statistics of ena: *_allowance_exceeded",
        Accessor::OverAllowance,
    )
    .by(&[DEVICE, ALLOWANCE])
    .of(Devices),
    metric(
        "softnet_squeezes",
        Counted("{squeeze}"),
        C,
        "Times that a CPU stopped taking packets from devices with more to take (net.core.netdev_budget): nothing is lost yet, \
         but device_dropped_packets with the cause missed comes next",
        "/proc/net/softnet_stat: time_squeeze",
        Accessor::Host(|host| host.squeezed.map(Value::Count)),
    )
    .of(Devices),
    metric(
        "conntrack_entries",
        Counted("{entry}"),
        G,
        "Connections in the table of connection tracking, of the host's network namespace",
        "net.netfilter.nf_conntrack_count",
        Accessor::Host(|host| Some(Value::Number(number(host.conntrack.as_ref()?.entries)))),
    )
    .adding_up()
    .of(Devices),
    metric(
        "conntrack_entries_limit",
        Counted("{entry}"),
        G,
        "Most connections that the table holds; from 90 % on it is time to raise it, at 100 % packets of new connections are dropped",
        "net.netfilter.nf_conntrack_max",
        Accessor::Host(|host| Some(Value::Number(number(host.conntrack.as_ref()?.limit)))),
    )
    .adding_up()
    .of(Devices),
    metric(
        "conntrack_failed_inserts",
        Counted("{packet}"),
        C,
        "Packets whose connection another packet had entered first, which the kernel drops; dropped_packets has them too",
        "/proc/net/stat/nf_conntrack: insert_failed",
        Accessor::Host(|host| failures(host, |failures| failures.insert_failed)),
    )
    .of(Devices),
    metric(
        "conntrack_full_drops",
        Counted("{packet}"),
        C,
        "Packets dropped because the table was full or memory was short: any is one too many; dropped_packets has them too",
        "/proc/net/stat/nf_conntrack: drop",
        Accessor::Host(|host| failures(host, |failures| failures.drop)),
    )
    .of(Devices),
    metric(
        "conntrack_early_drops",
        Counted("{entry}"),
        C,
        "Entries removed from a full table to make room for new ones; no packet is dropped for it",
        "/proc/net/stat/nf_conntrack: early_drop",
        Accessor::Host(|host| failures(host, |failures| failures.early_drop)),
    )
    .of(Devices),
    metric(
        "tcp_memory",
        Bytes,
        G,
        "Memory that TCP holds for what is to be sent and read, in all network namespaces; above 80 % of the limit pressure, look \
         for who does not read",
        "/proc/net/sockstat: TCP mem",
        Accessor::TcpMemory(&[(&[], |memory| Some(Value::Number(number(memory.held))))]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_memory_limit",
        Bytes,
        G,
        "Limits of that memory: from pressure on TCP saves memory until it holds less than low; beyond high it gets no more",
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
        "Whether TCP is under memory pressure (1): any for longer than a minute is worth an alert",
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
        "Times that a socket of the host's network namespace brought TCP under memory pressure; what sockets of pods do shows in \
         tcp_memory_pressure alone",
        "/proc/net/netstat: TCPMemoryPressures",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.pressures.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_collapsed_segments",
        Counted("{segment}"),
        C,
        "Segments that were joined in receive queues to save memory, of the host's network namespace",
        "/proc/net/netstat: TCPRcvCollapsed",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.collapsed.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_prunes",
        Counted("{prune}"),
        C,
        "Times that a receive queue over its buffer was pruned, by how far that went, of the host's network namespace: called counts \
         all of them; out_of_order dropped segments that had been acknowledged by SACK; failed dropped what arrived. dropped_packets \
         has the segments",
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
        "Times that TCP announced a receive window of zero after one that was not, of the host's network namespace: an application \
         did not read; tcp_own_zero_windows has the connections of all namespaces that are in this state",
        "/proc/net/netstat: TCPToZeroWindowAdv",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.zero_windows.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_window_probes",
        Counted("{segment}"),
        C,
        "Probes that TCP sent because the peer's receive window was zero, of the host's network namespace",
        "/proc/net/netstat: TCPWinProbe",
        Accessor::TcpMemory(&[(&[], |memory| memory.events.window_probes.map(Value::Count))]),
    )
    .of(TcpMemory),
    metric(
        "tcp_orphans",
        Counted("{socket}"),
        G,
        "TCP sockets that no process has any more and that still have something to send, in all network namespaces",
        "/proc/net/sockstat: TCP orphan",
        Accessor::TcpMemory(&[(&[], |memory| memory.orphans.map(number).map(Value::Number))]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_orphans_limit",
        Counted("{socket}"),
        G,
        "Most of them; from a quarter of it on the kernel may reset them, which loses what they had to send",
        "net.ipv4.tcp_max_orphans",
        Accessor::TcpMemory(&[(&[], |memory| memory.orphans_limit.map(number).map(Value::Number))]),
    )
    .adding_up()
    .of(TcpMemory),
    metric(
        "tcp_syn_cookies_sent",
        Counted("{segment}"),
        C,
        "SYN-ACKs with a SYN cookie, of the host's network namespace: each answers a SYN for which the SYN queue of a listener had no \
         room",
        "/proc/net/netstat: SyncookiesSent",
        Accessor::Host(|host| host.cookies_sent.map(Value::Count)),
    )
    .of(SynCookies),
    metric(
        "host_readings_failed",
        Counted("{reading}"),
        C,
        "Collections that could not read the devices, connection tracking or TCP's memory, or not within a second: they show what was \
         read before",
        "the exporter",
        Accessor::Host(|host| host.failed.map(Value::Count)),
    ),
];

fn failures(host: &Host, count: fn(&Failures) -> u64) -> Option<Value> {
    let failures = host.conntrack.as_ref()?.failures?;
    Some(Value::Count(count(&failures)))
}
