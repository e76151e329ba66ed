//! Networks of nodes by the value of their label.
//! It must never give a network to two names. From nodes; to `networks`.

use super::networks::Networks;
use crate::kubernetes::Node;
use ipnet::IpNet;
use std::collections::{BTreeMap, btree_map::Entry};
use tcpvitals_config::subnet_name;

/// The nodes that are known.
#[derive(Debug)]
pub(super) struct Zones {
    label: String,
    nodes: BTreeMap<String, Node>,
}

/// What of the nodes is in no network that is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Nodes without the label.
    pub(super) unlabeled: usize,
    /// Values of it that cannot be the name of a subnet.
    pub(super) names: Vec<String>,
    /// Networks that cannot be those of a node.
    pub(super) unusable: usize,
    /// Networks that an earlier node of another name has too.
    pub(super) claimed: usize,
    /// Nodes in all.
    pub(super) nodes: usize,
}

impl Zones {
    pub(super) fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            nodes: BTreeMap::new(),
        }
    }

    /// These, and no others.
    pub(super) fn replace(&mut self, nodes: Vec<Node>) {
        self.nodes = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
    }

    /// One that has come or changed.
    pub(super) fn put(&mut self, node: Node) {
        self.nodes.insert(node.name.clone(), node);
    }

    /// One that is gone.
    pub(super) fn remove(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// The label that names them.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Their networks. Of nodes that claim the same one, the first by name has it.
    pub(super) fn networks(&self) -> (Networks, LeftOut) {
        let mut named: BTreeMap<IpNet, &str> = BTreeMap::new();
        let mut left_out = LeftOut {
            nodes: self.nodes.len(),
            ..LeftOut::default()
        };
        for node in self.nodes.values() {
            left_out.unusable += node.unusable;
            let Some(name) = node.label.as_deref() else {
                left_out.unlabeled += 1;
                continue;
            };
            if subnet_name(name).is_err() || !name.bytes().all(is_of_label) {
                if !left_out.names.iter().any(|known| known == name) {
                    left_out.names.push(name.to_owned());
                }
                continue;
            }
            for network in &node.networks {
                match named.entry(*network) {
                    Entry::Vacant(place) => drop(place.insert(name)),
                    Entry::Occupied(place) if *place.get() == name => {}
                    Entry::Occupied(_) => left_out.claimed += 1,
                }
            }
        }
        let named = named.into_iter().map(|(network, name)| (network, name.to_owned()));
        (Networks::new(named.collect()), left_out)
    }
}

/// What Kubernetes allows in the value of a label; none of it means something in CSV.
const fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl LeftOut {
    /// Says what is missing, and why.
    pub(super) fn log(&self, label: &str) {
        let Self {
            unlabeled,
            names,
            unusable,
            claimed,
            nodes,
        } = self;
        if *unlabeled > 0 {
            tracing::warn!(
                nodes,
                "subnets: {unlabeled} nodes have no label {label}; they are in no subnet"
            );
        }
        if !names.is_empty() {
            tracing::warn!(
                ?names,
                "subnets: these values of {label} cannot be names of subnets; their nodes are in none"
            );
        }
        if *unusable > 0 {
            tracing::warn!("subnets: {unusable} networks or addresses of nodes cannot be theirs; they are left out");
        }
        if *claimed > 0 {
            tracing::warn!(
                "subnets: {claimed} networks are of two nodes with different names; the first node by name has them"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, label: Option<&str>, networks: &[&str]) -> Node {
        Node {
            name: name.to_owned(),
            label: label.map(str::to_owned),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            unusable: 0,
        }
    }

    fn text(zones: &Zones) -> String {
        zones.networks().0.within(usize::MAX).unwrap().text
    }

    #[test]
    fn nodes_are_named_by_their_label() {
        let mut zones = Zones::new("zone");
        zones.replace(vec![
            node("n1", Some("a"), &["10.0.0.0/24", "192.0.2.1/32"]),
            node("n2", Some("b"), &["10.0.1.0/24"]),
            node("n3", None, &["10.0.2.0/24"]),
        ]);
        assert_eq!(
            text(&zones),
            "cidr,name\n10.0.0.0/24,a\n10.0.1.0/24,b\n192.0.2.1/32,a\n"
        );
        assert_eq!((zones.networks().1.unlabeled, zones.networks().1.nodes), (1, 3));
        zones.put(node("n3", Some("b"), &["10.0.2.0/24"]));
        zones.remove("n1");
        assert_eq!(text(&zones), "cidr,name\n10.0.1.0/24,b\n10.0.2.0/24,b\n");
    }

    #[test]
    fn a_value_that_is_no_name_of_a_subnet_is_left_out() {
        for value in ["other", "internet", "a,b", "a\"b", "a b", "ä", "\u{1b}"] {
            let mut zones = Zones::new("zone");
            zones.replace(vec![
                node("n1", Some(value), &["10.0.0.0/24"]),
                node("n2", Some("good"), &["10.0.1.0/24"]),
            ]);
            assert_eq!(text(&zones), "cidr,name\n10.0.1.0/24,good\n", "{value:?}");
            assert_eq!(zones.networks().1.names, [value]);
        }
    }

    #[test]
    fn a_network_that_two_claim_is_the_firsts() {
        let mut zones = Zones::new("zone");
        zones.replace(vec![
            node("n2", Some("b"), &["10.0.0.0/24", "10.0.1.0/24"]),
            node("n1", Some("a"), &["10.0.0.0/24"]),
            node("n3", Some("b"), &["10.0.1.0/24"]),
        ]);
        assert_eq!(text(&zones), "cidr,name\n10.0.0.0/24,a\n10.0.1.0/24,b\n");
        assert_eq!(zones.networks().1.claimed, 1);
    }
}
