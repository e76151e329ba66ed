//! The flows to one peer, as the API has them.

use serde_json::Value;
use std::{collections::BTreeSet, fmt, net::IpAddr};

/// Most flows that are printed.
const MOST: usize = 10;

/// Flows to a peer.
#[derive(Debug, Default)]
pub(super) struct Flows(pub(super) Vec<Value>);

impl Flows {
    /// Those of all flows that go to an address, and to a port if one is given.
    pub(super) fn to((address, port): (IpAddr, Option<u16>), flows: impl Iterator<Item = Value>) -> Self {
        let is_it = |flow: &Value| {
            let remote = flow["remote_address"].as_str().and_then(|text| text.parse().ok());
            remote == Some(address) && port.is_none_or(|port| flow["remote_port"] == port)
        };
        Self(flows.filter(is_it).collect())
    }

    /// The subnets that they count for.
    pub(super) fn subnets(&self) -> BTreeSet<&str> {
        self.0.iter().filter_map(|flow| flow["subnet"].as_str()).collect()
    }
}

impl fmt::Display for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(flows) = self;
        if flows.is_empty() {
            return writeln!(f, "no live flow goes there");
        }
        let subnets: Vec<&str> = self.subnets().into_iter().collect();
        writeln!(
            f,
            "{} live flows go there, of subnet {}",
            flows.len(),
            subnets.join(", ")
        )?;
        for flow in flows.iter().take(MOST) {
            let text = |key: &str| flow[key].as_str().unwrap_or("-").to_owned();
            let count = |key: &str| flow[key].as_u64().unwrap_or_default();
            let rtt = flow["smoothed_rtt_seconds"]
                .as_f64()
                .map_or_else(|| "-".to_owned(), |rtt| format!("{:.1} ms", 1e3 * rtt));
            writeln!(
                f,
                "  {} {} > {} {}  {}  {} data segments, {} retransmitted, {} dropped here, rtt {rtt}",
                text("local_address"),
                count("local_port"),
                text("remote_address"),
                count("remote_port"),
                text("app_protocol"),
                count("transmitted_data_segments"),
                count("retransmitted_segments"),
                count("locally_dropped_segments"),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flows_are_those_to_the_address_and_the_port() {
        let flow =
            |address: &str, port: u16| json!({ "remote_address": address, "remote_port": port, "subnet": "office" });
        let all = [flow("10.0.0.1", 443), flow("10.0.0.1", 80), flow("fd00::1", 443)];
        let found = |address: &str, port| Flows::to((address.parse().unwrap(), port), all.iter().cloned()).0.len();
        assert_eq!(
            [
                found("10.0.0.1", None),
                found("10.0.0.1", Some(80)),
                found("fd00::1", Some(80))
            ],
            [2, 1, 0]
        );
        let flows = Flows::to(("fd00::1".parse().unwrap(), None), all.into_iter());
        assert_eq!(flows.subnets(), ["office"].into());
        assert!(flows.to_string().contains("> fd00::1 443"), "{flows}");
    }
}
