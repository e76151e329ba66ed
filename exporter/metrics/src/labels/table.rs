//! What was counted by all labels, and how views show it by some of them.

use super::{
    cardinality::Cardinality,
    ledger::{Aged, Ledger, Total},
    names::LabelSet,
};
use common::drops::DropSource;
use std::{collections::BTreeMap, hash::Hash, sync::Arc};
use tcpvitals_config::label::Label;

/// Names of the labels that are shown, in the order of the documentation.
pub(super) type Shown = Vec<&'static Label>;

/// What was counted by all labels, and how it is shown by some of them.
#[derive(Debug)]
pub(super) struct LabelTable<L, T> {
    pub(super) ledger: Ledger<L, T>,
    /// By the view and the labels that it showed or shows: their series have names of their own.
    views: BTreeMap<(String, Shown), Cardinality<L, T>>,
}

/// What tells rows apart, some of it by labels.
pub(super) trait RowLabels: Clone + Eq + Hash + Ord {
    fn labels(&self) -> &LabelSet;
    /// The same with other labels.
    #[must_use]
    fn with(&self, labels: LabelSet) -> Self;
}

impl RowLabels for LabelSet {
    fn labels(&self) -> &LabelSet {
        self
    }

    fn with(&self, labels: LabelSet) -> Self {
        labels
    }
}

impl RowLabels for (LabelSet, DropSource) {
    fn labels(&self) -> &LabelSet {
        &self.0
    }

    fn with(&self, labels: LabelSet) -> Self {
        (labels, self.1)
    }
}

impl<L: RowLabels, T: Total> LabelTable<L, T> {
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::new(),
            views: BTreeMap::new(),
        }
    }

    pub(super) fn show(
        &mut self,
        view: &str,
        shown: Shown,
        limit: usize,
        cost: usize,
        other: &LabelSet,
    ) -> BTreeMap<L, Aged<T>> {
        let (rows, other) = (self.rows(&shown), project(other, &shown));
        let view = self.views.entry((view.to_owned(), shown));
        let view = view.or_insert_with(|| Cardinality::new(limit));
        view.cap(rows, cost, |refused| refused.with(Arc::clone(&other)))
    }

    /// Gives each view its limit; one without is no more.
    pub(super) fn limit(&mut self, limit: impl Fn(&str) -> Option<usize>) {
        let known: Vec<(String, Shown)> = self.views.keys().cloned().collect();
        for known in known {
            let (name, shown) = &known;
            let Some(limit) = limit(name) else {
                self.views.remove(&known);
                continue;
            };
            let rows = self.rows(shown);
            if let Some(view) = self.views.get_mut(&known) {
                view.limit(limit, &rows, self.ledger.now());
            }
        }
    }

    /// Merges what does not differ in the labels that are shown.
    fn rows(&self, shown: &Shown) -> BTreeMap<L, Aged<T>> {
        let mut rows: BTreeMap<L, Aged<T>> = BTreeMap::new();
        for (row, aged) in self.ledger.totals() {
            aged.add_to(&mut rows, row.with(project(row.labels(), shown)));
        }
        rows
    }

    pub(super) fn refusals(&self, view: &str) -> usize {
        let of_view = self.views.iter().filter(|((name, _), _)| name == view);
        of_view.map(|(_, cardinality)| cardinality.refusals()).sum()
    }
}

fn project(labels: &LabelSet, shown: &Shown) -> LabelSet {
    if labels.len() == shown.len() {
        return Arc::clone(labels);
    }
    let kept = labels.iter().filter(|(name, _)| shown.contains(name));
    kept.cloned().collect()
}
