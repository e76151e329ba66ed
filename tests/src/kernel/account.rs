//! The kernel's account of sockets, laid beside the exporter's account of their group.

use crate::exporter::scrape::{Labels, Scrape};
use crate::kernel::tcp_info::TcpInfo;
use crate::net::traffic::Ends;
use anyhow::Result;

/// A metric, a label of it, and the field of `TCP_INFO` that it adds up.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The metric.
    pub metric: &'static str,
    /// Labels of its own.
    pub labels: &'static [(&'static str, &'static str)],
    /// The field.
    pub field: fn(&TcpInfo) -> u64,
    /// Whether the field is in microseconds, and the metric in seconds.
    pub is_time: bool,
}

impl Row {
    /// A sum of the field, in the unit of the metric.
    pub fn in_unit(&self, sum: u64) -> f64 {
        if self.is_time { seconds(sum) } else { sum as f64 }
    }
}

const fn count(
    metric: &'static str,
    labels: &'static [(&'static str, &'static str)],
    field: fn(&TcpInfo) -> u64,
) -> Row {
    Row {
        metric,
        labels,
        field,
        is_time: false,
    }
}

const fn time(
    metric: &'static str,
    labels: &'static [(&'static str, &'static str)],
    field: fn(&TcpInfo) -> u64,
) -> Row {
    Row {
        metric,
        labels,
        field,
        is_time: true,
    }
}

const TRANSMIT: &[(&str, &str)] = &[("direction", "transmit")];
const RECEIVE: &[(&str, &str)] = &[("direction", "receive")];
const LIMITED: &str = "tcpvitals_tcp_sender_limited_seconds_total";

/// Everything that the exporter takes from the same place as `TCP_INFO` does. The times are those of a sender at rest.
pub const ROWS: &[Row] = &[
    count("tcpvitals_tcp_segments_total", TRANSMIT, |info| info.segs_out.into()),
    count("tcpvitals_tcp_segments_total", RECEIVE, |info| info.segs_in.into()),
    count("tcpvitals_tcp_data_segments_total", TRANSMIT, |info| {
        info.data_segs_out.into()
    }),
    count("tcpvitals_tcp_data_segments_total", RECEIVE, |info| {
        info.data_segs_in.into()
    }),
    count("tcpvitals_tcp_data_bytes_total", TRANSMIT, |info| info.bytes_sent),
    count("tcpvitals_tcp_data_bytes_total", RECEIVE, |info| info.bytes_received),
    count("tcpvitals_tcp_out_of_order_segments_total", &[], |info| {
        info.rcv_ooopack.into()
    }),
    count("tcpvitals_tcp_dsacks_total", &[], |info| info.dsack_dups.into()),
    count("tcpvitals_tcp_reordering_events_total", &[], |info| {
        info.reord_seen.into()
    }),
    count("tcpvitals_tcp_ecn_marked_segments_total", &[], |info| {
        info.delivered_ce.into()
    }),
    time("tcpvitals_tcp_sender_busy_seconds_total", &[], |info| info.busy_time),
    time(LIMITED, &[("limit", "receive_window")], |info| info.rwnd_limited),
    time(LIMITED, &[("limit", "send_buffer")], |info| info.sndbuf_limited),
];

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that opened it.
    Client,
    /// The one that accepted it.
    Server,
}

impl End {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The value of the `role` label.
    pub fn role(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    /// The account of this end.
    pub fn of(self, ends: &Ends) -> TcpInfo {
        match self {
            Self::Client => ends.client,
            Self::Server => ends.server,
        }
    }
}

/// An exported number is a count of microseconds or jiffies in seconds: equal but for the last bit.
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Whether two numbers are equal but for rounding.
pub fn same(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
}

/// Requires that all totals of one end's group equal the sums over its sockets.
#[track_caller]
pub fn require_equal(scrape: &Scrape, subnet: &str, end: End, sockets: &[TcpInfo]) -> Result<()> {
    require_equal_where(scrape, &[("subnet", subnet)], end, sockets)
}

/// The same of all groups that have these labels.
#[track_caller]
pub fn require_equal_where(scrape: &Scrape, labels: &Labels<'_>, end: End, sockets: &[TcpInfo]) -> Result<()> {
    for row in ROWS {
        let labels: Vec<_> = labels
            .iter()
            .copied()
            .chain([("role", end.role())])
            .chain(row.labels.iter().copied())
            .collect();
        let ours = scrape.sum(row.metric, &labels)?;
        let kernel = row.in_unit(sockets.iter().map(row.field).sum());
        let is_equal = if row.is_time {
            same(ours, kernel)
        } else {
            ours == kernel
        };
        assert!(
            is_equal,
            "{} {labels:?}: {ours}, but the kernel says {kernel}",
            row.metric
        );
    }
    Ok(())
}
