//! A live flow as the API and `top` show it, laid beside `TCP_INFO` of its socket.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::kernel::tcp_info::TcpInfo;

/// What the kernel takes for infinite (`TCP_INFINITE_SSTHRESH`).
const INFINITE: u32 = 0x7fff_ffff;

/// Every number that `TCP_INFO` has too, in the unit that the exporter shows; null for what is not known.
fn expected(info: &TcpInfo) -> Vec<(&'static str, Value)> {
    let seconds = |micros: u64| json!(micros as f64 / 1e6);
    let known = |is_known: bool, value: Value| if is_known { value } else { Value::Null };
    vec![
        ("transmitted_segments", json!(info.segs_out)),
        ("received_segments", json!(info.segs_in)),
        ("transmitted_data_segments", json!(info.data_segs_out)),
        ("received_data_segments", json!(info.data_segs_in)),
        ("transmitted_data_bytes", json!(info.bytes_sent)),
        ("received_data_bytes", json!(info.bytes_received)),
        ("retransmitted_segments", json!(info.total_retrans)),
        ("retransmitted_bytes", json!(info.bytes_retrans)),
        ("dsacks", json!(info.dsack_dups)),
        ("out_of_order_segments", json!(info.rcv_ooopack)),
        ("reordering_events", json!(info.reord_seen)),
        ("ecn_marked_segments", json!(info.delivered_ce)),
        ("smoothed_rtt_seconds", known(info.rtt != 0, seconds(info.rtt.into()))),
        ("rto_seconds", seconds(info.rto.into())),
        ("congestion_window_segments", json!(info.snd_cwnd)),
        (
            "slow_start_threshold_segments",
            known(info.snd_ssthresh < INFINITE, json!(info.snd_ssthresh)),
        ),
        ("mss_bytes", json!(info.snd_mss)),
        ("unacknowledged_segments", json!(info.unacked)),
        (
            "in_flight_segments",
            json!(info.unacked + info.retrans - info.sacked - info.lost),
        ),
        ("not_sent_bytes", json!(info.notsent_bytes)),
        ("peer_window_bytes", json!(info.snd_wnd)),
        (
            "pacing_rate_bytes_per_second",
            known(info.pacing_rate != u64::MAX, json!(info.pacing_rate)),
        ),
        (
            "delivery_rate_bytes_per_second",
            known(info.delivery_rate != 0, json!(info.delivery_rate)),
        ),
        ("sender_busy_seconds", seconds(info.busy_time)),
        ("receive_window_limited_seconds", seconds(info.rwnd_limited)),
        ("send_buffer_limited_seconds", seconds(info.sndbuf_limited)),
    ]
}

/// The one flow of a role whose server is at a port.
pub fn find<'flows>(flows: &'flows Value, role: &str, port: u16) -> Result<&'flows Value> {
    let of_server = if role == "server" { "local_port" } else { "remote_port" };
    let flows = flows.as_array().context("no list of flows")?;
    let mut ours = flows
        .iter()
        .filter(|flow| flow["role"] == role && flow[of_server] == port);
    let found = ours
        .next()
        .with_context(|| format!("no flow of the {role} at {port} in {flows:#?}"))?;
    ensure!(ours.next().is_none(), "two flows of the {role} at {port}");
    Ok(found)
}

/// Requires that a flow is what the kernel says of its socket, which must be at rest.
pub fn require_equal(flow: &Value, info: &TcpInfo) -> Result<()> {
    for (name, value) in expected(info) {
        ensure!(
            flow[name] == value,
            "{name} is {}, and the kernel says {value}: {flow:#?}",
            flow[name]
        );
    }
    ensure!(flow["state"] == "established", "{flow:#?}");
    Ok(())
}
