//! What a report cannot see: the metrics that are off.

use super::METRICS;
use crate::{
    coverage::Coverage,
    findings::report::{Blind, Report},
};

impl Report {
    /// The same with what cannot be seen.
    #[must_use]
    pub fn beside(&self, coverage: &Coverage) -> Self {
        Self {
            blind: Blind::of(coverage),
            ..self.clone()
        }
    }
}

impl Blind {
    /// What is off, but for what was not asked for.
    pub fn of(coverage: &Coverage) -> Vec<Self> {
        let off = METRICS.iter().filter(|metric| metric.part.is_none());
        let off = off.filter_map(|metric| {
            let reason = metric.why_off(coverage)?;
            Some(Self {
                metric: metric.full_name(),
                reason,
            })
        });
        off.collect()
    }
}
