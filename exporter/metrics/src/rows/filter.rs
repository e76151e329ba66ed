//! Which rows are wanted, by their labels: flows and drops of the commands and of the API, and packets of `capture`.

use ipnet::IpNet;
use std::net::SocketAddr;
use tcpvitals_config::{DropLabel, Glob, TcpLabel};

/// Rows match when they match every part; a part without values matches all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFilter<L> {
    /// The value of a label is one of these.
    pub values: Vec<(L, Vec<String>)>,
    /// A label fits one of these patterns, as the configuration has them.
    pub patterns: Vec<(L, Vec<Glob>)>,
}

/// Which drops are wanted.
pub type DropFilter = LabelFilter<DropLabel>;

/// Which flows are wanted.
pub type FlowFilter = LabelFilter<TcpLabel>;

impl<L> Default for LabelFilter<L> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            patterns: Vec::new(),
        }
    }
}

impl<L: Copy> LabelFilter<L> {
    /// Whether a row with these labels is wanted.
    pub fn matches<S: AsRef<str>>(&self, value_of: impl Fn(L) -> S) -> bool {
        self.fits(|label| Some(value_of(label)))
    }

    /// Whether a row whose label has this value may be wanted.
    pub fn allows(&self, label: L, value: &str) -> bool
    where
        L: PartialEq,
    {
        self.fits(|own| (own == label).then_some(value))
    }

    /// Whether the values of those labels that have one are wanted.
    fn fits<S: AsRef<str>>(&self, value_of: impl Fn(L) -> Option<S>) -> bool {
        let Self { values, patterns } = self;
        let is_one_of = |(label, values): &(L, Vec<String>)| {
            let has = |own: S| values.iter().any(|value| value == own.as_ref());
            values.is_empty() || value_of(*label).is_none_or(has)
        };
        let fits_one_of = |(label, globs): &(L, Vec<Glob>)| {
            let fits = |own: S| globs.iter().any(|glob| glob.matches(own.as_ref()));
            globs.is_empty() || value_of(*label).is_none_or(fits)
        };
        values.iter().all(is_one_of) && patterns.iter().all(fits_one_of)
    }

    /// The labels that a row has to have certain values of.
    pub fn labels(&self) -> impl Iterator<Item = L> {
        let values = self.values.iter().filter(|(_, values)| !values.is_empty());
        let patterns = self.patterns.iter().filter(|(_, globs)| !globs.is_empty());
        values.map(|(label, _)| *label).chain(patterns.map(|(label, _)| *label))
    }
}

/// Which ends a connection has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndFilter {
    /// An address of either end is in one of these; none matches all.
    pub networks: Vec<IpNet>,
    /// Either end has one of these; none matches all.
    pub ports: Vec<u16>,
}

impl EndFilter {
    /// Whether a connection with these ends is wanted. Address and port may be of different ends.
    pub fn matches(&self, ends: impl IntoIterator<Item = SocketAddr>) -> bool {
        let Self { networks, ports } = self;
        let (mut is_in, mut has_port) = (networks.is_empty(), ports.is_empty());
        for end in ends {
            is_in |= networks.iter().any(|network| network.contains(&end.ip()));
            has_port |= ports.contains(&end.port());
        }
        is_in && has_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::samples::dropped;

    #[test]
    fn every_part_has_to_match() {
        let row = dropped(1, "tcp_v4_rcv NO_SOCKET error tcp receive office wired", 1);
        let values = |label, values: &[&str]| DropFilter {
            values: vec![(label, values.iter().map(|value| String::from(*value)).collect())],
            ..DropFilter::default()
        };
        let patterns = |label, texts: &[&str]| DropFilter {
            patterns: vec![(label, texts.iter().map(|text| Glob::new(text).unwrap()).collect())],
            ..DropFilter::default()
        };
        for (filter, expected) in [
            (DropFilter::default(), true),
            (values(DropLabel::Subnet, &[]), true),
            (values(DropLabel::Subnet, &["lab", "office"]), true),
            (values(DropLabel::Subnet, &["lab"]), false),
            (patterns(DropLabel::Location, &["tcp_*"]), true),
            (patterns(DropLabel::Location, &["udp_*"]), false),
            (patterns(DropLabel::Reason, &["NO_SOCKET"]), true),
            (patterns(DropLabel::Reason, &["TCP_*", "NO_*"]), true),
            (patterns(DropLabel::Reason, &[]), true),
            (
                DropFilter {
                    patterns: patterns(DropLabel::Location, &["tcp_*"]).patterns,
                    ..values(DropLabel::Class, &["policy"])
                },
                false,
            ),
        ] {
            assert_eq!(filter.matches(|label| row.label(label)), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_value_is_allowed_by_what_is_asked_of_its_label() {
        let filter = DropFilter {
            values: vec![
                (DropLabel::Subnet, vec!["office".to_owned()]),
                (DropLabel::Class, Vec::new()),
            ],
            patterns: vec![(DropLabel::Reason, vec![Glob::new("TCP_*").unwrap()])],
        };
        for (label, value, expected) in [
            (DropLabel::Subnet, "office", true),
            (DropLabel::Subnet, "lab", false),
            (DropLabel::Class, "error", true),
            (DropLabel::Reason, "TCP_CSUM", true),
            (DropLabel::Reason, "NO_SOCKET", false),
            (DropLabel::Location, "tcp_v4_rcv", true),
        ] {
            assert_eq!(filter.allows(label, value), expected, "{value}");
        }
    }

    #[test]
    fn an_end_matches_by_address_and_port() {
        let ends = ["10.1.0.1:40000", "[2001:db8::1]:443"].map(|end| end.parse().unwrap());
        let matches = |networks: &[&str], ports: &[u16]| {
            let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
            EndFilter {
                networks,
                ports: ports.to_vec(),
            }
            .matches(ends)
        };
        assert!(matches(&[], &[]) && matches(&["10.1.0.0/24"], &[443]) && matches(&["::/0"], &[1, 40_000]));
        assert!(!matches(&["10.2.0.0/24"], &[443]) && !matches(&["10.1.0.0/24"], &[1]));
    }
}
