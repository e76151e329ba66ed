//! What the kernel said at one moment, and what happened between two of them.

use super::{
    rows::{self, paired},
    view::Reading,
};
use crate::{
    cli::filters::Filters,
    commands::live::LiveError,
    lifecycle::clock::{now, since_1970},
    serve::collect::{Collector, Groups},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tcpvitals_metrics::rows::{
    drops::{Dropped, table::SiteTable},
    flows::LiveFlow,
    traffic::{self, Counted, TrafficRow},
};

/// What the kernel said at one moment, as far as filters choose it.
pub(super) struct Moment {
    groups: Groups,
    pub(super) flows: Vec<LiveFlow>,
    drops: Vec<Dropped>,
    at: Instant,
    /// Since 1970.
    time: Duration,
}

impl Moment {
    /// Reads the kernel; drops only where they are counted.
    pub(super) async fn new(collector: &Collector, filters: &Filters, has_drops: bool) -> Result<Self, LiveError> {
        let drops = if has_drops {
            collector.drops().await?
        } else {
            Arc::default()
        };
        let flows = collector.flows_with_opens().await?;
        let mut groups = collector.groups().await?;
        let Filters {
            flows: of_flows,
            drops: of_drops,
            ..
        } = filters;
        groups.rows.retain(|row| of_flows.matches(|label| row.label(label)));
        let is_wanted = |flow: &LiveFlow| {
            of_flows.matches(|label| flow.label(label))
                && filters
                    .ends
                    .matches([flow.local(), flow.remote()].into_iter().flatten())
        };
        Ok(Self {
            groups,
            flows: flows.into_iter().filter(|flow| is_wanted(flow)).collect(),
            drops: drops
                .iter()
                .filter(|row| of_drops.matches(|label| row.label(label)))
                .cloned()
                .collect(),
            at: now(),
            time: since_1970(),
        })
    }

    /// Time since an earlier moment.
    pub(super) fn interval(&self, before: &Self) -> Duration {
        self.at - before.at
    }

    /// What happened since an earlier moment.
    pub(super) fn since(&self, before: &Self) -> Reading {
        let interval = self.interval(before);
        let traffic = |name: fn(&Counted) -> Option<String>| {
            let rows = traffic::rows(&before.groups.rows, &self.groups.rows, interval, name);
            if self.groups.finds_local_losses {
                rows
            } else {
                rows.into_iter().map(TrafficRow::without_local_losses).collect()
            }
        };
        Reading {
            at: self.time,
            subnets: traffic(Counted::subnet),
            workloads: traffic(Counted::workload),
            flows: paired(rows::rows(&before.flows, &self.flows)),
            drops: SiteTable::new(&before.drops, &self.drops, interval),
            report: self.groups.findings.clone(),
        }
    }
}
