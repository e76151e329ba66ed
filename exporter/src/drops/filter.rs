//! Which rows of drops are wanted.

use super::Dropped;
use crate::config::{DropLabel, Glob};
use common::drops::DropSource;

/// Rows match when they match every part; a part without values matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who says that it was dropped.
    pub source: Option<DropSource>,
    /// The value of a label is one of these.
    pub values: Vec<(DropLabel, Vec<String>)>,
    /// A label fits a pattern, as the configuration has them.
    pub patterns: Vec<(DropLabel, Glob)>,
}

impl Filter {
    /// Whether a row is wanted.
    pub fn matches(&self, row: &Dropped) -> bool {
        let Self {
            source,
            values,
            patterns,
        } = self;
        let is_one_of = |(label, values): &(DropLabel, Vec<String>)| {
            values.is_empty() || values.iter().any(|value| value == row.label(*label))
        };
        source.is_none_or(|source| source == row.source)
            && values.iter().all(is_one_of)
            && patterns.iter().all(|(label, glob)| glob.matches(row.label(*label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::tests::dropped;

    #[test]
    fn every_part_has_to_match() {
        let row = dropped(1, "tcp_v4_rcv NO_SOCKET error tcp receive office wired", 1);
        let values = |label, values: &[&str]| Filter {
            values: vec![(label, values.iter().map(|value| String::from(*value)).collect())],
            ..Filter::default()
        };
        let pattern = |label, text| Filter {
            patterns: vec![(label, Glob::new(text).unwrap())],
            ..Filter::default()
        };
        for (filter, expected) in [
            (Filter::default(), true),
            (values(DropLabel::Subnet, &[]), true),
            (values(DropLabel::Subnet, &["lab", "office"]), true),
            (values(DropLabel::Subnet, &["lab"]), false),
            (pattern(DropLabel::Location, "tcp_*"), true),
            (pattern(DropLabel::Location, "udp_*"), false),
            (pattern(DropLabel::Reason, "NO_SOCKET"), true),
            (
                Filter {
                    source: Some(DropSource::Xdp),
                    ..Filter::default()
                },
                false,
            ),
            (
                Filter {
                    patterns: pattern(DropLabel::Location, "tcp_*").patterns,
                    ..values(DropLabel::Class, &["policy"])
                },
                false,
            ),
        ] {
            assert_eq!(filter.matches(&row), expected, "{filter:?}");
        }
    }
}
