//! Which dropped packets are captured. Pure: the names of a site in, yes or no out. Addresses are the one filter that is
//! not here: the kernel program looks at them.

use common::drops::{Direction, Protocol};
use tcpvitals_config::{Class, Glob, Rule};

/// A site in the words of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The drop reason; "" where the kernel gives none.
    pub reason: String,
    /// The kernel function.
    pub location: String,
    /// What it means to an operator.
    pub class: Class,
    /// What the packet is.
    pub protocol: Protocol,
    /// Which way it went.
    pub direction: Direction,
    /// The device.
    pub interface: String,
}

/// What is asked for. A packet passes when it is one of each kind that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Drop reasons.
    pub reasons: Vec<Glob>,
    /// Kernel functions.
    pub locations: Vec<Glob>,
    /// Classes.
    pub classes: Vec<Class>,
    /// Protocols.
    pub protocols: Vec<Protocol>,
    /// Directions.
    pub directions: Vec<Direction>,
    /// Devices.
    pub interfaces: Vec<Glob>,
    /// What the configuration leaves out.
    pub ignored: Vec<Rule>,
}

impl Filter {
    /// Whether packets of a site are captured.
    pub fn passes(&self, names: &Names) -> bool {
        let Self {
            reasons,
            locations,
            classes,
            protocols,
            directions,
            interfaces,
            ignored,
        } = self;
        let globs = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(text));
        globs(reasons, &names.reason)
            && globs(locations, &names.location)
            && globs(interfaces, &names.interface)
            && (classes.is_empty() || classes.contains(&names.class))
            && (protocols.is_empty() || protocols.contains(&names.protocol))
            && (directions.is_empty() || directions.contains(&names.direction))
            && !ignored.iter().any(|rule| rule.matches(&names.reason, &names.location))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpvitals_config::Config;

    fn names() -> Names {
        Names {
            reason: "NETFILTER_DROP".to_owned(),
            location: "nft_do_chain".to_owned(),
            class: Class::Policy,
            protocol: Protocol::Tcp,
            direction: Direction::Receive,
            interface: "eth0".to_owned(),
        }
    }

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob::new(text).unwrap()).collect()
    }

    #[test]
    fn without_filters_everything_passes() {
        assert!(Filter::default().passes(&names()));
    }

    #[test]
    fn one_of_each_kind_is_enough_and_each_kind_is_needed() {
        let mut filter = Filter {
            reasons: globs(&["NO_SOCKET", "NETFILTER_*"]),
            locations: globs(&["nft_*"]),
            classes: vec![Class::Error, Class::Policy],
            protocols: vec![Protocol::Tcp],
            directions: vec![Direction::Receive],
            interfaces: globs(&["eth*"]),
            ignored: Vec::new(),
        };
        assert!(filter.passes(&names()));
        for other in [
            Names {
                reason: "TCP_CSUM".to_owned(),
                ..names()
            },
            Names {
                location: "tcp_v4_rcv".to_owned(),
                ..names()
            },
            Names {
                class: Class::Benign,
                ..names()
            },
            Names {
                protocol: Protocol::Udp,
                ..names()
            },
            Names {
                direction: Direction::Transmit,
                ..names()
            },
            Names {
                interface: "wlan0".to_owned(),
                ..names()
            },
        ] {
            assert!(!filter.passes(&other), "{other:?}");
        }
        filter.classes = vec![Class::Error];
        assert!(!filter.passes(&names()));
    }

    #[test]
    fn what_the_configuration_ignores_is_left_out() {
        let yaml = "drops: {ignore: [{reason: NETFILTER_DROP, location: nft_*}]}";
        let filter = Filter {
            ignored: Config::from_yaml(yaml, "test.yaml").unwrap().drops.ignore,
            ..Filter::default()
        };
        assert!(!filter.passes(&names()));
        let location = "ip_rcv".to_owned();
        assert!(filter.passes(&Names { location, ..names() }));
    }
}
