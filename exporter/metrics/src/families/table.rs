//! The metric table: every metric once. Prometheus, OTLP, the reference page and the checks of dashboards walk it.

use super::{
    HistogramValue,
    Kind::{self, Counter as C, Gauge as G, Histogram as H},
    Metric, Source,
    Unit::{self, Bytes, None as Count, Seconds, Segments},
    number, seconds,
};
use crate::snapshot::{Push, Refusal};
use common::{
    drops,
    histogram::{Histogram, RTT_FIRST_EXPONENT, SIZE_FIRST_EXPONENT, TIME_FIRST_EXPONENT},
    kernel::programs::{FOLD, FOLD_LISTENERS as LISTENERS},
    map::lost::Lost,
    tcp::group::Counter,
};
use std::time::Duration;

/// The metric that [`super::Families::started`] reads.
pub(super) const PROCESS_START: &str = "process_start_time";

const MICROSECOND: Duration = Duration::from_micros(1);
const STATE: &str = "inet_sock_set_state";
const RETRANSMIT: &str = "tcp_retransmit_skb";
const SEGMENTS: &str = "tcp_probe";
const DROPS: &str = "kfree_skb";
const TRAPS: &str = "devlink_trap_report";
const CHRONO: &[&str] = &[
    "TCP_SOCK_CHRONO_TYPE",
    "TCP_SOCK_CHRONO_START",
    "TCP_SOCK_CHRONO_BUSY",
    "TCP_SOCK_CHRONO_RECEIVE_WINDOW",
    "TCP_SOCK_CHRONO_SEND_BUFFER",
];

/// A metric without labels, programs and fields of its own: the others are added with `..`.
const fn metric(
    name: &'static str,
    unit: Unit,
    kind: Kind,
    help: &'static str,
    from: &'static str,
    source: Source,
) -> Metric {
    Metric {
        name,
        unit,
        kind,
        help,
        labels: &[],
        from,
        programs: &[],
        one_of: &[],
        fields: &[],
        source,
    }
}

impl Metric {
    const fn by(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    const fn needs_one_of(mut self, programs: &'static [&'static str]) -> Self {
        self.one_of = programs;
        self
    }

    const fn needs(mut self, programs: &'static [&'static str], fields: &'static [&'static str]) -> Self {
        self.programs = programs;
        self.fields = fields;
        self
    }
}

/// Every metric.
pub static METRICS: &[Metric] = &[
    metric(
        "tcp_segments",
        Count,
        C,
        "TCP segments of established connections, the handshake's included but for a server's SYN-ACK, which is sent before there \
         is a connection",
        "tcp_sock.segs_out, segs_in",
        Source::Counters(&[
            (&["transmit"], Counter::SegmentsTransmitted),
            (&["receive"], Counter::SegmentsReceived),
        ]),
    )
    .by(&["direction"])
    .needs(&[FOLD, STATE], &["TCP_SOCK_SEGS_OUT", "TCP_SOCK_SEGS_IN"]),
    metric(
        "tcp_data_segments",
        Count,
        C,
        "TCP segments with payload, retransmissions included",
        "tcp_sock.data_segs_out, data_segs_in",
        Source::Counters(&[
            (&["transmit"], Counter::DataSegmentsTransmitted),
            (&["receive"], Counter::DataSegmentsReceived),
        ]),
    )
    .by(&["direction"])
    .needs(&[FOLD, STATE], &["TCP_SOCK_DATA_SEGS_OUT", "TCP_SOCK_DATA_SEGS_IN"]),
    metric(
        "tcp_data",
        Bytes,
        C,
        "TCP payload; on transmit with retransmissions, on receive what came in order, where a FIN counts as one byte",
        "tcp_sock.bytes_sent, bytes_received",
        Source::Counters(&[
            (&["transmit"], Counter::DataBytesTransmitted),
            (&["receive"], Counter::DataBytesReceived),
        ]),
    )
    .by(&["direction"])
    .needs(&[FOLD, STATE], &["TCP_SOCK_BYTES_SENT", "TCP_SOCK_BYTES_RECEIVED"]),
    metric(
        "tcp_retransmitted_segments",
        Count,
        C,
        "TCP segments sent again, SYNs apart, those that this host then refused included: cause loss while the sender was in the \
         state Loss (a time-out), other else",
        "tcp_sock.total_retrans, split by inet_connection_sock.icsk_ca_state at tracepoints tcp_retransmit_skb, tcp_cong_state_set",
        Source::Counters(&[
            (&["loss"], Counter::RetransmittedSegmentsLoss),
            (&["other"], Counter::RetransmittedSegmentsOther),
        ]),
    )
    .by(&["cause"])
    .needs(&[FOLD, STATE, RETRANSMIT], &["TCP_SOCK_TOTAL_RETRANS"]),
    metric(
        "tcp_retransmitted",
        Bytes,
        C,
        "TCP payload sent again, by cause as for segments",
        "tcp_sock.bytes_retrans, split as the segments",
        Source::Counters(&[
            (&["loss"], Counter::RetransmittedBytesLoss),
            (&["other"], Counter::RetransmittedBytesOther),
        ]),
    )
    .by(&["cause"])
    .needs(&[FOLD, STATE, RETRANSMIT], &["TCP_SOCK_BYTES_RETRANS"]),
    metric(
        "tcp_handshake_retransmits",
        Count,
        C,
        "SYNs (as client) and SYN-ACKs (as server) sent again; SYNs that this host then refused are among them, such SYN-ACKs are \
         not; the connection type of a SYN-ACK is not known yet",
        "tracepoints tcp_retransmit_skb, tcp_retransmit_synack",
        Source::Counters(&[
            (&["syn"], Counter::SynRetransmits),
            (&["synack"], Counter::SynAckRetransmits),
        ]),
    )
    .by(&["segment"])
    .needs(&[RETRANSMIT, "tcp_retransmit_synack"], &[]),
    metric(
        "tcp_locally_dropped_segments",
        Count,
        C,
        "TCP segments of a local connection, SYNs and SYN-ACKs included, that this host itself dropped on their way out; data that \
         TCP learns of at once is sent again without counting as retransmitted",
        "tracepoint kfree_skb: sk_buff.sk, skb_shared_info.gso_segs",
        Source::Counters(&[(&[], Counter::LocallyDroppedSegments)]),
    )
    .needs(&[DROPS, STATE], &["SK_BUFF_SK"]),
    metric(
        "tcp_duplicate_acks",
        Count,
        C,
        "Duplicate acknowledgments received (RFC 5681)",
        "tracepoint tcp_probe: TCP header against tcp_sock.snd_una, snd_wnd, packets_out",
        Source::Counters(&[(&[], Counter::DuplicateAcks)]),
    )
    .needs(
        &[SEGMENTS],
        &["TCP_SOCK_SND_UNA", "TCP_SOCK_SND_WND", "TCP_SOCK_PACKETS_OUT", "TCP_SOCK_SND_WSCALE"],
    ),
    metric(
        "tcp_sacks",
        Count,
        C,
        "Segments received with a selective acknowledgment (RFC 2018)",
        "tracepoint tcp_probe: TCP options",
        Source::Counters(&[(&[], Counter::Sacks)]),
    )
    .needs(&[SEGMENTS], &[]),
    metric(
        "tcp_sack_blocks",
        Count,
        C,
        "Blocks in received selective acknowledgments (RFC 2018)",
        "tracepoint tcp_probe: TCP options",
        Source::Counters(&[(&[], Counter::SackBlocks)]),
    )
    .needs(&[SEGMENTS], &[]),
    metric(
        "tcp_out_of_order_segments",
        Count,
        C,
        "Segments received beyond the next expected byte",
        "tcp_sock.rcv_ooopack",
        Source::Counters(&[(&[], Counter::OutOfOrderSegments)]),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_RCV_OOOPACK"]),
    metric(
        "tcp_dsacks",
        Count,
        C,
        "Segments that the peer reported to have received twice, by duplicate SACK (RFC 2883): unnecessary retransmissions, and \
         copies that the network made",
        "tcp_sock.dsack_dups",
        Source::Counters(&[(&[], Counter::Dsacks)]),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_DSACK_DUPS"]),
    metric(
        "tcp_reordering_events",
        Count,
        C,
        "Times that the sender found its segments reordered by the network",
        "tcp_sock.reord_seen",
        Source::Counters(&[(&[], Counter::ReorderingEvents)]),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_REORD_SEEN"]),
    metric(
        "tcp_ecn_marked_segments",
        Count,
        C,
        "Segments acknowledged with an echo of the mark of congestion: with RFC 3168 the peer echoes one mark until the sender has \
         answered it, so this is no number of marks; with Accurate ECN and DCTCP it is close to one",
        "tcp_sock.delivered_ce",
        Source::Counters(&[(&[], Counter::EcnMarkedSegments)]),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_DELIVERED_CE"]),
    metric(
        "tcp_rtt",
        Seconds,
        H,
        "Round-trip time: with tcp.detail full every unambiguous sample, with essential the smoothed value at each collection \
         and at close",
        "tcp_sock.rack.rtt_us (full), srtt_us (essential)",
        Source::GroupHistogram(|group, _| {
            let sum = |micros| seconds(micros, MICROSECOND);
            HistogramValue::new(&group.counters.rtt, 2, RTT_FIRST_EXPONENT, sum)
        }),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_RACK_RTT_US", "TCP_SOCK_RACK_MSTAMP", "TCP_SOCK_SRTT_US"]),
    metric(
        "tcp_rtt_min",
        Seconds,
        G,
        "Smallest round-trip time in the lives of the live connections",
        "tcp_sock.rack.rtt_us (full), srtt_us (essential)",
        Source::GroupGauge(|group, _| micros(group.samples.rtt_min)),
    )
    .needs(&[FOLD, STATE], &[]),
    metric(
        "tcp_rtt_max",
        Seconds,
        G,
        "Largest round-trip time in the lives of the live connections",
        "tcp_sock.rack.rtt_us (full), srtt_us (essential)",
        Source::GroupGauge(|group, _| micros(group.samples.rtt_max)),
    )
    .needs(&[FOLD, STATE], &[]),
    metric(
        "tcp_rto_min",
        Seconds,
        G,
        "Smallest retransmission time-out of the live connections, at their round-trip samples",
        "inet_connection_sock.icsk_rto",
        Source::GroupGauge(|group, jiffy| jiffies(group.samples.rto_min, jiffy)),
    )
    .needs(&[FOLD, STATE], &["ICSK_RTO"]),
    metric(
        "tcp_rto_max",
        Seconds,
        G,
        "Largest retransmission time-out of the live connections, at their round-trip samples",
        "inet_connection_sock.icsk_rto",
        Source::GroupGauge(|group, jiffy| jiffies(group.samples.rto_max, jiffy)),
    )
    .needs(&[FOLD, STATE], &["ICSK_RTO"]),
    metric(
        "tcp_smoothed_rtt",
        Seconds,
        H,
        "Smoothed round-trip time (RFC 6298), one observation per live connection and collection",
        "tcp_sock.srtt_us",
        Source::GroupHistogram(|group, _| time(&group.samples.smoothed_rtt, MICROSECOND)),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_SRTT_US"]),
    metric(
        "tcp_congestion_window",
        Segments,
        H,
        "Congestion window, one observation per live connection and collection",
        "tcp_sock.snd_cwnd",
        Source::GroupHistogram(|group, _| size(&group.samples.congestion_window)),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_SND_CWND"]),
    metric(
        "tcp_slow_start_threshold",
        Segments,
        H,
        "Slow-start threshold, one observation per collection and live connection that has one (none before the first congestion)",
        "tcp_sock.snd_ssthresh",
        Source::GroupHistogram(|group, _| size(&group.samples.slow_start_threshold)),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_SND_SSTHRESH"]),
    metric(
        "tcp_mss",
        Bytes,
        H,
        "Maximum segment size in use, one observation per live connection and collection",
        "tcp_sock.mss_cache",
        Source::GroupHistogram(|group, _| size(&group.samples.mss)),
    )
    .needs(&[FOLD, STATE], &["TCP_SOCK_MSS_CACHE"]),
    metric(
        "tcp_rto",
        Seconds,
        H,
        "Retransmission time-out (RFC 6298), one observation per live connection and collection",
        "inet_connection_sock.icsk_rto",
        Source::GroupHistogram(|group, jiffy| time(&group.samples.rto, jiffy)),
    )
    .needs(&[FOLD, STATE], &["ICSK_RTO"]),
    metric(
        "tcp_sender_busy",
        Seconds,
        C,
        "Time in which connections had data to send or in flight",
        "tcp_sock.chrono_stat, as tcpi_busy_time",
        Source::Jiffies(&[(&[], Counter::SenderBusyJiffies)]),
    )
    .needs(&[FOLD, STATE], CHRONO),
    metric(
        "tcp_sender_limited",
        Seconds,
        C,
        "Part of the busy time in which the sender had to wait for the peer's receive window, or for room in its own send buffer",
        "tcp_sock.chrono_stat, as tcpi_rwnd_limited and tcpi_sndbuf_limited",
        Source::Jiffies(&[
            (&["receive_window"], Counter::ReceiveWindowJiffies),
            (&["send_buffer"], Counter::SendBufferJiffies),
        ]),
    )
    .by(&["limit"])
    .needs(&[FOLD, STATE], CHRONO),
    metric(
        "tcp_congestion_events",
        Count,
        C,
        "Entries into a congestion state",
        "tracepoint tcp_cong_state_set",
        Source::Counters(&[
            (&["disorder"], Counter::DisorderEntries),
            (&["cwr"], Counter::CwrEntries),
            (&["recovery"], Counter::RecoveryEntries),
            (&["loss"], Counter::LossEntries),
        ]),
    )
    .by(&["state"])
    .needs(&["tcp_cong_state_set"], &[]),
    metric(
        "tcp_connections",
        Count,
        G,
        "Live connections",
        "iterator bpf_sk_storage_map",
        Source::GroupGauge(|group, _| Some(number(group.samples.live))),
    )
    .needs(&[FOLD, STATE], &[]),
    metric(
        "tcp_connections_by_algorithm",
        Count,
        G,
        "Live connections by congestion-control algorithm",
        "tcp_congestion_ops.name",
        Source::Algorithms,
    )
    .by(&["algorithm"])
    .needs(&[FOLD, STATE], &["ICSK_CA_OPS", "TCP_CONGESTION_OPS_NAME"]),
    metric(
        "tcp_connections_opened",
        Count,
        C,
        "Connections established",
        "tracepoint inet_sock_set_state",
        Source::Counters(&[(&[], Counter::Opened)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "tcp_connections_closed",
        Count,
        C,
        "Established connections that have ended; TIME-WAIT does not count as life",
        "tracepoint inet_sock_set_state",
        Source::Counters(&[(&[], Counter::Closed)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "tcp_connections_failed",
        Count,
        C,
        "Active opens that failed; unanswered and cancelled are those that the application gave up, after a SYN was retransmitted \
         and before; no_route and no_local_port failed before their SYN",
        "tracepoint inet_sock_set_state: sock.sk_err, sk_err_soft, tcp_sock.segs_out, total_retrans; tracepoint tcp_destroy_sock: \
         inet_sock.cork, tcp_sock.rx_opt.mss_clamp",
        Source::Counters(&[
            (&["refused"], Counter::FailedRefused),
            (&["timed_out"], Counter::FailedTimedOut),
            (&["unanswered"], Counter::FailedUnanswered),
            (&["cancelled"], Counter::FailedCancelled),
            (&["reset"], Counter::FailedReset),
            (&["host_unreachable"], Counter::FailedHostUnreachable),
            (&["network_unreachable"], Counter::FailedNetworkUnreachable),
            (&["prohibited"], Counter::FailedProhibited),
            (&["no_route"], Counter::FailedNoRoute),
            (&["no_local_port"], Counter::FailedNoLocalPort),
            (&["other"], Counter::FailedOther),
        ]),
    )
    .by(&["reason"])
    .needs(&[STATE], &["SOCK_ERR"]),
    metric(
        "tcp_listen_drops",
        Count,
        C,
        "Handshakes that a listener of this host turned away, SYNs and last ACKs, each time they came; whose they were is not \
         known, so the subnet is none",
        "sock.sk_drops of listeners, without what tracepoint kfree_skb reports for them; sk_ack_backlog, icsk_accept_queue.qlen",
        Source::Counters(&[
            (&["accept_queue_full"], Counter::ListenDropsAcceptQueue),
            (&["syn_queue_full"], Counter::ListenDropsSynQueue),
            (&["other"], Counter::ListenDropsOther),
        ]),
    )
    .by(&["cause"])
    .needs(&[LISTENERS, DROPS, STATE], &[]),
    metric(
        "tcp_resets",
        Count,
        C,
        "TCP resets sent and received, those of handshakes that are not over included; older kernels (6.1) report neither those that \
         are sent without a connection nor those that end a server's handshake",
        "tracepoints tcp_send_reset, tcp_receive_reset; kfree_skb for a server's handshake",
        Source::Counters(&[
            (&["transmit"], Counter::ResetsTransmitted),
            (&["receive"], Counter::ResetsReceived),
        ]),
    )
    .by(&["direction"])
    .needs(&["tcp_send_reset", "tcp_receive_reset"], &[]),
    metric(
        "tcp_handshake",
        Seconds,
        H,
        "Time of the handshake: from the first SYN to established as client; as server the round trip of the SYN-ACK that was \
         answered (none without TCP timestamps if it was sent again)",
        "tracepoint inet_sock_set_state; tcp_sock.srtt_us",
        Source::GroupHistogram(|group, _| time(&group.counters.handshake, MICROSECOND)),
    )
    .needs(&[STATE], &[]),
    metric(
        "tcp_connection_duration",
        Seconds,
        H,
        "Time from established to closed, of connections whose beginning was seen",
        "tracepoint inet_sock_set_state",
        Source::GroupHistogram(|group, _| time(&group.counters.duration, MICROSECOND)),
    )
    .needs(&[STATE], &[]),
    metric(
        "dropped_packets",
        Count,
        C,
        "Packets dropped, each counted once, even if it still holds several segments; where (location) and why (reason) are, by \
         source: the kernel function and the kernel's reason (software), the devlink trap and its group (hardware), the program and \
         the action or error number that failed it, or the tracepoint and the error where packets are sent together (xdp)",
        "tracepoints kfree_skb and qdisc_drop; devlink_trap_report; xdp_exception, xdp_redirect_err, xdp_bulk_tx, xdp_devmap_xmit, \
         xdp_cpumap_enqueue and xdp_cpumap_kthread",
        Source::Drops(&drops::DropSource::ALL, |count| count.packets),
    )
    .by(&["source"])
    .needs_one_of(&[DROPS, TRAPS, "xdp_exception", "xdp_redirect_err", "xdp_bulk_tx", "xdp_devmap_xmit", "xdp_cpumap_enqueue"]),
    metric(
        "dropped",
        Bytes,
        C,
        "Bytes of dropped packets, without the headers that had been processed already",
        "tracepoints kfree_skb and devlink_trap_report: sk_buff.len",
        Source::Drops(&[drops::DropSource::Software, drops::DropSource::Hardware], |count| count.bytes),
    )
    .by(&["source"])
    .needs_one_of(&[DROPS, TRAPS]),
    metric(
        "program_attached",
        Count,
        G,
        "Whether a kernel program runs (1), else the reason why not",
        "the plan",
        Source::Programs,
    )
    .by(&["program", "hook", "reason"]),
    metric(
        "flows_untracked",
        Count,
        C,
        "Connections for which the kernel gave no storage; they count as opened and closed, their traffic is missing",
        "bpf_sk_storage_get",
        Source::Lost(&[(&[], Lost::FlowsUntracked)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "folds_contended",
        Count,
        C,
        "Counters of closing connections that were given up because another processor kept folding them",
        "the fold",
        Source::Lost(&[(&[], Lost::FoldsContended)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "group_overflow",
        Count,
        C,
        "Connections and events counted in the group other because all slots were taken (limits.memory)",
        "the map GROUP_SLOTS",
        Source::Lost(&[(&[], Lost::GroupOverflow)]),
    ),
    metric(
        "drop_overflow",
        Count,
        C,
        "Dropped packets counted in the row other of their source because all slots were taken (limits.memory)",
        "the maps DROP_SLOTS and NAMED_DROP_SLOTS",
        Source::Lost(&[(&[], Lost::DropOverflow)]),
    ),
    metric(
        "series_overflow",
        Count,
        C,
        "Label sets folded into other because of limits.series (a label set of the TCP metrics takes 58 series, of drops 2)",
        "the series cap",
        Source::SeriesOverflow,
    )
    .by(&["metrics"]),
    metric(
        "events_lost",
        Count,
        C,
        "Events that no kernel program saw: the first was already running on that processor, and the second did not take over",
        "bpf_prog_info.recursion_misses less what the second programs took over",
        Source::Misses,
    )
    .by(&["program"]),
    metric("groups", Count, G, "Groups (label sets of connections) in use", "the map GROUP_SLOTS", Source::Groups),
    metric(
        "groups_capacity",
        Count,
        G,
        "Groups that fit (limits.memory and the number of processors)",
        "the map GROUPS",
        Source::GroupCapacity,
    ),
    metric("series", Count, G, "Series in this exposition; a histogram counts as one", "the metric table", Source::Series),
    metric(
        "collections",
        Count,
        C,
        "Collections since the start: one for all scrapes within collect.max_age, and two for each reload",
        "the collector",
        Source::Exporter(|exporter| Some(exporter.collections as f64)),
    ),
    metric(
        "collect_duration",
        Seconds,
        G,
        "Duration of the last collection",
        "the collector",
        Source::Exporter(|exporter| Some(exporter.collect_duration.as_secs_f64())),
    ),
    metric(
        "config_last_reload_successful",
        Count,
        G,
        "Whether the last reload of the configuration succeeded (1); the start counts as one",
        "SIGHUP, POST /-/reload",
        Source::Exporter(|exporter| Some(if exporter.last_reload.successful { 1.0 } else { 0.0 })),
    ),
    metric(
        "config_last_reload_timestamp",
        Seconds,
        G,
        "When the configuration in force was read, in seconds since 1970",
        "SIGHUP, POST /-/reload",
        Source::Exporter(|exporter| Some(exporter.last_reload.succeeded.as_secs_f64())),
    ),
    metric(
        "otlp_exports",
        Count,
        C,
        "Requests to the OTLP receiver by what became of them: success; partial, it refused some data points; refused, it will \
         not take them as they are; failed, no answer or none but to try again, until the next was due",
        "the OTLP push",
        Source::Pushes(&[
            (&["success"], Push::Success),
            (&["partial"], Push::Partial),
            (&["refused"], Push::Refused),
            (&["failed"], Push::Failed),
        ]),
    )
    .by(&["result"]),
    metric(
        "otlp_retries",
        Count,
        C,
        "Requests to the OTLP receiver that were sent again",
        "the OTLP push",
        Source::Pushes(&[(&[], Push::Retries)]),
    ),
    metric(
        "otlp_rejected_data_points",
        Count,
        C,
        "Data points that the OTLP receiver refused while it took the rest",
        "the OTLP push: partial_success.rejected_data_points",
        Source::Pushes(&[(&[], Push::RejectedPoints)]),
    ),
    metric(
        "otlp_start_resets",
        Count,
        C,
        "Times that the start of all pushed series was replaced, because the clock had been set back behind it",
        "the OTLP push",
        Source::Pushes(&[(&[], Push::StartResets)]),
    ),
    metric(
        "otlp_last_success_timestamp",
        Seconds,
        G,
        "When the OTLP receiver last took a request, in seconds since 1970",
        "the OTLP push",
        Source::Exporter(|exporter| exporter.pushes.as_ref()?.last_taken),
    ),
    metric(
        "http_connections",
        Count,
        G,
        "Open connections of the HTTP server",
        "the HTTP server",
        Source::Exporter(|exporter| Some(number(exporter.served.as_ref()?.connections))),
    ),
    metric(
        "http_requests",
        Count,
        C,
        "Requests that the HTTP server answered, by status code",
        "the HTTP server",
        Source::Answers,
    )
    .by(&["code"]),
    metric(
        "http_refused",
        Count,
        C,
        "Connections and requests that the HTTP server refused or ended early, by the bound or guard that did it",
        "the HTTP server",
        Source::Refused(&[
            (&["connections_per_peer"], Refusal::ConnectionsPerPeer),
            (&["connections"], Refusal::Connections),
            (&["handshake"], Refusal::Handshake),
            (&["answer_time"], Refusal::AnswerTime),
            (&["answer_memory"], Refusal::AnswerMemory),
            (&["host"], Refusal::Host),
            (&["cross_site"], Refusal::CrossSite),
            (&["password"], Refusal::Password),
            (&["logins"], Refusal::Logins),
            (&["rate_limit"], Refusal::RateLimit),
        ]),
    )
    .by(&["reason"]),
    metric("build_info", Count, G, "The version of the exporter; the value is always 1", "Cargo.toml", Source::BuildInfo)
        .by(&["version"]),
    metric(
        "process_cpu",
        Seconds,
        C,
        "User and system time of the exporter",
        "/proc/self/stat",
        Source::Process(|exporter| exporter.cpu_seconds),
    ),
    metric(
        "process_resident_memory",
        Bytes,
        G,
        "Resident memory of the exporter",
        "/proc/self/stat",
        Source::Process(|exporter| exporter.resident_bytes),
    ),
    metric(
        "process_virtual_memory",
        Bytes,
        G,
        "Virtual memory of the exporter",
        "/proc/self/stat",
        Source::Process(|exporter| exporter.virtual_bytes),
    ),
    metric(
        "process_open_fds",
        Count,
        G,
        "Open file descriptors of the exporter",
        "/proc/self/fd",
        Source::Process(|exporter| exporter.open_descriptors),
    ),
    metric(
        "process_max_fds",
        Count,
        G,
        "Most file descriptors that the exporter may open",
        "/proc/self/limits",
        Source::Process(|exporter| exporter.most_descriptors),
    ),
    metric(
        PROCESS_START,
        Seconds,
        G,
        "Start of the exporter, in seconds since 1970",
        "/proc/self/stat",
        Source::Process(|exporter| exporter.started),
    ),
];

/// 0 is no value.
fn micros(value: u32) -> Option<f64> {
    jiffies(value, MICROSECOND)
}

/// 0 is no value.
fn jiffies(value: u32, jiffy: Duration) -> Option<f64> {
    (value != 0).then(|| seconds(value.into(), jiffy))
}

fn time<const N: usize>(histogram: &Histogram<N>, unit: Duration) -> HistogramValue {
    HistogramValue::new(histogram, 0, TIME_FIRST_EXPONENT, |sum| seconds(sum, unit))
}

fn size<const N: usize>(histogram: &Histogram<N>) -> HistogramValue {
    HistogramValue::new(histogram, 0, SIZE_FIRST_EXPONENT, number)
}
