//! Rows for the tests of those who show them.

use crate::{
    labels::OTHER,
    rows::{
        drops::{Dropped, table::SiteTable},
        flows::LiveFlow,
        traffic::Counted,
    },
    snapshot::Group,
    workloads::Instance,
};
use common::{
    drops::{DropCount, DropSource},
    net::address::Address,
    tcp::{group::Counter, record::FlowRecord},
};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use tcpvitals_config::{DropLabel, TcpLabel};

/// A socket that is not there.
const UDP: &str = "udp_rcv NO_SOCKET error udp receive";
pub const FILTER: &str = "nft_do_chain NETFILTER_DROP policy tcp receive";

/// A row by its number, its labels in the order of the documentation without those on demand, and its packets, of 100 bytes each.
pub fn dropped(id: u64, labels: &str, packets: u64) -> Dropped {
    let values: Vec<&str> = labels.split_whitespace().collect();
    assert_eq!(values.len(), DropLabel::defaults().count(), "{labels}");
    let labels = DropLabel::defaults().map(DropLabel::label);
    Dropped {
        id,
        source: DropSource::Software,
        labels: labels
            .zip(values)
            .chain([(DropLabel::AppProtocol.label(), OTHER)])
            .map(|(label, value)| (label, value.to_owned()))
            .collect(),
        place: None,
        count: DropCount {
            packets,
            bytes: packets * 100,
            repeated: 0,
        },
    }
}

/// The same row of a workload: its namespace, `-` for none, and its name.
pub fn owned(mut row: Dropped, workload: &str) -> Dropped {
    let (namespace, name) = workload.split_once(' ').unwrap_or_default();
    let values = [name, namespace.trim_matches('-')].map(str::to_owned);
    let labels = [DropLabel::Workload, DropLabel::WorkloadNamespace].map(DropLabel::label);
    row.labels = row
        .labels
        .iter()
        .cloned()
        .chain(labels.into_iter().zip(values))
        .collect();
    row
}

/// The same flow of a workload: its namespace, kind and name.
pub fn flow_of(mut flow: LiveFlow, [namespace, kind, name]: [&str; 3]) -> LiveFlow {
    let labels = [TcpLabel::Workload, TcpLabel::WorkloadKind, TcpLabel::WorkloadNamespace].map(TcpLabel::label);
    let values = [name, kind, namespace].map(str::to_owned);
    flow.labels = flow
        .labels
        .iter()
        .cloned()
        .chain(labels.into_iter().zip(values))
        .collect();
    flow
}

/// The same flow of a pod, in a container.
pub fn in_pod(mut flow: LiveFlow, pod: &str) -> LiveFlow {
    let container = "0123456789abcdef".repeat(4);
    flow.instance = Some(Arc::new(Instance::new(pod, &container)));
    flow
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
        instance: None,
    }
}

/// A row with a live connection, by its number, subnet and role, and what it was counted.
pub fn counted(id: u64, labels: &str, counts: &[(Counter, u64)]) -> Counted {
    let (subnet, role) = labels.split_once(' ').unwrap_or_default();
    let values = [subnet, "wired", "https", role].map(str::to_owned);
    let mut total = Group::default();
    total.samples.live = 1;
    for (counter, count) in counts {
        total.counters.counters[*counter as usize] = *count;
    }
    Counted {
        id,
        labels: TcpLabel::defaults().map(TcpLabel::label).zip(values).collect(),
        total,
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
