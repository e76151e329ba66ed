//! How many series a label set takes, by the metric table.

use super::{
    metric::{Accessor, Metric, Scope},
    table::METRICS,
};
use crate::labels::Cost;

/// Series that one label set takes.
pub fn cost() -> Cost {
    Cost {
        group: series_of(Scope::Tcp),
        drop: series_of(Scope::Drops),
    }
}

fn series_of(scope: Scope) -> usize {
    METRICS
        .iter()
        .filter(|metric| metric.source.scope() == scope)
        .map(|metric| metric.source.width())
        .sum()
}

impl Metric {
    /// What it says, as a sentence without a full stop.
    pub fn sentence(&self) -> String {
        let mut sentence = self.help.to_owned();
        if matches!(self.source, Accessor::SeriesOverflow) {
            let Cost { group, drop } = cost();
            sentence += &format!(" (a label set of the TCP metrics takes {group} series, of drops {drop})");
        }
        sentence
    }
}
