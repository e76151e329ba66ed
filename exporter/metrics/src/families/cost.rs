//! How many series a label set takes, by the metric table.

use super::{
    metric::{Accessor, Metric, Scope},
    table::METRICS,
};
use crate::labels::Cost;
use tcpvitals_config::MetricFilter;

/// Series that one label set takes of the metrics that are shown.
pub fn cost(shown: &MetricFilter) -> Cost {
    Cost {
        group: series_of(Scope::Tcp, shown),
        drop: series_of(Scope::Drops, shown),
        listener: series_of(Scope::Listeners, shown),
    }
}

fn series_of(scope: Scope, shown: &MetricFilter) -> usize {
    METRICS
        .iter()
        .filter(|metric| metric.source.scope() == scope && shown.shows(&metric.full_name()))
        .map(|metric| metric.source.width())
        .sum()
}

impl Metric {
    /// What it says, as a sentence without a full stop.
    pub fn sentence(&self) -> String {
        let mut sentence = self.help.to_owned();
        if matches!(self.source, Accessor::SeriesOverflow) {
            let Cost { group, drop, listener } = cost(&MetricFilter::default());
            sentence += &format!(
                " (a label set of the TCP metrics takes {group} series, of listeners {listener}, of drops {drop})"
            );
        }
        sentence
    }
}
