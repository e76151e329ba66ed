//! The kernel's account of sockets, laid beside the exporter's account of their group.

use crate::scrape::Scrape;
use crate::tcp_info::TcpInfo;
use crate::traffic::Ends;
use anyhow::Result;

/// A metric, a label of it, and the field of `TCP_INFO` that it adds up.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    fn(&TcpInfo) -> u64,
);

const TRANSMIT: &[(&str, &str)] = &[("direction", "transmit")];
const RECEIVE: &[(&str, &str)] = &[("direction", "receive")];

/// Everything that the exporter takes from the same place as `TCP_INFO` does.
const ROWS: &[Row] = &[
    ("tcpvitals_tcp_segments_total", TRANSMIT, |info| info.segs_out.into()),
    ("tcpvitals_tcp_segments_total", RECEIVE, |info| info.segs_in.into()),
    ("tcpvitals_tcp_data_segments_total", TRANSMIT, |info| {
        info.data_segs_out.into()
    }),
    ("tcpvitals_tcp_data_segments_total", RECEIVE, |info| {
        info.data_segs_in.into()
    }),
    ("tcpvitals_tcp_data_bytes_total", TRANSMIT, |info| info.bytes_sent),
    ("tcpvitals_tcp_data_bytes_total", RECEIVE, |info| info.bytes_received),
    ("tcpvitals_tcp_out_of_order_segments_total", &[], |info| {
        info.rcv_ooopack.into()
    }),
    ("tcpvitals_tcp_dsacks_total", &[], |info| info.dsack_dups.into()),
    ("tcpvitals_tcp_reordering_events_total", &[], |info| {
        info.reord_seen.into()
    }),
    ("tcpvitals_tcp_ecn_marked_segments_total", &[], |info| {
        info.delivered_ce.into()
    }),
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
    require_equal_where(scrape, ("subnet", subnet), end, sockets)
}

/// The same of all groups that have a label.
#[track_caller]
pub fn require_equal_where(scrape: &Scrape, label: (&str, &str), end: End, sockets: &[TcpInfo]) -> Result<()> {
    for (metric, own, field) in ROWS {
        let labels: Vec<_> = [label, ("role", end.role())]
            .into_iter()
            .chain(own.iter().copied())
            .collect();
        let kernel: u64 = sockets.iter().map(field).sum();
        assert_eq!(scrape.sum(metric, &labels)?, kernel as f64, "{metric} {labels:?}");
    }
    require_times(scrape, label, end, sockets)
}

/// Requires the same of the times of a sender at rest.
#[track_caller]
fn require_times(scrape: &Scrape, label: (&str, &str), end: End, sockets: &[TcpInfo]) -> Result<()> {
    let limited = "tcpvitals_tcp_sender_limited_seconds_total";
    let rows: [Row; 3] = [
        ("tcpvitals_tcp_sender_busy_seconds_total", &[], |info| info.busy_time),
        (limited, &[("limit", "receive_window")], |info| info.rwnd_limited),
        (limited, &[("limit", "send_buffer")], |info| info.sndbuf_limited),
    ];
    for (metric, own, field) in rows {
        let labels: Vec<_> = [label, ("role", end.role())]
            .into_iter()
            .chain(own.iter().copied())
            .collect();
        let (ours, kernel) = (scrape.sum(metric, &labels)?, seconds(sockets.iter().map(field).sum()));
        assert!(
            same(ours, kernel),
            "{metric} {labels:?}: {ours}, but the kernel says {kernel}"
        );
    }
    Ok(())
}
