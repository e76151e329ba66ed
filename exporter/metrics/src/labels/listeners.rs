//! Listeners by their labels: those of flows that a listener has too, in a share of the series of their own.
//! Their values are those of the moment, so only the admitted and the refused label sets are remembered.

use super::{
    cardinality::Cardinality,
    ledger::{Aged, Total},
    names::{KeyNames, LabelSet, OTHER},
    table::Shown,
};
use crate::snapshot::Snapshot;
use common::tcp::{
    accept_queue::{AcceptQueues, ListenerKey},
    group::GroupKey,
};
use std::{collections::BTreeMap, time::Duration};
use tcpvitals_config::{TcpLabel, View};

/// The labels of listeners.
pub const LABELS: [TcpLabel; 4] = [
    TcpLabel::AppProtocol,
    TcpLabel::Workload,
    TcpLabel::WorkloadKind,
    TcpLabel::WorkloadNamespace,
];

/// Which label sets are shown, by view.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    views: BTreeMap<(String, Shown), Cardinality<LabelSet, AcceptQueues>>,
}

impl Listeners {
    /// Rows as a view shows them; a label set takes `cost` series there.
    pub(super) fn show(
        &mut self,
        view: &View,
        shown: &[TcpLabel],
        rows: BTreeMap<LabelSet, Aged<AcceptQueues>>,
        cost: usize,
        other: &LabelSet,
    ) -> BTreeMap<LabelSet, Aged<AcceptQueues>> {
        let names = shown.iter().map(|label| label.label()).collect();
        let admitted = self
            .views
            .entry((view.name.clone(), names))
            .or_insert_with(|| Cardinality::new(limit(view)));
        admitted.cap(rows, cost, |_| LabelSet::clone(other))
    }

    /// Gives each view its limit; one without is no more.
    pub(super) fn limit(&mut self, limit: impl Fn(&str) -> Option<usize>) {
        self.views.retain(|(view, _), cardinality| {
            let limit = limit(view);
            if let Some(limit) = limit {
                // Nothing of a listener adds up, so nothing has to be settled.
                cardinality.limit(limit, &BTreeMap::new(), Duration::ZERO);
            }
            limit.is_some()
        });
    }

    pub(super) fn refusals(&self, view: &str) -> usize {
        let of_view = self.views.iter().filter(|((name, _), _)| name == view);
        of_view.map(|(_, cardinality)| cardinality.refusals()).sum()
    }
}

/// Series of listeners in a view: those of 125 label sets in ten thousand.
pub(super) const fn limit(view: &View) -> usize {
    view.series / 20
}

/// The listeners of a snapshot by some of their labels.
pub(super) fn rows(
    names: &impl KeyNames,
    snapshot: &Snapshot,
    shown: &[TcpLabel],
) -> BTreeMap<LabelSet, Aged<AcceptQueues>> {
    let mut rows = BTreeMap::new();
    for (key, queues) in &snapshot.listeners {
        let total = *queues;
        let since = Duration::ZERO;
        Aged { since, total }.add_to(&mut rows, of_listener(names, *key, shown));
    }
    rows
}

/// Some labels of a listener; without a key they are all `other`.
pub(super) fn of_listener(names: &impl KeyNames, key: Option<ListenerKey>, shown: &[TcpLabel]) -> LabelSet {
    let key = key.map(|ListenerKey { protocol, workload }| GroupKey {
        protocol,
        workload,
        ..GroupKey::default()
    });
    let value = |label: TcpLabel| {
        key.as_ref()
            .map_or_else(|| OTHER.to_owned(), |key| names.value(label, key))
    };
    shown.iter().map(|label| (label.label(), value(*label))).collect()
}

impl Total for AcceptQueues {
    fn clamp(&mut self, _before: &Self) {}

    fn since(self, _before: &Self) -> Self {
        self
    }

    fn merge(&mut self, more: &Self) {
        Self::merge(self, more);
    }

    fn without_moment(self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{families, labels::Labelling, snapshot::tests::snapshot};
    use tcpvitals_config::{Config, numbering::Numbering};

    fn config(yaml: &str) -> Config {
        Config::from_yaml(yaml, "test.yaml").unwrap()
    }

    /// Number and sum of what is shown of listeners of so many ports, by their labels.
    fn shown(yaml: &str, ports: u16) -> BTreeMap<String, u64> {
        let config = config(yaml);
        show(&mut Labelling::new(&config, &Numbering::new(&config)), &config, ports)
    }

    fn show(labelling: &mut Labelling, config: &Config, ports: u16) -> BTreeMap<String, u64> {
        let mut snapshot = snapshot();
        let one = AcceptQueues {
            listeners: 1,
            ..AcceptQueues::default()
        };
        let key = |protocol| Some(ListenerKey { protocol, workload: 0 });
        snapshot.listeners = (0..ports).map(|protocol| (key(protocol), one)).collect();
        let cost = families::cost(&config.shown.metrics);
        let rows = labelling.of_listeners(&snapshot, &config.shown, cost.listener);
        rows.into_iter()
            .map(|(labels, Aged { total, .. })| {
                let values: Vec<&str> = labels.iter().map(|(_, value)| value.as_str()).collect();
                (values.join(" "), total.listeners)
            })
            .collect()
    }

    #[test]
    fn listeners_have_the_labels_of_flows_that_they_can_have() {
        let names = shown("{}", 3);
        assert_eq!((names.len(), names["other"]), (3, 1), "{names:?}");
        assert_eq!(shown("labels: {tcp: [subnet, role]}", 3), [(String::new(), 3)].into());
    }

    #[test]
    fn listeners_beyond_their_share_of_the_series_are_other() {
        // Twenty series in all for each of four metrics: one label set.
        let names = shown("limits: {series: 100}", 9);
        assert_eq!(names.values().sum::<u64>(), 9);
        assert_eq!((names.len(), names["other"]), (2, 8), "{names:?}");
    }

    #[test]
    fn a_reload_neither_forgets_nor_repeats_that_listeners_were_refused() {
        let small = config("limits: {series: 100}");
        let mut labelling = Labelling::new(&small, &Numbering::new(&small));
        let mut after = |yaml: &str| {
            let config = config(yaml);
            labelling.configure(&config, &Numbering::new(&config));
            let before = labelling.listeners.refusals("");
            let shown = show(&mut labelling, &config, 9).len();
            (before, shown, labelling.listeners.refusals(""))
        };
        assert_eq!(after("limits: {series: 100}"), (0, 2, 7));
        assert_eq!(after("{limits: {series: 100}, labels: {drops: []}}"), (7, 2, 7));
        assert_eq!(after("{}"), (7, 9, 7));
        assert_eq!(after("limits: {series: 100}"), (7, 9, 7));
    }
}
