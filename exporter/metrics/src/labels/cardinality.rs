//! The series cap: label sets that do not fit fold into `other`, and the sum over all series stays what it was.
//!
//! Admission is sticky. A label set that was shown stays, and what was counted while it was refused stays in `other`, so
//! that neither it nor `other` ever falls.

use crate::labels::ledger::Total;
use std::{
    collections::{BTreeMap, HashSet},
    hash::Hash,
};

/// What was admitted so far. A series is one metric of one label set; a histogram counts as one.
#[derive(Debug)]
pub struct Cardinality<L, T> {
    limit: usize,
    used: usize,
    admitted: HashSet<L>,
    refused: HashSet<L>,
    refusals: usize,
    /// By label set: what was counted in `other` before the limit was raised.
    settled: BTreeMap<L, T>,
}

impl<L: Clone + Eq + Hash + Ord, T: Total> Cardinality<L, T> {
    /// Room for `limit` series.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            admitted: HashSet::new(),
            refused: HashSet::new(),
            refusals: 0,
            settled: BTreeMap::new(),
        }
    }

    /// Folds the rows whose label set is not admitted into the row `other` of that label set; a label set costs `cost` series.
    pub fn cap(&mut self, mut rows: BTreeMap<L, T>, cost: usize, other: impl Fn(&L) -> L) -> BTreeMap<L, T> {
        for (labels, settled) in &self.settled {
            if let Some(row) = rows.get_mut(labels) {
                *row = std::mem::take(row).since(settled);
                rows.entry(other(labels)).or_default().merge(settled);
            }
        }
        let mut shown: BTreeMap<L, T> = BTreeMap::new();
        for (labels, row) in rows {
            let other = other(&labels);
            let labels = if self.admits(&labels, cost, &other) {
                labels
            } else {
                other
            };
            match shown.get_mut(&labels) {
                Some(sum) => sum.merge(&row),
                None => {
                    shown.insert(labels, row);
                }
            }
        }
        shown
    }

    /// Changes the limit. If there is more room now, what was refused can come in with what it counts from now on;
    /// `rows` is what was counted until now. Nothing that was admitted goes.
    pub fn limit(&mut self, limit: usize, rows: &BTreeMap<L, T>) {
        if limit > self.limit {
            for labels in self.refused.drain() {
                if let Some(row) = rows.get(&labels) {
                    self.settled.insert(labels, row.clone().without_moment());
                }
            }
        }
        self.limit = limit;
    }

    /// How often a label set was refused.
    pub const fn refusals(&self) -> usize {
        self.refusals
    }

    fn admits(&mut self, labels: &L, cost: usize, other: &L) -> bool {
        if labels == other || self.admitted.contains(labels) {
            return true;
        }
        if self.refused.contains(labels) {
            return false;
        }
        if self.used + cost > self.limit {
            self.refused.insert(labels.clone());
            self.refusals += 1;
            return false;
        }
        self.used += cost;
        self.admitted.insert(labels.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::drops::DropCount;
    use proptest::prelude::*;

    const OTHER: u32 = u32::MAX;

    fn rows(counts: impl IntoIterator<Item = (u32, u64)>) -> BTreeMap<u32, DropCount> {
        let counts = counts.into_iter();
        counts
            .map(|(label, packets)| (label, DropCount { packets, bytes: 0 }))
            .collect()
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
        cardinality.limit(20, &before);
        assert_eq!(
            cardinality.cap(rows([(0, 6), (1, 9)]), 10, |_| OTHER),
            rows([(0, 6), (1, 2), (OTHER, 7)])
        );
        cardinality.limit(10, &rows([(0, 6), (1, 9)]));
        assert_eq!(
            cardinality.cap(rows([(0, 6), (1, 10), (2, 1)]), 10, |_| OTHER),
            rows([(0, 6), (1, 3), (OTHER, 8)])
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
            let mut before: BTreeMap<u32, DropCount> = BTreeMap::new();
            let mut most = 0;
            for (limit, growth) in limits.into_iter().zip(collections) {
                cardinality.limit(limit, &rows(counted.clone()));
                most = most.max(limit);
                for (label, more) in growth {
                    *counted.entry(label).or_default() += more;
                }
                let shown = cardinality.cap(rows(counted.clone()), 3, |_| OTHER);
                prop_assert_eq!(shown.values().map(|row| row.packets).sum::<u64>(), counted.values().sum::<u64>());
                prop_assert!(shown.keys().filter(|label| **label != OTHER).count() * 3 <= most);
                for (label, value) in &before {
                    prop_assert!(shown.get(label).is_some_and(|now| now.packets >= value.packets), "{} fell", label);
                }
                before = shown;
            }
        }
    }
}
