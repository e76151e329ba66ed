//! Sums of `TCP_INFO` over the sockets of either end, in the rows that the exporter has too.

use serde::{Deserialize, Serialize};
use tests::kernel::account::{End, ROWS, Row};
use tests::kernel::tcp_info::TcpInfo;
use tests::net::traffic::Ends;

/// Not among [`ROWS`], as it is exact only where no handshake carried data.
const REPEATED: Row = Row {
    metric: "tcpvitals_tcp_retransmitted_bytes_total",
    labels: &[],
    field: |info| info.bytes_retrans,
    is_time: false,
};

/// All rows, in the order of [`Side`].
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain([&REPEATED])
}

/// Connections, and what the kernel counted for each of their ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub(crate) flows: u64,
    client: Side,
    server: Side,
}

/// The sockets of one end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Row by row.
    sums: Vec<u64>,
    /// The most that one socket has in a row.
    most: Vec<u64>,
    /// The most segments that one socket sent again.
    pub(crate) most_repeated: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, ends: &Ends) {
        self.flows += 1;
        self.client.merge(&Side::of(&ends.client));
        self.server.merge(&Side::of(&ends.server));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.flows += other.flows;
        self.client.merge(&other.client);
        self.server.merge(&other.server);
    }

    /// What was added to the same flows since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (side, earlier) in [(&mut since.client, &before.client), (&mut since.server, &before.server)] {
            for (sum, earlier) in side.sums.iter_mut().zip(&earlier.sums) {
                *sum -= earlier;
            }
        }
        since
    }

    pub(crate) fn end(&self, end: End) -> &Side {
        match end {
            End::Client => &self.client,
            End::Server => &self.server,
        }
    }
}

impl Side {
    fn of(info: &TcpInfo) -> Self {
        let fields: Vec<u64> = rows().map(|row| (row.field)(info)).collect();
        Self {
            sums: fields.clone(),
            most: fields,
            most_repeated: info.total_retrans.into(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sums.resize(rows().count(), 0);
        self.most.resize(rows().count(), 0);
        for (sum, own) in self.sums.iter_mut().zip(&other.sums) {
            *sum += own;
        }
        for (most, own) in self.most.iter_mut().zip(&other.most) {
            *most = (*most).max(*own);
        }
        self.most_repeated = self.most_repeated.max(other.most_repeated);
    }

    /// Each row with its sum, and with the most that one socket has, in the unit of the metric.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static Row, f64, f64)> {
        let values = self.sums.iter().zip(&self.most);
        rows()
            .zip(values)
            .map(|(row, (sum, most))| (row, row.in_unit(*sum), row.in_unit(*most)))
    }
}
