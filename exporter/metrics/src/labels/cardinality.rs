//! The series cap: label sets that do not fit fold into `other`, and the sum over all series stays what it was.
//!
//! Admission is sticky. A label set that was shown stays, and what was counted while it was refused stays in `other`, so
//! that neither it nor `other` ever falls.

use crate::labels::ledger::{Aged, Total};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

/// What was admitted so far. A series is one metric of one label set; a histogram counts as one.
#[derive(Debug)]
pub struct Cardinality<L, T> {
    limit: usize,
    used: usize,
    /// Since when it is shown, as others were told first.
    admitted: HashMap<L, Duration>,
    refused: HashSet<L>,
    refusals: usize,
    /// By label set: what was counted in `other` before the limit was raised, and when that was.
    settled: BTreeMap<L, Aged<T>>,
}

impl<L: Clone + Eq + Hash + Ord, T: Total> Cardinality<L, T> {
    /// Room for `limit` series.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            admitted: HashMap::new(),
            refused: HashSet::new(),
            refusals: 0,
            settled: BTreeMap::new(),
        }
    }

    /// Folds the rows whose label set is not admitted into the row `other` of that label set; a label set costs `cost` series.
    pub fn cap(
        &mut self,
        mut rows: BTreeMap<L, Aged<T>>,
        cost: usize,
        other: impl Fn(&L) -> L,
    ) -> BTreeMap<L, Aged<T>> {
        let mut shown: BTreeMap<L, Aged<T>> = BTreeMap::new();
        for (labels, Aged { since, total }) in &self.settled {
            if let Some(row) = rows.get_mut(labels) {
                row.since = *since;
                row.total = std::mem::take(&mut row.total).since(total);
                of_old(total.clone()).add_to(&mut shown, other(labels));
            }
        }
        for (labels, row) in rows {
            let other = other(&labels);
            match self.admits(&labels, row.since, cost, &other) {
                Some(since) => Aged { since, ..row }.add_to(&mut shown, labels),
                None => of_old(row.total).add_to(&mut shown, other),
            }
        }
        shown
    }

    /// Changes the limit. If there is more room now, what was refused can come in with what it counts from now on;
    /// `rows` is what was counted until `now`. Nothing that was admitted goes.
    pub fn limit(&mut self, limit: usize, rows: &BTreeMap<L, Aged<T>>, now: Duration) {
        if limit > self.limit {
            for labels in self.refused.drain() {
                if let Some(row) = rows.get(&labels) {
                    let total = row.total.clone().without_moment();
                    self.settled.insert(labels, Aged { since: now, total });
                }
            }
        }
        self.limit = limit;
    }

    /// How often a label set was refused.
    pub const fn refusals(&self) -> usize {
        self.refusals
    }

    /// Since when a label set is shown, if it is.
    fn admits(&mut self, labels: &L, since: Duration, cost: usize, other: &L) -> Option<Duration> {
        if labels == other {
            return Some(Duration::ZERO);
        }
        if let Some(since) = self.admitted.get(labels) {
            return Some(*since);
        }
        if self.refused.contains(labels) {
            return None;
        }
        if self.used + cost > self.limit {
            self.refused.insert(labels.clone());
            self.refusals += 1;
            return None;
        }
        self.used += cost;
        self.admitted.insert(labels.clone(), since);
        Some(since)
    }
}

/// What is in `other`, which is as old as the exporter.
const fn of_old<T>(total: T) -> Aged<T> {
    Aged {
        since: Duration::ZERO,
        total,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::drops::DropCount;
    use proptest::prelude::*;

    const OTHER: u32 = u32::MAX;

    const NOW: Duration = Duration::from_secs(100);

    fn aged(since: u64, packets: u64) -> Aged<DropCount> {
        Aged {
            since: Duration::from_secs(since),
            total: DropCount {
                packets,
                bytes: 0,
                repeated: 0,
            },
        }
    }

    /// Label sets that began in the second of their number, but for `OTHER`.
    fn rows(counts: impl IntoIterator<Item = (u32, u64)>) -> BTreeMap<u32, Aged<DropCount>> {
        let counts = counts.into_iter();
        let row = |(label, packets): (u32, u64)| {
            let since = if label == OTHER { 0 } else { label.into() };
            (label, aged(since, packets))
        };
        counts.map(row).collect()
    }

    #[test]
    fn what_exceeds_the_limit_is_in_other_and_counted() {
        let mut cardinality = Cardinality::new(20);
        let shown = cardinality.cap(rows((0..5).map(|label| (label, 10 + u64::from(label)))), 10, |_| OTHER);
        assert_eq!(shown, rows([(0, 10), (1, 11), (OTHER, 12 + 13 + 14)]));
        assert_eq!(cardinality.refusals(), 3);
    }

    #[test]
    fn a_higher_limit_admits_what_is_counted_from_then_on() {
        let mut cardinality = Cardinality::new(10);
        let before = rows([(0, 5), (1, 7)]);
        assert_eq!(
            cardinality.cap(before.clone(), 10, |_| OTHER),
            rows([(0, 5), (OTHER, 7)])
        );
        cardinality.limit(20, &before, NOW);
        let admitted_later = |counts: &[(u32, u64)], later: u64| {
            let mut rows = rows(counts.iter().copied());
            rows.insert(1, aged(NOW.as_secs(), later));
            rows
        };
        assert_eq!(
            cardinality.cap(rows([(0, 6), (1, 9)]), 10, |_| OTHER),
            admitted_later(&[(0, 6), (OTHER, 7)], 2)
        );
        cardinality.limit(10, &rows([(0, 6), (1, 9)]), NOW);
        assert_eq!(
            cardinality.cap(rows([(0, 6), (1, 10), (2, 1)]), 10, |_| OTHER),
            admitted_later(&[(0, 6), (OTHER, 8)], 3)
        );
    }

    proptest! {
        #[test]
        fn sums_stay_and_no_series_falls(
            limits in prop::collection::vec(0usize..60, 8),
            collections in prop::collection::vec(prop::collection::btree_map(0u32..20, 1u64..1000, 0..20), 1..8),
        ) {
            let mut cardinality = Cardinality::new(limits[0]);
            let mut counted: BTreeMap<u32, u64> = BTreeMap::new();
            let mut before: BTreeMap<u32, Aged<DropCount>> = BTreeMap::new();
            let mut most = 0;
            for (limit, growth) in limits.into_iter().zip(collections) {
                cardinality.limit(limit, &rows(counted.clone()), NOW);
                most = most.max(limit);
                for (label, more) in growth {
                    *counted.entry(label).or_default() += more;
                }
                let shown = cardinality.cap(rows(counted.clone()), 3, |_| OTHER);
                prop_assert_eq!(shown.values().map(|row| row.total.packets).sum::<u64>(), counted.values().sum::<u64>());
                prop_assert!(shown.keys().filter(|label| **label != OTHER).count() * 3 <= most);
                for (label, value) in &before {
                    prop_assert!(shown.get(label).is_some_and(|now| now.total.packets >= value.total.packets), "{} fell", label);
                    prop_assert_eq!(shown.get(label).map(|now| now.since), Some(value.since));
                }
                before = shown;
            }
        }
    }
}
