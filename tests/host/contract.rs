//! The metrics that the design promises, written down once more: who renames one, or takes a label from it, breaks dashboards.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use tcpvitals_config::{DropLabel, TcpLabel};
use tcpvitals_kernel::plan::PROGRAMS;
use tcpvitals_metrics::families::Kind;
use tcpvitals_metrics::families::Kind::{Counter, Gauge, Histogram};
use tcpvitals_metrics::families::Scope;
use tcpvitals_metrics::families::Scope::{Drops, Exporter, Listeners, Tcp};
use tcpvitals_metrics::families::{Accessor, METRICS, Points};

/// Full name, kind, which labels it has besides its own, its own labels, and the values of the first of them if they are fixed.
type Promise = (
    &'static str,
    Kind,
    Scope,
    &'static [&'static str],
    &'static [&'static str],
);

const DIRECTIONS: &[&str] = &["transmit", "receive"];
const KINDS: &[&str] = &["timeout", "tail_loss_probe", "fast", "other"];

const PROMISES: &[Promise] = &[
    ("tcpvitals_tcp_segments_total", Counter, Tcp, &["direction"], DIRECTIONS),
    (
        "tcpvitals_tcp_data_segments_total",
        Counter,
        Tcp,
        &["direction"],
        DIRECTIONS,
    ),
    (
        "tcpvitals_tcp_data_bytes_total",
        Counter,
        Tcp,
        &["direction"],
        DIRECTIONS,
    ),
    (
        "tcpvitals_tcp_retransmitted_segments_total",
        Counter,
        Tcp,
        &["kind"],
        KINDS,
    ),
    ("tcpvitals_tcp_retransmitted_bytes_total", Counter, Tcp, &[], &[]),
    (
        "tcpvitals_tcp_handshake_retransmits_total",
        Counter,
        Tcp,
        &["segment"],
        &["syn", "synack"],
    ),
    ("tcpvitals_tcp_locally_dropped_segments_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_duplicate_acks_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_sacks_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_sack_blocks_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_out_of_order_segments_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_dsacks_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_reordering_events_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_ecn_marked_segments_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_rtt_seconds", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_rtt_min_seconds", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_rtt_max_seconds", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_rto_min_seconds", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_rto_max_seconds", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_smoothed_rtt_seconds", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_congestion_window_segments", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_slow_start_threshold_segments", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_mss_bytes", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_delivery_rate_bytes_per_second", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_path_mtu_min_bytes", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_peer_mss_min_bytes", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_peer_zero_windows", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_own_zero_windows", Gauge, Tcp, &[], &[]),
    ("tcpvitals_tcp_rto_seconds", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_sender_busy_seconds_total", Counter, Tcp, &[], &[]),
    (
        "tcpvitals_tcp_sender_limited_seconds_total",
        Counter,
        Tcp,
        &["limit"],
        &["receive_window", "send_buffer"],
    ),
    (
        "tcpvitals_tcp_congestion_events_total",
        Counter,
        Tcp,
        &["state"],
        &["disorder", "cwr", "recovery", "loss"],
    ),
    (
        "tcpvitals_tcp_spurious_recoveries_total",
        Counter,
        Tcp,
        &["state"],
        &["recovery", "loss"],
    ),
    ("tcpvitals_tcp_connections", Gauge, Tcp, &[], &[]),
    (
        "tcpvitals_tcp_connections_by_algorithm",
        Gauge,
        Exporter,
        &["algorithm"],
        &[],
    ),
    ("tcpvitals_tcp_connections_opened_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_connections_closed_total", Counter, Tcp, &[], &[]),
    (
        "tcpvitals_tcp_connections_failed_total",
        Counter,
        Tcp,
        &["reason"],
        &[
            "refused",
            "timed_out",
            "unanswered",
            "cancelled",
            "reset",
            "host_unreachable",
            "network_unreachable",
            "prohibited",
            "no_route",
            "no_local_port",
            "other",
        ],
    ),
    (
        "tcpvitals_tcp_listen_drops_total",
        Counter,
        Tcp,
        &["cause"],
        &["accept_queue_full", "syn_queue_full", "other"],
    ),
    ("tcpvitals_tcp_listeners", Gauge, Listeners, &[], &[]),
    ("tcpvitals_tcp_accept_queue_connections", Gauge, Listeners, &[], &[]),
    (
        "tcpvitals_tcp_accept_queue_connections_limit",
        Gauge,
        Listeners,
        &[],
        &[],
    ),
    (
        "tcpvitals_tcp_accept_queue_utilization_ratio",
        Gauge,
        Listeners,
        &[],
        &[],
    ),
    ("tcpvitals_tcp_syn_cookies_sent_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_tcp_resets_total", Counter, Tcp, &["direction"], DIRECTIONS),
    ("tcpvitals_tcp_connections_reset_total", Counter, Tcp, &[], &[]),
    ("tcpvitals_tcp_handshake_seconds", Histogram, Tcp, &[], &[]),
    ("tcpvitals_tcp_connection_duration_seconds", Histogram, Tcp, &[], &[]),
    (
        "tcpvitals_dropped_packets_total",
        Counter,
        Drops,
        &["source"],
        &["software", "hardware", "xdp"],
    ),
    (
        "tcpvitals_dropped_bytes_total",
        Counter,
        Drops,
        &["source"],
        &["software", "hardware"],
    ),
    (
        "tcpvitals_device_dropped_packets_total",
        Counter,
        Exporter,
        &["device", "direction", "class", "cause"],
        &[],
    ),
    (
        "tcpvitals_device_allowance_exceeded_packets_total",
        Counter,
        Exporter,
        &["device", "allowance"],
        &[],
    ),
    ("tcpvitals_softnet_squeezes_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_conntrack_entries", Gauge, Exporter, &[], &[]),
    ("tcpvitals_conntrack_entries_limit", Gauge, Exporter, &[], &[]),
    ("tcpvitals_conntrack_failed_inserts_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_conntrack_full_drops_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_conntrack_early_drops_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_tcp_memory_bytes", Gauge, Exporter, &[], &[]),
    (
        "tcpvitals_tcp_memory_limit_bytes",
        Gauge,
        Exporter,
        &["limit"],
        &["low", "pressure", "high"],
    ),
    ("tcpvitals_tcp_memory_pressure", Gauge, Exporter, &[], &[]),
    ("tcpvitals_tcp_memory_pressures_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_tcp_collapsed_segments_total", Counter, Exporter, &[], &[]),
    (
        "tcpvitals_tcp_announced_zero_windows_total",
        Counter,
        Exporter,
        &[],
        &[],
    ),
    ("tcpvitals_tcp_window_probes_total", Counter, Exporter, &[], &[]),
    (
        "tcpvitals_tcp_prunes_total",
        Counter,
        Exporter,
        &["step"],
        &["called", "out_of_order", "failed"],
    ),
    ("tcpvitals_tcp_orphans", Gauge, Exporter, &[], &[]),
    ("tcpvitals_tcp_orphans_limit", Gauge, Exporter, &[], &[]),
    ("tcpvitals_host_readings_failed_total", Counter, Exporter, &[], &[]),
    (
        "tcpvitals_program_attached",
        Gauge,
        Exporter,
        &["program", "hook", "reason"],
        &[],
    ),
    ("tcpvitals_flows_untracked_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_group_overflow_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_drop_overflow_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_series_overflow_total", Counter, Exporter, &["metrics"], &[]),
    ("tcpvitals_events_lost_total", Counter, Exporter, &["program"], &[]),
    ("tcpvitals_groups", Gauge, Exporter, &[], &[]),
    ("tcpvitals_groups_capacity", Gauge, Exporter, &[], &[]),
    ("tcpvitals_series", Gauge, Exporter, &[], &[]),
    ("tcpvitals_subnets_files", Gauge, Exporter, &[], &[]),
    ("tcpvitals_subnets_files_prefixes", Gauge, Exporter, &[], &[]),
    ("tcpvitals_collections_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_collect_duration_seconds", Gauge, Exporter, &[], &[]),
    (
        "tcpvitals_otlp_exports_total",
        Counter,
        Exporter,
        &["result"],
        &["success", "partial", "refused", "failed"],
    ),
    ("tcpvitals_otlp_retries_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_otlp_rejected_data_points_total", Counter, Exporter, &[], &[]),
    ("tcpvitals_otlp_start_resets_total", Counter, Exporter, &[], &[]),
    (
        "tcpvitals_otlp_last_success_timestamp_seconds",
        Gauge,
        Exporter,
        &[],
        &[],
    ),
    ("tcpvitals_http_connections", Gauge, Exporter, &[], &[]),
    ("tcpvitals_http_requests_total", Counter, Exporter, &["code"], &[]),
    (
        "tcpvitals_http_refused_total",
        Counter,
        Exporter,
        &["reason"],
        &[
            "connections_per_peer",
            "connections",
            "handshake",
            "answer_time",
            "answer_memory",
            "host",
            "cross_site",
            "password",
            "logins",
            "rate_limit",
        ],
    ),
    ("tcpvitals_build_info", Gauge, Exporter, &["version"], &[]),
    ("process_cpu_seconds_total", Counter, Exporter, &[], &[]),
    ("process_resident_memory_bytes", Gauge, Exporter, &[], &[]),
    ("process_virtual_memory_bytes", Gauge, Exporter, &[], &[]),
    ("process_open_fds", Gauge, Exporter, &[], &[]),
    ("process_max_fds", Gauge, Exporter, &[], &[]),
    ("process_start_time_seconds", Gauge, Exporter, &[], &[]),
];

#[test]
fn every_metric_that_the_design_promises_is_there() -> Result<()> {
    for (name, kind, scope, labels, values) in PROMISES {
        let metric = METRICS
            .iter()
            .find(|metric| metric.full_name() == *name)
            .with_context(|| format!("no metric {name}"))?;
        assert_eq!((metric.kind, metric.source.scope()), (*kind, *scope), "{name}");
        let own: Vec<&str> = metric.labels.iter().map(|label| label.word).collect();
        assert_eq!(own, *labels, "{name}");
        let fixed: Vec<&str> = if let Accessor::Counters(points) | Accessor::Jiffies(points) = metric.source {
            first_values(points)
        } else if let Accessor::TcpMemory(points) = metric.source {
            first_values(points)
        } else if let Accessor::Pushes(points) = metric.source {
            first_values(points)
        } else if let Accessor::Refused(points) = metric.source {
            first_values(points)
        } else if let Accessor::Drops(sources, _) = metric.source {
            sources.iter().map(|source| source.as_str()).collect()
        } else {
            Vec::new()
        };
        assert_eq!(fixed, *values, "{name}");
    }
    let names: BTreeSet<&str> = PROMISES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names.len(), PROMISES.len(), "a promise stands there twice");
    Ok(())
}

#[test]
fn the_labels_that_can_be_switched_off_are_those_of_the_design() {
    assert_eq!(
        TcpLabel::ALL.map(TcpLabel::as_str),
        [
            "subnet",
            "connection_type",
            "app_protocol",
            "role",
            "workload",
            "workload_kind",
            "workload_namespace"
        ]
    );
    assert_eq!(
        DropLabel::ALL.map(DropLabel::as_str),
        [
            "location",
            "reason",
            "class",
            "protocol",
            "direction",
            "subnet",
            "connection_type",
            "app_protocol",
            "workload",
            "workload_namespace"
        ]
    );
    // Those of workloads only on demand.
    assert_eq!((TcpLabel::defaults().count(), DropLabel::defaults().count()), (4, 7));
}

/// The values of the first label of its own that a metric lists.
fn first_values<T>(points: Points<T>) -> Vec<&'static str> {
    points
        .iter()
        .filter_map(|(values, _)| values.first().copied())
        .collect()
}

#[test]
fn metrics_name_programs_that_there_are() {
    for metric in METRICS {
        for program in metric.programs.iter().chain(metric.one_of) {
            let is_known = PROGRAMS.iter().any(|known| known.name == *program);
            assert!(is_known, "{}: {program}", metric.full_name());
        }
    }
}
