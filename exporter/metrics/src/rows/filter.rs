//! Which drops are wanted: rows of the command `drops` and of the API, and packets of `capture`.

use tcpvitals_config::{DropLabel, Glob};

/// Drops match when they match every part; a part without values matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropFilter {
    /// The value of a label is one of these.
    pub values: Vec<(DropLabel, Vec<String>)>,
    /// A label fits one of these patterns, as the configuration has them.
    pub patterns: Vec<(DropLabel, Vec<Glob>)>,
}

impl DropFilter {
    /// Whether a drop with these labels is wanted.
    pub fn matches<'a>(&self, value_of: impl Fn(DropLabel) -> &'a str) -> bool {
        let Self { values, patterns } = self;
        let is_one_of = |(label, values): &(DropLabel, Vec<String>)| {
            values.is_empty() || values.iter().any(|value| value == value_of(*label))
        };
        let fits_one_of = |(label, globs): &(DropLabel, Vec<Glob>)| {
            globs.is_empty() || globs.iter().any(|glob| glob.matches(value_of(*label)))
        };
        values.iter().all(is_one_of) && patterns.iter().all(fits_one_of)
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
}
