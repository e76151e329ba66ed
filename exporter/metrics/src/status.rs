//! How the exporter does, in a few numbers: what `/api/v1/status` says besides what the plan says.
//!
//! Pure: from a snapshot and what was made of it.

use crate::{
    families::{Accessor, Families, Metric, Value},
    snapshot::{Exporter, Snapshot},
};
use common::{
    drops::DropSource,
    map::lost::{Lost, Misses},
};
use std::collections::BTreeMap;

/// The numbers of one collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What the kernel side could not do, by [`Lost`].
    pub lost: [u64; Lost::COUNT],
    /// Runs that the kernel skipped, by program.
    pub misses: BTreeMap<&'static str, Misses>,
    /// Label sets that the series cap refused, by the metrics that they are of: `tcp` or `drops`.
    pub refused: BTreeMap<String, u64>,
    /// Slots taken by groups, and how many there are.
    pub groups: (u64, u64),
    /// The same of drops.
    pub drops: (u64, u64),
    /// Series in the exposition.
    pub series: u64,
    /// What the exporter knows of itself.
    pub exporter: Exporter,
}

impl Status {
    /// Of a snapshot and its families.
    pub fn new(snapshot: &Snapshot, families: &Families) -> Self {
        let Snapshot {
            groups,
            drops,
            lost,
            misses,
            capacity,
            exporter,
            ..
        } = snapshot;
        let taken = |taken: usize| taken as u64;
        let refused = points(families, |metric| matches!(metric.source, Accessor::SeriesOverflow));
        let series = points(families, |metric| matches!(metric.source, Accessor::Series));
        Self {
            lost: *lost,
            misses: misses.clone(),
            refused: refused.collect(),
            groups: (
                taken(groups.iter().filter(|row| row.key.is_some()).count()),
                u64::from(capacity.groups - 1),
            ),
            drops: (
                taken(drops.iter().filter(|row| row.key.1.is_some()).count()),
                u64::from(capacity.drops - DropSource::OTHER_SLOTS),
            ),
            series: series.map(|(_, value)| value).sum(),
            exporter: exporter.clone(),
        }
    }
}

/// The values of one metric by the value of its own label.
fn points(families: &Families, which: impl Fn(&Metric) -> bool) -> impl Iterator<Item = (String, u64)> {
    let family = families.0.iter().find(|family| which(family.metric));
    let points = family.map(|family| family.points.as_slice()).unwrap_or_default();
    points.iter().map(|point| {
        let own = point.own.first().map(|(_, value)| value.clone()).unwrap_or_default();
        let value = match &point.value {
            Value::Count(count) => *count,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number of series"
            )]
            Value::Number(number) => *number as u64,
            Value::CpuTime(time) => (time.user + time.system) / 1_000_000_000,
            Value::Histogram(histogram) => histogram.count(),
        };
        (own, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        families,
        labels::Labelling,
        snapshot::tests::{row, snapshot},
    };
    use common::drops::DropCount;
    use tcpvitals_config::{Config, numbering::Numbering};

    #[test]
    fn rows_other_take_no_slot_of_the_tables() {
        let mut snapshot = snapshot();
        snapshot.drops = vec![row(0, (DropSource::Software, None), DropCount::default())];
        snapshot.lost = [1, 2, 3, 4, 5, 6, 7];
        let config = Config::built_in();
        let mut labelling = Labelling::new(&config, &Numbering::new(&config));
        labelling.post(&snapshot);
        let families = families::of_view(&mut labelling, &snapshot, &config.shown);
        let status = Status::new(&snapshot, &families);
        assert_eq!((status.groups, status.drops), ((0, 15), (0, 13)));
        assert_eq!(status.lost, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(status.refused, [("drops".to_owned(), 0), ("tcp".to_owned(), 0)].into());
        let series: usize = families.0.iter().map(|family| family.points.len()).sum();
        assert_eq!(status.series, series as u64);
    }
}
