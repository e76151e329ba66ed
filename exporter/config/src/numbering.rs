//! Numbers for the names of subnets and application protocols: what the kernel programs count under instead of a name.
//! A number must never change its name: rows that were counted under an earlier configuration keep theirs.
//! From one configuration after the other; to the kernel's tables and back in the labelling.

use crate::Config;
use ipnet::IpNet;
use std::collections::HashMap;

/// All names that were ever configured, each with its number.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    subnets: Names,
    protocols: Names,
}

impl Numbering {
    /// The numbers for the first configuration.
    pub fn new(config: &Config) -> Self {
        let mut numbering = Self::default();
        numbering.learn(config);
        numbering
    }

    /// These numbers and those for the names that `config` adds; `None` when there are no numbers left for it.
    pub fn with(&self, config: &Config) -> Option<Self> {
        let mut numbering = self.clone();
        numbering.learn(config);
        let fits = u16::try_from(numbering.protocols.last()).is_ok();
        fits.then_some(numbering)
    }

    /// Every configured network with the number of its subnet.
    pub fn networks<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = (IpNet, u32)> + 'a {
        let names = config.subnets.names();
        config
            .subnets
            .networks()
            .filter_map(|(network, id)| Some((network, self.subnets.number(names.get(id as usize)?)?)))
    }

    /// Every named port with the number of its protocol.
    pub fn ports<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = (u16, u16)> + 'a {
        let names = config.app_protocols.names();
        config.app_protocols.ports().filter_map(|(port, id)| {
            let number = self.protocols.number(names.get(usize::from(id))?)?;
            Some((port, u16::try_from(number).ok()?))
        })
    }

    /// The name of a subnet.
    pub fn subnet(&self, number: u32) -> Option<&str> {
        self.subnets.name(number)
    }

    /// The name of an application protocol; 0 is the first name of every configuration.
    pub fn protocol(&self, number: u16) -> Option<&str> {
        self.protocols.name(number.into())
    }

    fn learn(&mut self, config: &Config) {
        self.subnets.learn(config.subnets.names());
        self.protocols.learn(config.app_protocols.names());
    }
}

#[derive(Clone, Debug, Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    fn learn(&mut self, names: &[String]) {
        for name in names {
            let free = self.numbers.len();
            if let Ok(free) = u32::try_from(free)
                && !self.numbers.contains_key(name)
            {
                self.numbers.insert(name.clone(), free);
                self.names.push(name.clone());
            }
        }
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn name(&self, number: u32) -> Option<&str> {
        self.names.get(number as usize).map(String::as_str)
    }

    /// The largest number given out.
    fn last(&self) -> usize {
        self.names.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Config {
        Config::from_yaml(yaml, "test.yaml").unwrap()
    }

    #[test]
    fn a_number_keeps_its_name_whatever_comes_and_goes() {
        let first = config(
            "{subnets: [{name: a, cidrs: [10.0.0.0/8]}, {name: b, cidrs: [11.0.0.0/8]}], app_protocols: [{name: x, ports: [1]}]}",
        );
        let second = config(
            "{subnets: [{name: c, cidrs: [10.0.0.0/8]}, {name: b, cidrs: [12.0.0.0/8]}], app_protocols: [{name: y, ports: [1]}]}",
        );
        let before = Numbering::new(&first);
        let after = before.with(&second).unwrap();
        assert_eq!(
            (0..4).map(|number| after.subnet(number)).collect::<Vec<_>>(),
            [Some("a"), Some("b"), Some("c"), None]
        );
        let networks = |numbering: &Numbering, config: &Config| -> Vec<(String, u32)> {
            let networks = numbering.networks(config);
            networks
                .map(|(network, number)| (network.to_string(), number))
                .collect()
        };
        assert_eq!(
            networks(&before, &first),
            [("10.0.0.0/8".to_owned(), 0), ("11.0.0.0/8".to_owned(), 1)]
        );
        assert_eq!(
            networks(&after, &second),
            [("10.0.0.0/8".to_owned(), 2), ("12.0.0.0/8".to_owned(), 1)]
        );
        let of_port_1 = |numbering: &Numbering, config: &Config| {
            let number = numbering.ports(config).find(|(port, _)| *port == 1).unwrap().1;
            numbering.protocol(number).unwrap().to_owned()
        };
        assert_eq!(of_port_1(&before, &first), "x");
        assert_eq!(of_port_1(&after, &second), "y");
        assert_eq!(after.protocol(0), Some("other"));
    }
}
