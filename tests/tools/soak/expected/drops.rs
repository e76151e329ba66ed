//! Dropped packets, against the filters' own counters and those of the network stack.

use anyhow::Result;

use super::Accounts;
use crate::check::Expected;

const PACKETS: &str = "tcpvitals_dropped_packets_total";
const BYTES: &str = "tcpvitals_dropped_bytes_total";

/// No packet that is dropped here is longer.
const LONGEST: f64 = 1500.0;

fn dropped(
    cable: &'static str,
    metric: &str,
    labels: &[(&'static str, &'static str)],
    value: f64,
    source: &str,
) -> Expected {
    Expected {
        metric: metric.to_owned(),
        labels: labels.to_vec(),
        cable,
        value,
        source: source.to_owned(),
        hooks: vec![("kfree_skb", if metric == BYTES { LONGEST } else { 1.0 })],
    }
}

pub(super) fn all(accounts: &Accounts<'_>) -> Result<Vec<Expected>> {
    let filtered = |cable| accounts.after.filtered(accounts.before, cable);
    let mut all = Vec::new();
    for (cable, protocol) in [("soak-lossy", "tcp"), ("soak-failing", "tcp"), ("soak-storm", "udp")] {
        let labels = [("reason", "NETFILTER_DROP"), ("protocol", protocol)];
        let [packets, bytes] = filtered(cable)?;
        all.push(dropped(cable, PACKETS, &labels, packets, "nft"));
        all.push(dropped(cable, BYTES, &labels, bytes, "nft"));
    }
    let nowhere = accounts.no_ports()?;
    let labels = [("reason", "NO_SOCKET"), ("protocol", "udp")];
    all.push(dropped("soak-storm", PACKETS, &labels, nowhere, "nstat, UdpNoPorts"));
    let full = accounts.full_buffers()?;
    let labels = [("reason", "SOCKET_RCVBUFF"), ("protocol", "udp")];
    all.push(dropped("soak-storm", PACKETS, &labels, full, "nstat, UdpRcvbufErrors"));
    // Nothing besides, and nothing twice under another name.
    let [packets, _] = filtered("soak-storm")?;
    let labels = [("protocol", "udp")];
    all.push(dropped(
        "soak-storm",
        PACKETS,
        &labels,
        nowhere + full + packets,
        "nft and nstat",
    ));
    let labels = [("reason", "NO_SOCKET"), ("protocol", "tcp")];
    let refused = accounts.made.failed.refused as f64;
    all.push(dropped("soak-failing", PACKETS, &labels, refused, "generator"));
    Ok(all)
}
