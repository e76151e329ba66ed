//! Which dropped packets are captured. Pure: the names of a site in, yes or no out. Addresses are the one filter that is
//! not here: the kernel program looks at them.

use common::drops::{Direction, Protocol};
use tcpvitals_config::{Class, DropLabel, Glob, Rule};
use tcpvitals_metrics::rows::drops::filter;

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

impl Names {
    /// The value of a label; capture does not look for the others.
    const fn label(&self, label: DropLabel) -> &str {
        match label {
            DropLabel::Location => self.location.as_str(),
            DropLabel::Reason => self.reason.as_str(),
            DropLabel::Class => self.class.as_str(),
            DropLabel::Protocol => self.protocol.as_str(),
            DropLabel::Direction => self.direction.as_str(),
            DropLabel::Subnet | DropLabel::ConnectionType => "",
        }
    }
}

/// What is asked for. A packet passes when it is one of each kind that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By labels.
    pub labels: filter::Filter,
    /// Devices.
    pub interfaces: Vec<Glob>,
    /// What the configuration leaves out.
    pub ignored: Vec<Rule>,
}

impl Filter {
    /// Whether packets of a site are captured.
    pub fn passes(&self, names: &Names) -> bool {
        let Self {
            labels,
            interfaces,
            ignored,
        } = self;
        labels.matches(|label| names.label(label))
            && (interfaces.is_empty() || interfaces.iter().any(|glob| glob.matches(&names.interface)))
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
        let words = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect();
        let mut filter = Filter {
            labels: filter::Filter {
                patterns: vec![
                    (DropLabel::Reason, globs(&["NO_SOCKET", "NETFILTER_*"])),
                    (DropLabel::Location, globs(&["nft_*"])),
                ],
                values: vec![
                    (DropLabel::Class, words(&["error", "policy"])),
                    (DropLabel::Protocol, words(&["tcp"])),
                    (DropLabel::Direction, words(&["receive"])),
                ],
            },
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
        filter.labels.values = vec![(DropLabel::Class, words(&["error"]))];
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
