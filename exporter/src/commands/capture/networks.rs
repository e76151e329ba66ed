//! Which networks a capture is of: the programs know addresses, and people also name subnets. Pure.

use crate::cli::filters::{FilterError, Filters};
use ipnet::IpNet;
use tcpvitals_config::{Config, Fallback, TcpLabel};

/// Networks of either address: those that were given, and within them those of the subnets that were named; none for all addresses.
///
/// # Errors
/// [`FilterError::NoNetwork`] where subnets were named and no address is left.
pub fn wanted(filters: &Filters, config: &Config) -> Result<Vec<IpNet>, FilterError> {
    let given = &filters.ends.networks;
    let kinds = filters
        .flows
        .values
        .iter()
        .filter(|(label, _)| *label == TcpLabel::Subnet);
    let names: Vec<String> = kinds.flat_map(|(_, names)| names).cloned().collect();
    if names.is_empty() {
        return Ok(given.clone());
    }
    let of_subnets = networks_of(config, &names);
    let both: Vec<IpNet> = if given.is_empty() {
        of_subnets
    } else {
        of_subnets.iter().flat_map(|network| within(*network, given)).collect()
    };
    if both.is_empty() {
        Err(FilterError::NoNetwork)
    } else {
        Ok(both)
    }
}

/// What a network has in common with each of others.
fn within(network: IpNet, others: &[IpNet]) -> impl Iterator<Item = IpNet> {
    others.iter().filter_map(move |other| {
        if other.contains(&network) {
            Some(network)
        } else {
            network.contains(other).then_some(*other)
        }
    })
}

/// Networks whose addresses are called by one of these names of subnets, networks of other subnets within them left out.
fn networks_of(config: &Config, names: &[String]) -> Vec<IpNet> {
    let all: Vec<(IpNet, bool)> = config
        .subnets
        .networks()
        .map(|(network, id)| {
            let name = config.subnets.names().get(id as usize);
            (network, name.is_some_and(|name| names.contains(name)))
        })
        .collect();
    let is_rest_wanted = matches!(config.subnets.fallback(), Fallback::Name(name) if names.contains(name));
    let everything = [
        IpNet::from(ipnet::Ipv4Net::default()),
        IpNet::from(ipnet::Ipv6Net::default()),
    ];
    let rest = everything
        .into_iter()
        .filter(|network| is_rest_wanted && all.iter().all(|(own, _)| own != network));
    let wanted = all
        .iter()
        .filter(|(_, is_wanted)| *is_wanted)
        .map(|(network, _)| *network)
        .chain(rest);
    wanted
        .flat_map(|network| {
            let within = |(own, _): &&(IpNet, bool)| network.contains(own) && *own != network;
            let others: Vec<IpNet> = all.iter().filter(within).map(|(own, _)| *own).collect();
            without(network, &others)
        })
        .collect()
}

/// A network without some networks within it, as the largest networks that are left.
fn without(network: IpNet, holes: &[IpNet]) -> Vec<IpNet> {
    if holes.is_empty() {
        return vec![network];
    }
    if holes.contains(&network) {
        return Vec::new();
    }
    let Ok(halves) = network.subnets(network.prefix_len() + 1) else {
        return Vec::new();
    };
    halves
        .flat_map(|half| {
            let inside: Vec<IpNet> = holes.iter().filter(|hole| half.contains(*hole)).copied().collect();
            without(half, &inside)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use tcpvitals_metrics::rows::filter::{EndFilter, FlowFilter};

    fn config() -> Config {
        let yaml = "subnets: [{name: a, cidrs: [10.0.0.0/8]}, {name: b, cidrs: [10.1.0.0/16]}, {name: c, cidrs: [10.1.2.0/24]}]";
        Config::from_yaml(yaml, "test.yaml").unwrap()
    }

    fn networks(subnets: &[&str], given: &[&str]) -> Result<Vec<String>, FilterError> {
        let names = subnets.iter().map(|name| String::from(*name)).collect();
        let filters = Filters {
            flows: FlowFilter {
                values: vec![(TcpLabel::Subnet, names)],
                ..FlowFilter::default()
            },
            ends: EndFilter {
                networks: given.iter().map(|network| network.parse().unwrap()).collect(),
                ports: Vec::new(),
            },
            ..Filters::default()
        };
        Ok(wanted(&filters, &config())?.iter().map(ToString::to_string).collect())
    }

    fn is_in(networks: &[String], address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        networks
            .iter()
            .any(|network| network.parse::<IpNet>().unwrap().contains(&address))
    }

    #[test]
    fn the_networks_of_a_subnet_leave_out_those_of_others_within_it() {
        assert_eq!(networks(&["c"], &[]).unwrap(), ["10.1.2.0/24"]);
        let b = networks(&["b"], &[]).unwrap();
        assert_eq!(
            (b.len(), b[0].as_str(), b[1].as_str()),
            (8, "10.1.0.0/23", "10.1.3.0/24")
        );
        let a = networks(&["a"], &[]).unwrap();
        assert!(is_in(&a, "10.0.0.1") && is_in(&a, "10.2.0.1") && !is_in(&a, "10.1.0.1") && !is_in(&a, "10.1.2.1"));
        let all = networks(&["a", "b", "c"], &[]).unwrap();
        assert!(
            ["10.0.0.1", "10.1.0.1", "10.1.2.1"]
                .iter()
                .all(|address| is_in(&all, address))
        );
        let rest = networks(&["internet"], &[]).unwrap();
        assert!(is_in(&rest, "11.0.0.1") && is_in(&rest, "2001:db8::1") && !is_in(&rest, "10.1.0.1"));
    }

    #[test]
    fn networks_that_were_given_are_narrowed_to_those_of_the_subnets() {
        assert_eq!(networks(&[], &["::1/128"]).unwrap(), ["::1/128"]);
        assert_eq!(networks(&["c"], &["10.1.0.0/16"]).unwrap(), ["10.1.2.0/24"]);
        assert_eq!(networks(&["c"], &["10.1.2.3/32"]).unwrap(), ["10.1.2.3/32"]);
        assert_eq!(networks(&["c"], &["10.1.3.0/24"]), Err(FilterError::NoNetwork));
    }
}
