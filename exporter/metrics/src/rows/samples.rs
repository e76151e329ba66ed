//! Rows for the tests of those who show them.

use crate::rows::{
    drops::{Dropped, table::SiteTable},
    flows::LiveFlow,
};
use common::{
    drops::{DropCount, DropSource},
    net::address::Address,
    tcp::record::FlowRecord,
};
use std::{net::Ipv4Addr, time::Duration};
use tcpvitals_config::{DropLabel, TcpLabel};

/// A socket that is not there.
const UDP: &str = "udp_rcv NO_SOCKET error udp receive";
pub const FILTER: &str = "nft_do_chain NETFILTER_DROP policy tcp receive";

/// A row by its number, its labels in the order of the documentation without those of workloads, and its packets, of 100 bytes each.
pub fn dropped(id: u64, labels: &str, packets: u64) -> Dropped {
    let values: Vec<&str> = labels.split_whitespace().collect();
    assert_eq!(values.len(), DropLabel::defaults().count(), "{labels}");
    let labels = DropLabel::defaults().map(DropLabel::label);
    Dropped {
        id,
        source: DropSource::Software,
        labels: labels.zip(values.into_iter().map(str::to_owned)).collect(),
        place: None,
        count: DropCount {
            packets,
            bytes: packets * 100,
            repeated: 0,
        },
    }
}

/// A flow from 10.0.0.1:40000 to a port of an address, with its subnet.
pub fn flow(cookie: u64, remote: [u8; 4], port: u16, subnet: &str) -> LiveFlow {
    let address = |octets: [u8; 4]| Address::from_v4(u32::from_ne_bytes(Ipv4Addr::from(octets).octets()));
    let labels = [subnet, "wired", "https", "client"].map(str::to_owned);
    LiveFlow {
        record: FlowRecord {
            cookie,
            local: address([10, 0, 0, 1]).words,
            remote: address(remote).words,
            local_port: 40_000,
            remote_port: port,
            family: u8::try_from(Address::V4).unwrap_or_default(),
            state: 1,
            ..FlowRecord::default()
        },
        labels: TcpLabel::defaults().map(TcpLabel::label).zip(labels).collect(),
    }
}

/// A filter that drops in two subnets, and a socket that is not there.
pub fn table() -> SiteTable {
    let rows = |[office, lab, tunnel, udp]: [u64; 4]| {
        [
            dropped(1, &format!("{FILTER} office wired"), office),
            dropped(2, &format!("{FILTER} lab wired"), lab),
            dropped(3, &format!("{FILTER} lab tunnel"), tunnel),
            dropped(4, &format!("{UDP} office wired"), udp),
        ]
    };
    let before = rows([100, 10, 0, 7]);
    SiteTable::new(&before[..2], &rows([110, 24, 6, 7]), Duration::from_secs(2))
}
