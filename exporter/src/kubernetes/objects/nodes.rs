//! Nodes of a cluster: the value of one label, and the networks that are theirs. Their metadata says neither, so they come whole.
//! It must never keep more of one. Forms are those of `core/v1`.

use super::name;
use crate::kubernetes::resource::{Read, Resource, Unreadable};
use ipnet::IpNet;
use serde::Deserialize;
use std::{collections::HashMap, net::IpAddr};

/// Longest value of a label.
const LONGEST_LABEL: usize = 63;
/// Shortest prefixes of a node's pods: a shorter one is a mistake that would take the addresses of others.
const SHORTEST_IPV4: u8 = 8;
const SHORTEST_IPV6: u8 = 32;

/// All nodes, by a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    label: String,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, which no other one has.
    pub name: String,
    /// The value of the label.
    pub label: Option<String>,
    /// The networks of its pods (`spec.podCIDRs`), and its addresses (`InternalIP` and `ExternalIP` of `status.addresses`).
    pub networks: Vec<IpNet>,
    /// How many of them could not be read, or cannot be a node's.
    pub unusable: usize,
}

impl Nodes {
    /// With the value of this label.
    pub fn by(label: &str) -> Self {
        Self {
            label: label.to_owned(),
        }
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl Resource for Nodes {
    type Object = Node;
    type Key = String;

    const PLURAL: &'static str = "nodes";
    const SINGULAR: &'static str = "node";
    const PURPOSE: &'static str = "subnets";
    const LIST: &'static str = "application/json";
    const WATCH: &'static str = "application/json";
    /// Some times as many as the largest clusters have.
    const MOST: usize = 100_000;

    fn selector(&self) -> Option<String> {
        None
    }

    fn describe(&self) -> String {
        "nodes of the cluster".to_owned()
    }

    fn read(&self, json: &str) -> Result<Read<Node, String>, Unreadable> {
        let RawNode { metadata, spec, status } = serde_json::from_str(json)?;
        let key = name(metadata.name);
        let mut labels = metadata.labels.unwrap_or_default();
        let label = name(labels.remove(&self.label).flatten()).filter(|value| value.len() <= LONGEST_LABEL);
        let mut networks = Networks::default();
        let RawSpec { pod_cidrs, pod_cidr } = spec.unwrap_or_default();
        // The older of the two repeats the first.
        for text in pod_cidrs.unwrap_or_else(|| pod_cidr.into_iter().collect()) {
            networks.add(text.parse().ok().filter(can_be_of_pods));
        }
        for address in status.unwrap_or_default().addresses.unwrap_or_default() {
            if matches!(address.kind.as_str(), "InternalIP" | "ExternalIP") {
                let parsed = address.address.parse().ok().filter(can_be_of_a_node);
                networks.add(parsed.map(IpNet::from));
            }
        }
        let object = key.clone().map(|name| Node {
            name,
            label,
            networks: networks.usable,
            unusable: networks.unusable,
        });
        Ok(Read {
            version: metadata.version,
            key,
            object,
        })
    }
}

#[derive(Default)]
struct Networks {
    usable: Vec<IpNet>,
    unusable: usize,
}

impl Networks {
    fn add(&mut self, network: Option<IpNet>) {
        match network.map(|network| network.trunc()) {
            Some(network) if self.usable.contains(&network) => {}
            Some(network) => self.usable.push(network),
            None => self.unusable += 1,
        }
    }
}

fn can_be_of_pods(network: &IpNet) -> bool {
    let shortest = match network {
        IpNet::V4(_) => SHORTEST_IPV4,
        IpNet::V6(_) => SHORTEST_IPV6,
    };
    network.prefix_len() >= shortest && can_be_of_a_node(&network.network())
}

/// Everybody has those that are refused here.
fn can_be_of_a_node(address: &IpAddr) -> bool {
    let is_mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_mapped)
}

#[derive(Deserialize)]
struct RawNode {
    metadata: RawMetadata,
    spec: Option<RawSpec>,
    status: Option<RawStatus>,
}

#[derive(Deserialize)]
struct RawMetadata {
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
    name: Option<String>,
    labels: Option<HashMap<String, Option<String>>>,
}

#[derive(Default, Deserialize)]
struct RawSpec {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<String>>,
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
}

#[derive(Default, Deserialize)]
struct RawStatus {
    addresses: Option<Vec<RawAddress>>,
}

#[derive(Deserialize)]
struct RawAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(node: &Value) -> Read<Node, String> {
        Nodes::by("zone").read(&node.to_string()).unwrap()
    }

    fn whole() -> Value {
        json!({
            "kind": "Node", "apiVersion": "v1",
            "metadata": {"name": "node-1", "uid": "1", "resourceVersion": "7", "labels": {"zone": "a", "other": "b"}},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "2001:db8:1::/64"], "providerID": "x"},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": "192.0.2.1"},
                    {"type": "ExternalIP", "address": "2001:db8::1"},
                    {"type": "Hostname", "address": "node-1"},
                ],
                "images": [{"names": ["a"], "sizeBytes": 1}],
            },
        })
    }

    #[test]
    fn a_node_has_the_networks_of_its_pods_and_its_own_addresses() {
        let Read { version, key, object } = read(&whole());
        assert_eq!((version.as_deref(), key.as_deref()), (Some("7"), Some("node-1")));
        let networks = ["10.1.0.0/24", "2001:db8:1::/64", "192.0.2.1/32", "2001:db8::1/128"];
        let expected = Node {
            name: "node-1".to_owned(),
            label: Some("a".to_owned()),
            networks: networks.map(|network| network.parse().unwrap()).to_vec(),
            unusable: 0,
        };
        assert_eq!(object, Some(expected));
    }

    #[test]
    fn what_a_node_does_not_say_it_has_not() {
        for (pointer, networks) in [("/spec", 2), ("/status", 2), ("/metadata/labels", 4)] {
            let mut node = whole();
            *node.pointer_mut(pointer).unwrap() = json!(null);
            let read = read(&node).object.unwrap();
            assert_eq!((read.networks.len(), read.unusable), (networks, 0), "{pointer}");
            assert_eq!(read.label.is_none(), pointer == "/metadata/labels");
        }
        let mut old = whole();
        old["spec"] = json!({"podCIDR": "10.1.0.0/24"});
        assert_eq!(read(&old).object.unwrap().networks.len(), 3);
        // A bookmark.
        let bare =
            json!({"kind": "Node", "metadata": {"resourceVersion": "9"}, "spec": {}, "status": {"addresses": null}});
        assert!(read(&bare).object.is_none());
    }

    #[test]
    fn what_cannot_be_a_nodes_is_left_out_and_counted() {
        for odd in [
            "0.0.0.0/0",
            "10.0.0.0/7",
            "::/0",
            "127.0.0.0/8",
            "224.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "x",
            "",
        ] {
            let mut node = whole();
            node["spec"]["podCIDRs"] = json!([odd]);
            let read = read(&node).object.unwrap();
            assert_eq!((read.networks.len(), read.unusable), (2, 1), "{odd}");
        }
        for odd in [
            "0.0.0.0",
            "127.0.0.1",
            "::1",
            "239.1.1.1",
            "::ffff:10.0.0.1",
            "10.0.0.0/8",
            "node-1",
            "",
        ] {
            let mut node = whole();
            node["status"]["addresses"][0]["address"] = json!(odd);
            let read = read(&node).object.unwrap();
            assert_eq!((read.networks.len(), read.unusable), (3, 1), "{odd}");
        }
        let mut cut = whole();
        cut["spec"]["podCIDRs"] = json!(["10.1.0.7/24"]);
        assert_eq!(read(&cut).object.unwrap().networks[0].to_string(), "10.1.0.0/24");
    }
}
