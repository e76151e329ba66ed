//! Which dropped packets are captured. Pure: the names of a site in, yes or no out. Addresses are the one filter that is
//! not here: the kernel program looks at them.

use crate::cli::capture::FilterArguments;
use common::drops::{Direction, Protocol};
use tcpvitals_config::{Class, DropLabel, Drops, Glob, Rule};
use tcpvitals_metrics::rows::filter;

/// A site in the words of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteNames {
    /// The drop reason; "" where the kernel gives none.
    pub reason: String,
    pub location: String,
    /// What it means to an operator.
    pub class: Class,
    /// What the packet is.
    pub protocol: Protocol,
    /// Which way it went.
    pub direction: Direction,
    pub interface: String,
    /// Whose it is; empty where workloads are not told apart.
    pub workload: String,
    /// The namespace of that in Kubernetes.
    pub workload_namespace: String,
}

impl SiteNames {
    /// The value of a label.
    #[expect(clippy::wildcard_enum_match_arm, reason = "capture looks for no other label")]
    const fn label(&self, label: DropLabel) -> &str {
        match label {
            DropLabel::Location => self.location.as_str(),
            DropLabel::Reason => self.reason.as_str(),
            DropLabel::Class => self.class.as_str(),
            DropLabel::Protocol => self.protocol.as_str(),
            DropLabel::Direction => self.direction.as_str(),
            DropLabel::Workload => self.workload.as_str(),
            DropLabel::WorkloadNamespace => self.workload_namespace.as_str(),
            _ => "",
        }
    }
}

/// What is asked for. A packet passes when it is one of each kind that is given.
#[derive(Clone, Debug, Default)]
pub struct CaptureFilter {
    /// By labels.
    pub labels: filter::DropFilter,
    pub interfaces: Vec<Glob>,
    /// What the configuration leaves out.
    pub ignored: Vec<Rule>,
}

impl CaptureFilter {
    /// Whether packets of a site are captured.
    pub fn passes(&self, names: &SiteNames) -> bool {
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

impl FilterArguments {
    /// The filter that they are together with the configuration, but for addresses, and subnets, which are addresses here.
    pub fn filter(&self, drops: &Drops) -> CaptureFilter {
        let Self { filters, devices } = self.clone();
        let mut labels = filters.drops;
        labels.values.retain(|(label, _)| *label != DropLabel::Subnet);
        CaptureFilter {
            labels,
            interfaces: devices,
            ignored: drops.ignore.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpvitals_config::Config;

    fn names() -> SiteNames {
        SiteNames {
            reason: "NETFILTER_DROP".to_owned(),
            location: "nft_do_chain".to_owned(),
            class: Class::Policy,
            protocol: Protocol::Tcp,
            direction: Direction::Receive,
            interface: "eth0".to_owned(),
            workload: "cart".to_owned(),
            workload_namespace: "shop".to_owned(),
        }
    }

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob::new(text).unwrap()).collect()
    }

    #[test]
    fn without_filters_everything_passes() {
        assert!(CaptureFilter::default().passes(&names()));
    }

    #[test]
    fn one_of_each_kind_is_enough_and_each_kind_is_needed() {
        let words = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect();
        let mut filter = CaptureFilter {
            labels: filter::DropFilter {
                patterns: vec![
                    (DropLabel::Reason, globs(&["NO_SOCKET", "NETFILTER_*"])),
                    (DropLabel::Location, globs(&["nft_*"])),
                    (DropLabel::Workload, globs(&["ca*"])),
                    (DropLabel::WorkloadNamespace, globs(&["shop"])),
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
            SiteNames {
                reason: "TCP_CSUM".to_owned(),
                ..names()
            },
            SiteNames {
                location: "tcp_v4_rcv".to_owned(),
                ..names()
            },
            SiteNames {
                class: Class::Benign,
                ..names()
            },
            SiteNames {
                protocol: Protocol::Udp,
                ..names()
            },
            SiteNames {
                direction: Direction::Transmit,
                ..names()
            },
            SiteNames {
                interface: "wlan0".to_owned(),
                ..names()
            },
            SiteNames {
                workload: "web".to_owned(),
                ..names()
            },
            SiteNames {
                workload_namespace: "kube-system".to_owned(),
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
        let filter = CaptureFilter {
            ignored: Config::from_yaml(yaml, "test.yaml").unwrap().drops.ignore,
            ..CaptureFilter::default()
        };
        assert!(!filter.passes(&names()));
        let location = "ip_rcv".to_owned();
        assert!(filter.passes(&SiteNames { location, ..names() }));
    }
}
