//! The ledger: what is counted belongs to the labels that are in force when it is counted, whatever they are later.
//!
//! Rows of the kernel's tables have totals. What a row has grown by since it was last posted goes to the label set that it
//! has now, so that after a reload the sum over all label sets is still the sum over all rows, and no label set falls.

use crate::snapshot::Group;
use common::drops::DropCount;
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    time::Duration,
};

/// What can be posted: totals that grow, and possibly something that holds for the moment only.
pub trait Total: Clone + Default + PartialEq {
    /// Raises every total to what it was before: a fold that is under way can show less for a moment.
    fn clamp(&mut self, before: &Self);
    /// How much the totals have grown since `before`; what holds for the moment stays.
    #[must_use]
    fn since(self, before: &Self) -> Self;
    fn merge(&mut self, more: &Self);
    /// Only the totals.
    #[must_use]
    fn without_moment(self) -> Self;
}

/// A total, and when it was zero, since 1970: then its series began.
#[derive(Clone, Debug, PartialEq)]
pub struct Aged<T> {
    pub since: Duration,
    pub total: T,
}

impl<T: Total> Aged<T> {
    /// Adds to what a label set has already: the sum of both began with the older one.
    pub(super) fn add_to<L: Ord>(&self, rows: &mut BTreeMap<L, Self>, labels: L) {
        match rows.entry(labels) {
            Entry::Occupied(entry) => {
                let sum = entry.into_mut();
                sum.since = sum.since.min(self.since);
                sum.total.merge(&self.total);
            }
            Entry::Vacant(entry) => {
                entry.insert(self.clone());
            }
        }
    }
}

/// Totals by label set.
#[derive(Debug)]
pub struct Ledger<L, T> {
    /// By row: the total that was posted.
    posted: HashMap<u64, T>,
    totals: BTreeMap<L, Aged<T>>,
    /// When this snapshot was taken and the one before, since 1970.
    now: Duration,
    before: Duration,
}

impl<L: Ord, T: Total> Ledger<L, T> {
    #[expect(
        clippy::new_without_default,
        reason = "an empty ledger is a beginning, not a default"
    )]
    pub fn new() -> Self {
        Self {
            posted: HashMap::new(),
            totals: BTreeMap::new(),
            now: Duration::ZERO,
            before: Duration::ZERO,
        }
    }

    /// Begins a snapshot of the time `now`, since 1970: what held for the moment of the last one is no more.
    pub fn begin(&mut self, now: Duration) {
        (self.before, self.now) = (self.now, now);
        for Aged { total, .. } in self.totals.values_mut() {
            *total = std::mem::take(total).without_moment();
        }
    }

    /// Posts the total of a row that began at `born` to `labels`; what grows while they are `None` counts for nobody.
    pub fn post(&mut self, row: u64, born: Duration, mut total: T, labels: Option<L>) {
        // What a row had before went to other labels, unless it is new.
        let since = if self.posted.contains_key(&row) {
            self.before
        } else {
            born
        };
        let posted = self.posted.entry(row).or_default();
        total.clamp(posted);
        if let Some(labels) = labels {
            let growth = total.clone().since(posted);
            match self.totals.entry(labels) {
                Entry::Occupied(entry) => entry.into_mut().total.merge(&growth),
                Entry::Vacant(entry) => {
                    entry.insert(Aged { since, total: growth });
                }
            }
        }
        *posted = total;
    }

    /// All label sets that something was posted to.
    pub const fn totals(&self) -> &BTreeMap<L, Aged<T>> {
        &self.totals
    }

    /// When the last snapshot was taken, since 1970.
    pub const fn now(&self) -> Duration {
        self.now
    }
}

impl Total for DropCount {
    fn clamp(&mut self, before: &Self) {
        Self::clamp(self, before);
    }

    fn since(self, before: &Self) -> Self {
        Self::since(self, before)
    }

    fn merge(&mut self, more: &Self) {
        Self::merge(self, more);
    }

    fn without_moment(self) -> Self {
        self
    }
}

impl Total for Group {
    fn clamp(&mut self, before: &Self) {
        // Only the fold writes samples: they do not fall.
        self.counters.clamp(&before.counters);
    }

    fn since(self, before: &Self) -> Self {
        let Self { counters, samples } = self;
        Self {
            counters: counters.since(&before.counters),
            samples: samples.since(&before.samples),
        }
    }

    fn merge(&mut self, more: &Self) {
        Self::merge(self, more);
    }

    fn without_moment(self) -> Self {
        let Self { counters, samples } = self;
        Self {
            counters,
            samples: samples.without_live(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::LabelSet;
    use std::sync::Arc;

    fn labels(name: &str) -> LabelSet {
        [(tcpvitals_config::TcpLabel::Subnet.label(), name.to_owned())].into()
    }

    fn packets(packets: u64) -> DropCount {
        DropCount {
            packets,
            bytes: 0,
            repeated: 0,
        }
    }

    /// Posts totals of rows to label sets, one after the other, and says what each label set then has.
    fn check(posts: &[(u64, u64, Option<&str>)], expected: &[(&str, u64)]) {
        let mut ledger = Ledger::new();
        for (row, total, name) in posts {
            ledger.post(*row, Duration::ZERO, packets(*total), name.map(labels));
        }
        let expected = expected.iter().map(|(name, total)| (labels(name), packets(*total)));
        let totals = ledger
            .totals()
            .iter()
            .map(|(labels, aged)| (Arc::clone(labels), aged.total));
        let totals: BTreeMap<_, _> = totals.collect();
        assert_eq!(totals, expected.collect(), "{posts:?}");
    }

    #[test]
    fn growth_goes_to_the_labels_of_its_time() {
        check(
            &[(1, 10, Some("a")), (2, 5, Some("a")), (1, 13, Some("a"))],
            &[("a", 18)],
        );
        check(
            &[(1, 10, Some("a")), (1, 13, Some("b")), (1, 14, Some("a"))],
            &[("a", 11), ("b", 3)],
        );
        check(&[(1, 10, Some("a")), (1, 13, None), (1, 14, Some("a"))], &[("a", 11)]);
    }

    #[test]
    fn a_total_that_is_less_for_a_moment_counts_again_when_it_is_more() {
        check(
            &[(1, 10, Some("a")), (1, 7, Some("b")), (1, 12, Some("b"))],
            &[("a", 10), ("b", 2)],
        );
    }

    #[test]
    fn a_label_set_begins_with_its_first_row_or_when_an_older_row_came_to_it() {
        let at = Duration::from_secs;
        let mut ledger = Ledger::new();
        ledger.begin(at(10));
        ledger.post(1, at(3), packets(5), Some(labels("a")));
        ledger.begin(at(20));
        ledger.post(1, at(3), packets(6), Some(labels("b")));
        ledger.post(2, at(15), packets(1), Some(labels("a")));
        ledger.post(3, at(16), packets(1), Some(labels("c")));
        let since = |name| ledger.totals().get(&labels(name)).map(|aged| aged.since);
        assert_eq!(["a", "b", "c"].map(since), [Some(at(3)), Some(at(10)), Some(at(16))]);
    }

    #[test]
    fn what_holds_for_the_moment_is_that_of_the_last_snapshot() {
        let live = |live| {
            let mut group = Group::default();
            group.samples.live = live;
            group
        };
        let mut ledger = Ledger::new();
        let at = Duration::from_secs;
        ledger.begin(at(10));
        ledger.post(1, at(1), live(3), Some(labels("a")));
        ledger.post(2, at(2), live(4), Some(labels("a")));
        ledger.begin(at(20));
        ledger.post(1, at(1), live(2), Some(labels("b")));
        let live = |name| ledger.totals().get(&labels(name)).map(|aged| aged.total.samples.live);
        assert_eq!((live("a"), live("b")), (Some(0), Some(2)));
    }
}
