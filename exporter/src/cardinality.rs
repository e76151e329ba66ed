//! The series cap: label sets that do not fit fold into `other`, and the sum over all series stays what it was.
//!
//! Admission is sticky. A label set that was shown stays, and one that was refused stays refused, so that neither it nor
//! `other` ever falls.

use std::{
    collections::{BTreeMap, HashSet},
    hash::Hash,
};

/// What was admitted so far. A series is one metric of one label set; a histogram counts as one.
#[derive(Debug)]
pub struct Cardinality<L> {
    limit: usize,
    used: usize,
    admitted: HashSet<L>,
    refused: HashSet<L>,
}

impl<L: Clone + Eq + Hash + Ord> Cardinality<L> {
    /// Room for `limit` series.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            admitted: HashSet::new(),
            refused: HashSet::new(),
        }
    }

    /// Folds the rows whose label set is not admitted into the row `other`; a label set costs `cost` series.
    pub fn cap<T>(
        &mut self,
        rows: BTreeMap<L, T>,
        cost: usize,
        other: &L,
        merge: impl Fn(&mut T, &T),
    ) -> BTreeMap<L, T> {
        let mut shown = BTreeMap::new();
        for (labels, row) in rows {
            let labels = if self.admits(&labels, cost, other) {
                labels
            } else {
                other.clone()
            };
            match shown.get_mut(&labels) {
                Some(sum) => merge(sum, &row),
                None => {
                    shown.insert(labels, row);
                }
            }
        }
        shown
    }

    /// Number of label sets that were refused so far.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    fn admits(&mut self, labels: &L, cost: usize, other: &L) -> bool {
        if labels == other || self.admitted.contains(labels) {
            return true;
        }
        if self.refused.contains(labels) || self.used + cost > self.limit {
            self.refused.insert(labels.clone());
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
    use proptest::prelude::*;

    const OTHER: u32 = u32::MAX;

    fn cap(cardinality: &mut Cardinality<u32>, rows: &BTreeMap<u32, u64>, cost: usize) -> BTreeMap<u32, u64> {
        cardinality.cap(rows.clone(), cost, &OTHER, |sum, more| *sum += more)
    }

    #[test]
    fn what_exceeds_the_limit_is_in_other_and_counted() {
        let mut cardinality = Cardinality::new(20);
        let rows = (0..5).map(|label| (label, 10 + u64::from(label))).collect();
        let shown = cap(&mut cardinality, &rows, 10);
        assert_eq!(shown, BTreeMap::from([(0, 10), (1, 11), (OTHER, 12 + 13 + 14)]));
        assert_eq!(cardinality.refused(), 3);
    }

    proptest! {
        #[test]
        fn sums_stay_and_no_series_falls(
            limit in 0usize..60,
            collections in prop::collection::vec(prop::collection::btree_map(0u32..20, 1u64..1000, 0..20), 1..8),
        ) {
            let mut cardinality = Cardinality::new(limit);
            let mut rows: BTreeMap<u32, u64> = BTreeMap::new();
            let mut before: BTreeMap<u32, u64> = BTreeMap::new();
            for growth in collections {
                for (label, more) in growth {
                    *rows.entry(label).or_default() += more;
                }
                let shown = cap(&mut cardinality, &rows, 3);
                prop_assert_eq!(shown.values().sum::<u64>(), rows.values().sum::<u64>());
                prop_assert!(shown.keys().filter(|label| **label != OTHER).count() * 3 <= limit);
                for (label, value) in &before {
                    prop_assert!(shown.get(label).is_some_and(|now| now >= value), "{} fell", label);
                }
                before = shown;
            }
        }
    }
}
