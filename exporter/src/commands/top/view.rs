//! What the screen shows, and what keys do to it. It knows no terminal and no clock: keys and readings come in, rows go out.

mod history;
mod keys;
pub mod recipes;
mod tables;

use super::{
    columns::{findings::FindingRow, groups::GroupRow},
    rows::FlowRow,
    table,
};
use crate::lifecycle::host::Host;
use history::Histories;
use std::{sync::Arc, time::Duration};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::{
    findings::report::{Finding, Report, State},
    rows::{
        drops::table::{SiteRow, SiteTable},
        traffic::{self, TrafficRow},
    },
};

pub use crate::cli::Tab;
pub use history::{History, SAMPLES};
pub use tables::Tables;

impl Tab {
    /// All, by their digits.
    pub const ALL: [Self; 5] = [Self::Findings, Self::Subnets, Self::Workloads, Self::Flows, Self::Drops];

    /// The word on the screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Findings => "Findings",
            Self::Subnets => "Subnets",
            Self::Workloads => "Workloads",
            Self::Flows => "Flows",
            Self::Drops => "Drops",
        }
    }

    /// What its rows are, in the plural.
    pub const fn rows(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Subnets => "subnets",
            Self::Workloads => "workloads",
            Self::Flows => "flows",
            Self::Drops => "drop sites",
        }
    }
}

/// What the program is to do after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Draw and go on.
    Draw,
    /// Give this to the terminal's clipboard, draw and go on.
    Copy(String),
    Quit,
}

/// Rows of one subnet or workload only: those below a row of another view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Subnet(String),
    Workload(String),
}

/// A view, and what part of it: Enter leads down to another one, and Esc back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub tab: Tab,
    pub scope: Option<Scope>,
}

/// One reading, in rows.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Since 1970.
    pub at: Duration,
    pub subnets: Vec<TrafficRow>,
    /// None where workloads are not told apart.
    pub workloads: Vec<TrafficRow>,
    pub flows: Vec<FlowRow>,
    pub drops: SiteTable,
    pub report: Option<Arc<Report>>,
}

/// What the head of the screen says.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub host: Host,
    /// Time of the last reading, since 1970.
    pub at: Duration,
    /// All connections.
    pub traffic: TrafficRow,
    /// Drops per second, but for benign ones.
    pub drops: f64,
    pub benign_drops: f64,
    /// What is wrong; `None` where nobody judges.
    pub report: Option<Arc<Report>>,
    /// Time between two readings.
    pub interval: Duration,
    /// What was asked for by flags.
    pub asked: String,
    /// Flags among them that choose flows only: what is counted by subnet or site knows no addresses.
    pub of_flows: String,
}

/// A text that a key asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub title: &'static str,
    pub text: String,
}

/// Everything on the screen.
pub struct View {
    pub place: Place,
    /// Where Esc leads back to.
    trail: Vec<Place>,
    pub tables: Tables,
    /// What rows have to match.
    pub filter: String,
    /// The filter is being typed.
    pub is_typing: bool,
    /// New readings are not shown.
    pub is_paused: bool,
    /// The pane of the selected row is large.
    pub has_detail: bool,
    /// The list of keys is shown.
    pub has_help: bool,
    pub notice: Option<Notice>,
    pub head: Head,
    histories: Histories,
}

impl View {
    pub fn new(tab: Tab, filter: &str, head: Head) -> Self {
        Self {
            place: Place { tab, scope: None },
            trail: Vec::new(),
            tables: Tables::new(),
            filter: filter.to_owned(),
            is_typing: false,
            is_paused: false,
            has_detail: false,
            has_help: false,
            notice: None,
            head,
            histories: Histories::default(),
        }
    }

    /// Orders the first view by the column of a word.
    ///
    /// # Errors
    /// The words that there are.
    pub fn sort_by(&mut self, key: &str) -> Result<(), Vec<&'static str>> {
        let table = self.tables.of_mut(self.place.tab);
        if table.sort_by(key) { Ok(()) } else { Err(table.keys()) }
    }

    /// Takes a reading over, unless it is paused.
    pub fn update(&mut self, reading: Reading) {
        if self.is_paused {
            return;
        }
        let Reading {
            at,
            subnets,
            workloads,
            flows,
            drops,
            report,
        } = reading;
        self.head.at = at;
        self.head.traffic = traffic::sum(&subnets);
        let (benign, others): (Vec<&SiteRow>, Vec<&SiteRow>) = drops.sites.iter().partition(|site| site.is_benign());
        // The sum of no numbers is -0.
        let rate = |sites: &[&SiteRow]| sites.iter().fold(0.0, |sum, site| sum + site.rate);
        (self.head.drops, self.head.benign_drops) = (rate(&others), rate(&benign));
        let found = report
            .as_deref()
            .map(|report| report.findings.clone())
            .unwrap_or_default();
        let tells_workloads = !workloads.is_empty();
        let drops_tell_workloads = drops.tells_workloads();
        let tables = &mut self.tables;
        tables.findings.tells_workloads = tells_workloads;
        tables.flows.tells_workloads = tells_workloads;
        tables.drops.tells_workloads = drops_tell_workloads;
        let of_subnet = |name: &str| found.iter().find(|finding| finding.subnet == name).cloned();
        let of_workload = |name: &str| {
            let is_it = |finding: &&Finding| finding.workloads.iter().any(|own| own == name);
            found.iter().find(is_it).cloned()
        };
        tables.subnets.set(group_rows(subnets, of_subnet));
        tables.workloads.set(group_rows(workloads, of_workload));
        tables.findings.set(found.iter().cloned().map(FindingRow).collect());
        tables.flows.set(flows);
        tables.drops.set(drops.sites);
        self.head.report = report;
        self.histories.remember(&self.tables, at);
        self.arrange();
        self.histories.remember_flows(&self.tables.flows);
    }

    /// What there is to say of the judgement where there is no finding.
    pub fn judgement(&self) -> String {
        let Some(report) = &self.head.report else {
            return "nobody judges here".to_owned();
        };
        match report.state {
            State::NotYet => format!(
                "not yet: {:.0} s were seen, and a judgement takes 10 s",
                report.window_seconds
            ),
            State::Judged => format!(
                "nothing to report in the last {:.0} s: {} connections, {} subnets",
                report.window_seconds,
                self.head.traffic.live,
                self.tables.subnets.all().len()
            ),
        }
    }

    /// The samples of a flow.
    pub fn history(&self, flow: &FlowRow) -> History {
        self.histories.of_flow(flow.flow.record.cookie)
    }

    /// Filters and orders anew.
    fn arrange(&mut self) {
        let Self {
            tables,
            filter,
            place: Place { scope, .. },
            histories,
            head,
            ..
        } = self;
        let filter = filter.as_str();
        let scope = scope.as_ref();
        histories.show(tables, head.at);
        tables.findings.arrange(|row| table::matches(filter, row));
        tables.subnets.arrange(|row| table::matches(filter, row));
        tables.workloads.arrange(|row| table::matches(filter, row));
        tables
            .flows
            .arrange(|row| is_of(scope, row) && table::matches(filter, row));
        tables.drops.arrange(|row| table::matches(filter, row));
    }
}

fn group_rows(rows: Vec<TrafficRow>, verdict: impl Fn(&str) -> Option<Finding>) -> Vec<GroupRow> {
    let row = |traffic: TrafficRow| GroupRow {
        verdict: verdict(&traffic.name),
        traffic,
        samples: Vec::new(),
    };
    rows.into_iter().map(row).collect()
}

/// Whether one of the ends of a flow belongs there.
fn is_of(scope: Option<&Scope>, row: &FlowRow) -> bool {
    row.own_ends().any(|FlowRow { flow, .. }| match scope {
        None => true,
        Some(Scope::Subnet(name)) => flow.label(TcpLabel::Subnet) == name,
        Some(Scope::Workload(name)) => flow.workload().as_ref() == Some(name),
    })
}

#[cfg(test)]
pub(crate) mod tests;
