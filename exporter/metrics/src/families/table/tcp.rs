//! What is counted of TCP, by label set and by algorithm.

use super::row::metric;
use crate::{
    families::{
        metric::{
            Accessor,
            Kind::{Counter as C, Gauge as G, Histogram as H},
            Metric,
            Unit::{Bytes, BytesPerSecond, Counted, Ratio, Seconds, Segments},
        },
        value::HistogramValue,
    },
    number::{number, seconds},
};
use common::{
    histogram::{Histogram, RATE_FIRST_EXPONENT, RTT_FIRST_EXPONENT, SIZE_FIRST_EXPONENT, TIME_FIRST_EXPONENT},
    kernel::{
        fields::global,
        programs::{
            CONGESTION, DROPS, FOLD, FOLD_LISTENERS as LISTENERS, RESET_RECEIVED, RESET_SENT, RETRANSMIT,
            SAMPLE_LISTENERS, SEGMENTS, STATE, SYNACK,
        },
    },
    tcp::{accept_queue::FULL, group::Counter},
};
use std::time::Duration;
use tcpvitals_config::label::Label;

const MICROSECOND: Duration = Duration::from_micros(1);
const CHRONO: &[&str] = &[
    global::TCP_SOCK_CHRONO_TYPE,
    global::TCP_SOCK_CHRONO_START,
    global::TCP_SOCK_CHRONO_BUSY,
    global::TCP_SOCK_CHRONO_RECEIVE_WINDOW,
    global::TCP_SOCK_CHRONO_SEND_BUFFER,
];
const DIRECTION: Label = Label::new("direction", "network.io.direction");
const KIND: Label = Label::new("kind", "tcpvitals.tcp.kind");
const CAUSE: Label = Label::new("cause", "tcpvitals.tcp.cause");
const SEGMENT: Label = Label::new("segment", "tcpvitals.tcp.segment");
const LIMIT: Label = Label::new("limit", "tcpvitals.tcp.limit");
const STATE_ENTERED: Label = Label::new("state", "tcpvitals.tcp.state");
const ALGORITHM: Label = Label::new("algorithm", "tcpvitals.tcp.algorithm");
/// Why an operation failed: the conventions have one attribute for it.
const FAILURE: Label = Label::new("reason", "error.type");

pub(super) const METRICS: &[Metric] = &[
    metric(
        "tcp_segments",
        Counted("{segment}"),
        C,
        "TCP segments of established connections, including the handshake, except the SYN-ACK of a server, which is \
         sent before the connection exists",
        "tcp_sock.segs_out, segs_in",
        Accessor::Counters(&[
            (&["transmit"], Counter::SegmentsTransmitted),
            (&["receive"], Counter::SegmentsReceived),
        ]),
    )
    .by(&[DIRECTION])
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_SEGS_OUT, global::TCP_SOCK_SEGS_IN]),
    metric(
        "tcp_data_segments",
        Counted("{segment}"),
        C,
        "TCP segments with payload, including retransmissions",
        "tcp_sock.data_segs_out, data_segs_in",
        Accessor::Counters(&[
            (&["transmit"], Counter::DataSegmentsTransmitted),
            (&["receive"], Counter::DataSegmentsReceived),
        ]),
    )
    .by(&[DIRECTION])
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_DATA_SEGS_OUT, global::TCP_SOCK_DATA_SEGS_IN]),
    metric(
        "tcp_data",
        Bytes,
        C,
        "TCP payload. Direction transmit includes retransmissions; direction receive counts the bytes received in \
         order, and a FIN as one byte",
        "tcp_sock.bytes_sent, bytes_received",
        Accessor::Counters(&[
            (&["transmit"], Counter::DataBytesTransmitted),
            (&["receive"], Counter::DataBytesReceived),
        ]),
    )
    .by(&[DIRECTION])
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_BYTES_SENT, global::TCP_SOCK_BYTES_RECEIVED]),
    metric(
        "tcp_retransmitted_segments",
        Counted("{segment}"),
        C,
        "Retransmitted TCP segments without SYNs, including those that this host then refused to send, by the cause \
         of the retransmission: timeout (RTO, RFC 6298, and all further ones in TCP_CA_Loss), tail_loss_probe (RFC \
         8985), fast (TCP_CA_Recovery), other (a smaller path MTU, data of a SYN that the peer did not accept)",
        "tcp_sock.total_retrans, split by inet_connection_sock.icsk_ca_state, icsk_pending at tracepoints tcp_retransmit_skb, \
         tcp_cong_state_set",
        Accessor::Counters(&[
            (&["timeout"], Counter::RetransmittedSegmentsTimeout),
            (&["tail_loss_probe"], Counter::RetransmittedSegmentsTailLossProbe),
            (&["fast"], Counter::RetransmittedSegmentsFast),
            (&["other"], Counter::RetransmittedSegmentsOther),
        ]),
    )
    .by(&[KIND])
    .needs(&[FOLD, STATE, RETRANSMIT], &[global::TCP_SOCK_TOTAL_RETRANS]),
    metric(
        "tcp_retransmitted",
        Bytes,
        C,
        "Retransmitted TCP payload, including segments that this host then refused to send",
        "tcp_sock.bytes_retrans",
        Accessor::Counters(&[(&[], Counter::RetransmittedBytes)]),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_BYTES_RETRANS]),
    metric(
        "tcp_handshake_retransmits",
        Counted("{segment}"),
        C,
        "Retransmitted SYNs (role client) and SYN-ACKs (role server). SYNs that this host then refused to send are \
         included, SYN-ACKs are not. The connection type of a SYN-ACK is unknown",
        "tracepoints tcp_retransmit_skb, tcp_retransmit_synack",
        Accessor::Counters(&[
            (&["syn"], Counter::SynRetransmits),
            (&["synack"], Counter::SynAckRetransmits),
        ]),
    )
    .by(&[SEGMENT])
    .needs(&[RETRANSMIT, SYNACK], &[]),
    metric(
        "tcp_locally_dropped_segments",
        Counted("{segment}"),
        C,
        "TCP segments of local connections, including SYNs and SYN-ACKs, that this host itself dropped before they \
         left it. If TCP is told of the drop at once, it sends the data later as new: such a segment does not count \
         as retransmitted",
        "tracepoint kfree_skb: sk_buff.sk, skb_shared_info.gso_segs",
        Accessor::Counters(&[(&[], Counter::LocallyDroppedSegments)]),
    )
    .needs(&[DROPS, STATE], &[global::SK_BUFF_SK]),
    metric(
        "tcp_retransmitted_segments_after_local_drop",
        Counted("{segment}"),
        C,
        "Retransmitted TCP segments whose previous transmission this host itself had dropped, in any of its network \
         namespaces. All other retransmitted segments were lost elsewhere or retransmitted needlessly",
        "tracepoint tcp_retransmit_skb: tcp_skb_cb.seq, end_seq, against the TCP headers of packets at kfree_skb",
        Accessor::Counters(&[(&[], Counter::RetransmittedAfterLocalDrop)]),
    )
    .needs(&[DROPS, RETRANSMIT, STATE], &[global::TCP_SKB_CB_SEQ]),
    metric(
        "tcp_duplicate_acks",
        Counted("{segment}"),
        C,
        "Duplicate acknowledgments received (RFC 5681)",
        "tracepoint tcp_probe: TCP header against tcp_sock.snd_una, snd_wnd, packets_out",
        Accessor::Counters(&[(&[], Counter::DuplicateAcks)]),
    )
    .needs(
        &[SEGMENTS],
        &[global::TCP_SOCK_SND_UNA, global::TCP_SOCK_SND_WND, global::TCP_SOCK_PACKETS_OUT, global::TCP_SOCK_SND_WSCALE],
    ),
    metric(
        "tcp_sacks",
        Counted("{segment}"),
        C,
        "Segments received with a selective acknowledgment (RFC 2018)",
        "tracepoint tcp_probe: TCP options",
        Accessor::Counters(&[(&[], Counter::Sacks)]),
    )
    .needs(&[SEGMENTS], &[]),
    metric(
        "tcp_sack_blocks",
        Counted("{block}"),
        C,
        "Blocks in received selective acknowledgments (RFC 2018)",
        "tracepoint tcp_probe: TCP options",
        Accessor::Counters(&[(&[], Counter::SackBlocks)]),
    )
    .needs(&[SEGMENTS], &[]),
    metric(
        "tcp_out_of_order_segments",
        Counted("{segment}"),
        C,
        "Segments received beyond the next expected byte",
        "tcp_sock.rcv_ooopack",
        Accessor::Counters(&[(&[], Counter::OutOfOrderSegments)]),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_RCV_OOOPACK]),
    metric(
        "tcp_dsacks",
        Counted("{segment}"),
        C,
        "Segments that the peer reported as received twice, by duplicate SACK (RFC 2883): spurious retransmissions, \
         and copies made by the network",
        "tcp_sock.dsack_dups",
        Accessor::Counters(&[(&[], Counter::Dsacks)]),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_DSACK_DUPS]),
    metric(
        "tcp_reordering_events",
        Counted("{event}"),
        C,
        "Times that the sender detected reordering of its segments by the network",
        "tcp_sock.reord_seen",
        Accessor::Counters(&[(&[], Counter::ReorderingEvents)]),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_REORD_SEEN]),
    metric(
        "tcp_ecn_marked_segments",
        Counted("{segment}"),
        C,
        "Segments whose acknowledgment echoed an ECN congestion mark. With RFC 3168 the peer repeats the echo until the \
         sender reacts, so this is not the number of marks; with Accurate ECN and DCTCP it is close to it",
        "tcp_sock.delivered_ce",
        Accessor::Counters(&[(&[], Counter::EcnMarkedSegments)]),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_DELIVERED_CE]),
    metric(
        "tcp_rtt",
        Seconds,
        H,
        "Round-trip time: with tcp.detail full each unambiguous sample, with essential the smoothed value at each \
         collection and at close",
        "tcp_sock.rack.rtt_us (full), srtt_us (essential)",
        Accessor::GroupHistogram(|group, _| {
            let sum = |micros| seconds(micros, MICROSECOND);
            HistogramValue::new(&group.counters.rtt, 2, RTT_FIRST_EXPONENT, sum)
        }),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_RACK_RTT_US, global::TCP_SOCK_RACK_MSTAMP, global::TCP_SOCK_SRTT_US]),
    metric(
        "tcp_rtt_min",
        Seconds,
        G,
        "Smallest round-trip time that the live connections have had",
        "tcp_sock.rack.rtt_us (full), srtt_us (essential)",
        Accessor::GroupGauge(|group, _| micros(group.samples.rtt_min)),
    )
    .needs(&[FOLD, STATE], &[]),
    metric(
        "tcp_rtt_max",
        Seconds,
        G,
        "Largest round-trip time that the live connections have had",
        "tcp_sock.rack.rtt_us (full), srtt_us (essential)",
        Accessor::GroupGauge(|group, _| micros(group.samples.rtt_max)),
    )
    .needs(&[FOLD, STATE], &[]),
    metric(
        "tcp_rto_min",
        Seconds,
        G,
        "Smallest retransmission timeout (RTO) of the live connections, taken at their round-trip samples",
        "inet_connection_sock.icsk_rto",
        Accessor::GroupGauge(|group, jiffy| jiffies(group.samples.rto_min, jiffy)),
    )
    .needs(&[FOLD, STATE], &[global::ICSK_RTO]),
    metric(
        "tcp_rto_max",
        Seconds,
        G,
        "Largest retransmission timeout (RTO) of the live connections, taken at their round-trip samples",
        "inet_connection_sock.icsk_rto",
        Accessor::GroupGauge(|group, jiffy| jiffies(group.samples.rto_max, jiffy)),
    )
    .needs(&[FOLD, STATE], &[global::ICSK_RTO]),
    metric(
        "tcp_smoothed_rtt",
        Seconds,
        H,
        "Smoothed round-trip time (RFC 6298), one observation per live connection and collection",
        "tcp_sock.srtt_us",
        Accessor::GroupHistogram(|group, _| time(&group.samples.smoothed_rtt, MICROSECOND)),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_SRTT_US]),
    metric(
        "tcp_congestion_window",
        Segments,
        H,
        "Congestion window, one observation per live connection and collection",
        "tcp_sock.snd_cwnd",
        Accessor::GroupHistogram(|group, _| size(&group.samples.congestion_window)),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_SND_CWND]),
    metric(
        "tcp_slow_start_threshold",
        Segments,
        H,
        "Slow-start threshold, one observation per collection and live connection that has one: a connection has \
         none before its first congestion",
        "tcp_sock.snd_ssthresh",
        Accessor::GroupHistogram(|group, _| size(&group.samples.slow_start_threshold)),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_SND_SSTHRESH]),
    metric(
        "tcp_mss",
        Bytes,
        H,
        "Maximum segment size in use, one observation per live connection and collection",
        "tcp_sock.mss_cache",
        Accessor::GroupHistogram(|group, _| size(&group.samples.mss)),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_MSS_CACHE]),
    metric(
        "tcp_rto",
        Seconds,
        H,
        "Retransmission timeout (RTO, RFC 6298), one observation per live connection and collection",
        "inet_connection_sock.icsk_rto",
        Accessor::GroupHistogram(|group, jiffy| time(&group.samples.rto, jiffy)),
    )
    .needs(&[FOLD, STATE], &[global::ICSK_RTO]),
    metric(
        "tcp_delivery_rate",
        BytesPerSecond,
        H,
        "Rate at which the peer most recently acknowledged payload, one observation per collection and live \
         connection whose application always had data to send during the measurement",
        "tcp_sock.rate_delivered, rate_interval_us, rate_app_limited, mss_cache, as tcpi_delivery_rate",
        Accessor::GroupHistogram(|group, _| {
            HistogramValue::new(&group.samples.delivery_rate, 0, RATE_FIRST_EXPONENT, number)
        }),
    )
    .needs(
        &[FOLD, STATE],
        &[global::TCP_SOCK_RATE_DELIVERED, global::TCP_SOCK_RATE_INTERVAL_US, global::TCP_SOCK_RATE_APP_LIMITED],
    ),
    metric(
        "tcp_path_mtu_min",
        Bytes,
        G,
        "Smallest path MTU of the live connections: the MTU of the device or route, or a smaller one found by ICMP \
         or MTU probes (RFC 4821)",
        "inet_connection_sock.icsk_pmtu_cookie",
        Accessor::GroupGauge(|group, _| some(group.samples.path_mtu_min)),
    )
    .needs(&[FOLD, STATE], &[global::ICSK_PMTU_COOKIE]),
    metric(
        "tcp_peer_mss_min",
        Bytes,
        G,
        "Smallest maximum segment size (MSS option) that a peer of the live connections announced, or that a router \
         on the path clamped",
        "tcp_sock.rx_opt.mss_clamp",
        Accessor::GroupGauge(|group, _| some(group.samples.peer_mss_min)),
    )
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_MSS_CLAMP]),
    metric(
        "tcp_peer_zero_windows",
        Counted("{connection}"),
        G,
        "Live connections whose peer announces a zero receive window: the application there does not read",
        "tcp_sock.snd_wnd",
        Accessor::GroupGauge(|group, _| Some(group.samples.peer_zero_windows.into())),
    )
    .adding_up()
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_SND_WND]),
    metric(
        "tcp_own_zero_windows",
        Counted("{connection}"),
        G,
        "Live connections for which this host announces a zero receive window: the application here does not read",
        "tcp_sock.rcv_wnd",
        Accessor::GroupGauge(|group, _| Some(group.samples.own_zero_windows.into())),
    )
    .adding_up()
    .needs(&[FOLD, STATE], &[global::TCP_SOCK_RCV_WND]),
    metric(
        "tcp_sender_busy",
        Seconds,
        C,
        "Time during which connections had data to send or in flight",
        "tcp_sock.chrono_stat, as tcpi_busy_time",
        Accessor::Jiffies(&[(&[], Counter::SenderBusyJiffies)]),
    )
    .needs(&[FOLD, STATE], CHRONO),
    metric(
        "tcp_sender_limited",
        Seconds,
        C,
        "Part of the busy time during which the sender waited for the peer's receive window, or for space in its own \
         send buffer",
        "tcp_sock.chrono_stat, as tcpi_rwnd_limited and tcpi_sndbuf_limited",
        Accessor::Jiffies(&[
            (&["receive_window"], Counter::ReceiveWindowJiffies),
            (&["send_buffer"], Counter::SendBufferJiffies),
        ]),
    )
    .by(&[LIMIT])
    .needs(&[FOLD, STATE], CHRONO),
    metric(
        "tcp_congestion_events",
        Counted("{event}"),
        C,
        "Entries into a congestion state",
        "tracepoint tcp_cong_state_set",
        Accessor::Counters(&[
            (&["disorder"], Counter::DisorderEntries),
            (&["cwr"], Counter::CwrEntries),
            (&["recovery"], Counter::RecoveryEntries),
            (&["loss"], Counter::LossEntries),
        ]),
    )
    .by(&[STATE_ENTERED])
    .needs(&[CONGESTION], &[]),
    metric(
        "tcp_spurious_recoveries",
        Counted("{recovery}"),
        C,
        "Entries into TCP_CA_Recovery (fast retransmit) and TCP_CA_Loss (RTO) that the sender undid because nothing \
         was lost: before the end of the recovery the peer echoed the timestamp of the original transmission \
         (Eifel, RFC 3522), acknowledged data that was sent only once (F-RTO, RFC 5682), or reported every \
         retransmission as a duplicate (DSACK, RFC 3708)",
        "tracepoint tcp_cong_state_set: tcp_sock.undo_marker, snd_una, high_seq",
        Accessor::Counters(&[
            (&["recovery"], Counter::RecoveriesUndone),
            (&["loss"], Counter::LossesUndone),
        ]),
    )
    .by(&[STATE_ENTERED])
    .needs(
        &[CONGESTION],
        &[global::TCP_SOCK_UNDO_MARKER, global::TCP_SOCK_SND_UNA, global::TCP_SOCK_HIGH_SEQ],
    ),
    metric(
        "tcp_connections",
        Counted("{connection}"),
        G,
        "Live connections",
        "iterator bpf_sk_storage_map",
        Accessor::GroupGauge(|group, _| Some(number(group.samples.live))),
    )
    .adding_up()
    .needs(&[FOLD, STATE], &[]),
    metric(
        "tcp_connections_by_algorithm",
        Counted("{connection}"),
        G,
        "Live connections by congestion-control algorithm",
        "tcp_congestion_ops.name",
        Accessor::Algorithms,
    )
    .by(&[ALGORITHM])
    .adding_up()
    .needs(&[FOLD, STATE], &[global::ICSK_CA_OPS, global::TCP_CONGESTION_OPS_NAME]),
    metric(
        "tcp_connections_opened",
        Counted("{connection}"),
        C,
        "Connections established",
        "tracepoint inet_sock_set_state",
        Accessor::Counters(&[(&[], Counter::Opened)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "tcp_connections_closed",
        Counted("{connection}"),
        C,
        "Established connections that ended; a connection in TIME-WAIT has ended",
        "tracepoint inet_sock_set_state",
        Accessor::Counters(&[(&[], Counter::Closed)]),
    )
    .needs(&[STATE], &[]),
    metric(
        "tcp_connections_failed",
        Counted("{connection}"),
        C,
        "Active opens that failed. The application gave up those with the reason unanswered after a retransmitted \
         SYN, and those with the reason cancelled before one; no_route and no_local_port failed before their first \
         SYN",
        "tracepoint inet_sock_set_state: sock.sk_err, sk_err_soft, tcp_sock.segs_out, total_retrans; tracepoint tcp_destroy_sock: \
         inet_sock.cork, tcp_sock.rx_opt.mss_clamp",
        Accessor::Counters(&[
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
    .by(&[FAILURE])
    .needs(&[STATE], &[global::SOCK_ERR]),
    metric(
        "tcp_listen_drops",
        Counted("{connection}"),
        C,
        "Handshakes that a listener of this host refused, by a drop of a SYN or of the final ACK; each retry counts. \
         The peer is unknown, so the subnet is none",
        "sock.sk_drops of listeners, without what tracepoint kfree_skb reports for them; sk_ack_backlog, icsk_accept_queue.qlen",
        Accessor::Counters(&[
            (&["accept_queue_full"], Counter::ListenDropsAcceptQueue),
            (&["syn_queue_full"], Counter::ListenDropsSynQueue),
            (&["other"], Counter::ListenDropsOther),
        ]),
    )
    .by(&[CAUSE])
    .needs(&[LISTENERS, DROPS, STATE], &[]),
    metric(
        "tcp_listeners",
        Counted("{socket}"),
        G,
        "Listening sockets; each member of an SO_REUSEPORT group counts. A listener older than the exporter in \
         another network namespace is known if its process is in the exporter's PID namespace, otherwise after the \
         next handshake that it refuses",
        "sock.sk_state",
        Accessor::Listeners(|queues| number(queues.listeners)),
    )
    .adding_up()
    .needs(&[SAMPLE_LISTENERS], &[]),
    metric(
        "tcp_accept_queue_connections",
        Counted("{connection}"),
        G,
        "Connections waiting for accept(), summed over listeners; ss shows them as Recv-Q",
        "sock.sk_ack_backlog",
        Accessor::Listeners(|queues| number(queues.waiting)),
    )
    .adding_up()
    .needs(&[SAMPLE_LISTENERS], &[]),
    metric(
        "tcp_accept_queue_connections_limit",
        Counted("{connection}"),
        G,
        "Backlogs of listen(), capped by net.core.somaxconn and summed over listeners; ss shows them as Send-Q",
        "sock.sk_max_ack_backlog",
        Accessor::Listeners(|queues| number(queues.limit)),
    )
    .adding_up()
    .needs(&[SAMPLE_LISTENERS], &[]),
    metric(
        "tcp_accept_queue_utilization",
        Ratio,
        G,
        "Fill of the fullest accept queue of one listener since the last collection: its fill now, and at the \
         arrival of each connection, that connection included. At 1 the queue holds one connection more than its \
         limit and refuses further ones",
        "sock.sk_ack_backlog, sk_max_ack_backlog of listeners and, at tracepoint inet_sock_set_state, of the sockets made of them",
        Accessor::Listeners(|queues| f64::from(queues.fullness) / f64::from(FULL)),
    )
    .needs(&[SAMPLE_LISTENERS], &[]),
    metric(
        "tcp_resets",
        Counted("{segment}"),
        C,
        "TCP resets sent and received, including those during a handshake. Older kernels (6.1) report neither resets \
         sent without a connection nor those that end the handshake of a server",
        "tracepoints tcp_send_reset, tcp_receive_reset; kfree_skb for a server's handshake",
        Accessor::Counters(&[
            (&["transmit"], Counter::ResetsTransmitted),
            (&["receive"], Counter::ResetsReceived),
        ]),
    )
    .by(&[DIRECTION])
    .needs(&[RESET_SENT, RESET_RECEIVED], &[]),
    metric(
        "tcp_connections_reset",
        Counted("{connection}"),
        C,
        "Established connections that a reset of the peer ended while they were in use: neither end had closed, and \
         the last data or the handshake was at most a second ago",
        "tracepoint tcp_receive_reset; tcp_sock.lsndtime, inet_connection_sock.icsk_ack.lrcvtime",
        Accessor::Counters(&[(&[], Counter::ResetsInUse)]),
    )
    .needs(&[RESET_RECEIVED], &[global::TCP_SOCK_LSNDTIME, global::ICSK_ACK_LRCVTIME]),
    metric(
        "tcp_handshake",
        Seconds,
        H,
        "Duration of the handshake: as client from the first SYN to the established connection, as server the round \
         trip of the answered SYN-ACK. A server's handshake with a retransmitted SYN-ACK and without TCP timestamps \
         is not observed",
        "tracepoint inet_sock_set_state; tcp_sock.srtt_us",
        Accessor::GroupHistogram(|group, _| time(&group.counters.handshake, MICROSECOND)),
    )
    .needs(&[STATE], &[]),
    metric(
        "tcp_connection_duration",
        Seconds,
        H,
        "Time from established to closed, of connections that began while the exporter ran",
        "tracepoint inet_sock_set_state",
        Accessor::GroupHistogram(|group, _| time(&group.counters.duration, MICROSECOND)),
    )
    .needs(&[STATE], &[]),
];

/// 0 is no value.
fn some(value: u32) -> Option<f64> {
    (value != 0).then(|| value.into())
}

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
