//! The flows to one peer, as the API has them, and the subnets that it may be of.

use crate::serve::http::api::{PATHS, query::LIMIT};
use serde_json::Value;
use std::{collections::BTreeSet, fmt, net::IpAddr};
use tcpvitals_config::Subnets;
use tcpvitals_metrics::findings::report::Finding;

/// Most flows that are printed.
const MOST: usize = 10;

/// An address, and a port if one is given.
pub(super) type Peer = (IpAddr, Option<u16>);

/// Where the API has the flows to a peer.
pub(super) fn path((address, port): Peer) -> String {
    let [flows, ..] = PATHS;
    let port = port.map(|port| format!("&port={port}")).unwrap_or_default();
    format!("{flows}?address={address}{port}&limit={}", LIMIT.1)
}

/// The subnet that a configuration gives an address.
pub(super) fn subnet(subnets: &Subnets, address: IpAddr) -> String {
    let named = subnets.find(address).map(|(_, name)| name.to_owned());
    named.unwrap_or_else(|| subnets.fallback_name(address))
}

/// Flows to a peer.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub(super) live: Vec<Value>,
    /// That of the peer by the configuration, where that is known: who refuses or does not answer has no live flow.
    pub(super) subnet: Option<String>,
}

impl Flows {
    /// Those of all flows that go to an address, and to a port if one is given.
    pub(super) fn to((address, port): Peer, flows: impl Iterator<Item = Value>) -> Self {
        let is_it = |flow: &Value| {
            let remote = flow["remote_address"].as_str().and_then(|text| text.parse().ok());
            remote == Some(address) && port.is_none_or(|port| flow["remote_port"] == port)
        };
        Self {
            live: flows.filter(is_it).collect(),
            subnet: None,
        }
    }

    /// The subnets that they count for, and that of the peer.
    fn subnets(&self) -> BTreeSet<&str> {
        let live = self.live.iter().filter_map(|flow| flow["subnet"].as_str());
        live.chain(self.subnet.as_deref()).collect()
    }

    /// Whether a finding is of one of the subnets; any is where none is known.
    pub(super) fn are_hit_by(&self, finding: &Finding) -> bool {
        let subnets = self.subnets();
        subnets.is_empty() || subnets.contains(finding.subnet.as_str())
    }
}

impl fmt::Display for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subnets = Vec::from_iter(self.subnets()).join(", ");
        match self.live.len() {
            0 if subnets.is_empty() => {
                return writeln!(f, "no live flow goes there: these are the findings of all subnets");
            }
            0 => return writeln!(f, "no live flow goes there; it is of subnet {subnets}"),
            count => writeln!(f, "{count} live flows go there, of subnet {subnets}")?,
        }
        for flow in self.live.iter().take(MOST) {
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
    use crate::serve::http::api::flows::Wanted;
    use serde_json::json;
    use tcpvitals_config::Config;
    use tcpvitals_metrics::rows::samples;

    #[test]
    fn flows_are_those_to_the_address_and_the_port() {
        let flow =
            |address: &str, port: u16| json!({ "remote_address": address, "remote_port": port, "subnet": "office" });
        let all = [flow("10.0.0.1", 443), flow("10.0.0.1", 80), flow("fd00::1", 443)];
        let found = |address: &str, port| {
            Flows::to((address.parse().unwrap(), port), all.iter().cloned())
                .live
                .len()
        };
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

    fn are_hit(flows: &Flows, subnet: &str) -> bool {
        let finding = json!({
            "finding": "refused", "whose": "peer", "subnet": subnet, "severity": 1.0, "rate": 1.0, "share": 0.1, "says": "",
            "services": [], "workloads": [], "sites": [], "next": "", "runbook": "",
            "since": { "at_seconds": 0.0, "or_before": true }
        });
        flows.are_hit_by(&serde_json::from_value(finding).unwrap())
    }

    #[test]
    fn a_peer_without_flows_has_the_subnet_of_the_configuration() {
        let yaml = "{subnets: [{name: office, cidrs: [10.0.0.0/8]}], subnets_fallback: outside}";
        let Config { subnets, .. } = Config::from_yaml(yaml, "t.yaml").unwrap();
        for (address, subnet) in [("10.0.0.1", "office"), ("192.0.2.1", "outside")] {
            let flows = Flows {
                subnet: Some(super::subnet(&subnets, address.parse().unwrap())),
                ..Flows::default()
            };
            assert!(are_hit(&flows, subnet) && !are_hit(&flows, "lab"), "{flows:?}");
            assert!(flows.to_string().contains(subnet), "{flows}");
        }
    }

    #[test]
    fn all_findings_are_shown_where_no_subnet_is_known_and_it_is_said() {
        let flows = Flows::default();
        assert!(are_hit(&flows, "office") && are_hit(&flows, "lab"));
        assert!(flows.to_string().contains("all subnets"), "{flows}");
        let flows = Flows {
            live: vec![json!({ "subnet": "office" })],
            subnet: None,
        };
        assert!(are_hit(&flows, "office") && !are_hit(&flows, "lab"));
    }

    #[test]
    fn the_api_is_asked_for_the_flows_of_the_peer_alone() {
        // More than it gives at once.
        let mut flows: Vec<_> = (2..=10_001)
            .map(|number| samples::flow(number, [10, 0, 0, 2], 443, "office"))
            .collect();
        flows.push(samples::flow(1, [10, 9, 0, 2], 443, "lab"));
        let answer = |address: &str, port| {
            let path = path((address.parse().unwrap(), port));
            let (_, query) = path.split_once('?').unwrap();
            let answer = Wanted::parse(query).unwrap().answer(&flows);
            answer["flows"].as_array().unwrap().len()
        };
        assert_eq!(
            [
                answer("10.9.0.2", None),
                answer("10.9.0.2", Some(443)),
                answer("10.9.0.2", Some(80)),
                answer("fd00::1", None)
            ],
            [1, 1, 0, 0]
        );
    }
}
