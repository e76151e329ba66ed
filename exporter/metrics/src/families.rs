//! Metric families: the metric table applied to a labelled snapshot. Both exporters read the result and nothing else.
//!
//! - `metric`, `value`: what a metric is, and what it may say; `table`: every metric
//! - `build`: families of a snapshot; `choice`: what a view shows of them; `cost`: how many series a label set takes
//! - `semantic`, `reference`: names over OTLP; the reference page; `readers`: which rules and dashboards read a metric

mod blind;
mod build;
mod choice;
mod cost;
mod metric;
mod readers;
pub mod reference;
pub mod semantic;
mod table;
mod value;

pub use crate::number::{number, seconds};
pub use build::{Families, Family, Point, of_view};
pub(crate) use choice::buckets_of;
pub use choice::check;
pub use cost::cost;
pub use metric::{Accessor, Kind, Metric, PREFIX, Points, Scope, Unit};
pub use readers::missed;
pub use table::METRICS;
pub use value::{HistogramValue, Value};

#[cfg(test)]
mod tests {
    use super::*;
    use common::{kernel::fields::FIELDS, map::lost::Lost, tcp::group::Counter};
    use std::collections::HashSet;
    use tcpvitals_config::ClassicBuckets;

    #[test]
    fn every_counter_of_a_group_has_exactly_one_series() {
        let mut shown = Vec::new();
        for metric in METRICS {
            if let Accessor::Counters(points) | Accessor::Jiffies(points) = metric.source {
                shown.extend(points.iter().map(|(_, counter)| *counter));
            }
        }
        let distinct: HashSet<Counter> = shown.iter().copied().collect();
        assert_eq!(shown.len(), Counter::COUNT);
        assert_eq!(distinct.len(), Counter::COUNT);
    }

    #[test]
    fn every_loss_has_exactly_one_series() {
        let mut shown: Vec<usize> = Vec::new();
        for metric in METRICS {
            if let Accessor::Lost(points) = metric.source {
                shown.extend(points.iter().map(|(_, lost)| *lost as usize));
            }
        }
        shown.sort_unstable();
        assert_eq!(shown, (0..Lost::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn entries_are_well_formed() {
        let mut names = HashSet::new();
        for metric in METRICS {
            let name = metric.full_name();
            assert!(names.insert(name.clone()), "{name} twice");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
            assert!(!metric.name.ends_with("_total"), "{name}");
            assert!(
                !metric.help.is_empty() && !metric.help.ends_with('.') && !metric.help.contains('\n'),
                "{name}"
            );
            assert!(!metric.from.is_empty(), "{name}");
            assert_eq!(
                metric.kind == Kind::Histogram,
                matches!(metric.source, Accessor::GroupHistogram(_)),
                "{name}"
            );
            for field in metric.fields {
                assert!(FIELDS.iter().any(|known| known.global == *field), "{name}: {field}");
            }
            if let Accessor::Counters(points) | Accessor::Jiffies(points) = metric.source {
                assert!(
                    points.iter().all(|(values, _)| values.len() == metric.labels.len()),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn classic_buckets_are_the_powers_of_two_among_the_native_ones() {
        let value = HistogramValue {
            sum: 1.0,
            schema: 2,
            first: -2,
            buckets: vec![1, 2, 4, 8, 16, 32, 64, 128],
        };
        // Exponents -2 to 5 in quarters: 0 and 4 are powers of two.
        assert_eq!(
            value.classic(&ClassicBuckets::All),
            [(1.0, 1 + 2 + 4), (2.0, 8 + 16 + 32 + 64), (f64::INFINITY, 128)]
        );
        let up_to = |bounds: &[f64]| value.classic(&ClassicBuckets::UpTo(bounds.to_vec()));
        assert_eq!(up_to(&[]), [(f64::INFINITY, 255)]);
        assert_eq!(up_to(&[2.0]), [(2.0, 127), (f64::INFINITY, 128)]);
        assert_eq!(value.count(), 255);
    }
}
