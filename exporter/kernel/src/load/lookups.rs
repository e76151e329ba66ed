//! What the programs look up to label a flow or a drop: subnets, ports, settings. Pure: the steps that lead from the
//! tables of one configuration to those of the next.
//!
//! While the steps are taken, programs look up. The order is such that an address is never given a subnet that is neither
//! its old nor its new one: what is more specific enters first and leaves last.

use common::map::settings::Settings;
use ipnet::IpNet;
use std::collections::BTreeMap;

/// Everything that the programs look up under one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookups {
    /// Network to number of the subnet.
    pub networks: BTreeMap<IpNet, u32>,
    /// Port to number of the protocol.
    pub ports: BTreeMap<u16, u16>,
    /// The rest.
    pub settings: Settings,
}

/// One change of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A network is in a subnet from now on.
    SetNetwork(IpNet, u32),
    /// A network is in none.
    RemoveNetwork(IpNet),
    /// A port has a protocol.
    SetPort(u16, u16),
    /// A port has none.
    RemovePort(u16),
}

impl Lookups {
    /// What the maps hold when they are created.
    pub(crate) fn empty() -> Self {
        Self {
            networks: BTreeMap::new(),
            ports: BTreeMap::new(),
            settings: Settings::default(),
        }
    }

    /// Networks alone, of which `capture` asks only whether an address is in one.
    pub fn of_networks(networks: &[IpNet]) -> Self {
        Self {
            networks: networks.iter().map(|network| (*network, 0)).collect(),
            ..Self::empty()
        }
    }

    /// The steps from these tables to others; the settings come after the last one.
    pub(crate) fn steps_to(&self, other: &Self) -> Vec<Step> {
        let mut enter: Vec<(IpNet, u32)> = new_entries(&self.networks, &other.networks);
        enter.sort_by_key(|(network, _)| u8::MAX - network.prefix_len());
        let mut leave: Vec<IpNet> = old_keys(&self.networks, &other.networks);
        leave.sort_by_key(IpNet::prefix_len);
        let ports = new_entries(&self.ports, &other.ports);
        let networks = enter
            .into_iter()
            .map(|(network, number)| Step::SetNetwork(network, number));
        let ports = ports.into_iter().map(|(port, number)| Step::SetPort(port, number));
        let closed = old_keys(&self.ports, &other.ports);
        networks
            .chain(leave.into_iter().map(Step::RemoveNetwork))
            .chain(ports)
            .chain(closed.into_iter().map(Step::RemovePort))
            .collect()
    }
}

/// Entries that are new or have another value.
fn new_entries<K: Copy + Ord, V: Copy + Eq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Vec<(K, V)> {
    let changed = new.iter().filter(|(key, value)| old.get(key) != Some(value));
    changed.map(|(key, value)| (*key, *value)).collect()
}

/// Keys that are no more.
fn old_keys<K: Copy + Ord, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Vec<K> {
    old.keys().filter(|key| !new.contains_key(key)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::Ipv4Net;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    /// Networks that nest in each other.
    fn networks() -> impl Strategy<Value = BTreeMap<IpNet, u32>> {
        let network = (0u8..4, 8u8..=12).prop_map(|(bits, length)| {
            let address = Ipv4Addr::from(u32::from(bits) << 20 | 10 << 24);
            IpNet::V4(Ipv4Net::new(address, length).unwrap().trunc())
        });
        prop::collection::btree_map(network, 0u32..4, 0..8)
    }

    fn subnet(networks: &BTreeMap<IpNet, u32>, address: Ipv4Addr) -> Option<u32> {
        let around = networks
            .iter()
            .filter(|(network, _)| network.contains(&std::net::IpAddr::V4(address)));
        let longest = around.max_by_key(|(network, _)| network.prefix_len());
        longest.map(|(_, number)| *number)
    }

    proptest! {
        #[test]
        fn every_address_has_its_old_or_its_new_subnet_at_every_step(old in networks(), new in networks()) {
            let of = |networks: &BTreeMap<IpNet, u32>| Lookups { networks: networks.clone(), ..Lookups::empty() };
            let mut now = old.clone();
            for step in of(&old).steps_to(&of(&new)) {
                match step {
                    Step::SetNetwork(network, number) => { now.insert(network, number); }
                    Step::RemoveNetwork(network) => { now.remove(&network); }
                    Step::SetPort(..) | Step::RemovePort(_) => prop_assert!(false, "no port has changed"),
                }
                for bits in 0..8u32 {
                    let address = Ipv4Addr::from(10 << 24 | bits << 20 | 1);
                    let found = subnet(&now, address);
                    prop_assert!([subnet(&old, address), subnet(&new, address)].contains(&found), "{address} in {found:?} after {step:?}");
                }
            }
            prop_assert_eq!(now, new);
        }
    }

    #[test]
    fn only_what_changes_is_a_step() {
        let lookups = |ports: &[(u16, u16)]| Lookups {
            ports: ports.iter().copied().collect(),
            ..Lookups::empty()
        };
        let (old, new) = (lookups(&[(1, 1), (2, 2), (3, 3)]), lookups(&[(1, 1), (2, 5), (4, 4)]));
        assert_eq!(
            old.steps_to(&new),
            [Step::SetPort(2, 5), Step::SetPort(4, 4), Step::RemovePort(3)]
        );
        assert_eq!(new.steps_to(&new), []);
    }
}
