//! The tables behind the tabs.

use crate::{
    cli::Tab,
    commands::top::{
        columns::{
            findings::{self, FindingRow},
            flows,
            groups::{self, GroupRow},
            sites,
        },
        rows::FlowRow,
        table::{AnyTable, Table},
    },
};
use tcpvitals_metrics::rows::drops::table::SiteRow;

/// The rows of each view.
pub struct Tables {
    pub findings: Table<FindingRow>,
    pub subnets: Table<GroupRow>,
    pub workloads: Table<GroupRow>,
    pub flows: Table<FlowRow>,
    pub drops: Table<SiteRow>,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            findings: Table::new(findings::COLUMNS, "severity"),
            subnets: Table::new(groups::SUBNETS, "verdict"),
            workloads: Table::new(groups::WORKLOADS, "verdict"),
            flows: Table::new(flows::COLUMNS, "rate"),
            drops: Table::new(sites::COLUMNS, "rate"),
        }
    }

    /// The table of a view.
    pub fn of(&self, tab: Tab) -> &dyn AnyTable {
        match tab {
            Tab::Findings => &self.findings,
            Tab::Subnets => &self.subnets,
            Tab::Workloads => &self.workloads,
            Tab::Flows => &self.flows,
            Tab::Drops => &self.drops,
        }
    }

    pub(super) fn of_mut(&mut self, tab: Tab) -> &mut dyn AnyTable {
        match tab {
            Tab::Findings => &mut self.findings,
            Tab::Subnets => &mut self.subnets,
            Tab::Workloads => &mut self.workloads,
            Tab::Flows => &mut self.flows,
            Tab::Drops => &mut self.drops,
        }
    }
}
