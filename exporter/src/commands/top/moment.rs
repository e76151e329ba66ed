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
use tcpvitals_config::{DropLabel, TcpLabel};
use tcpvitals_metrics::{
    findings::report::{Finding, Report, Seen},
    labels::NO_SUBNET,
    rows::{
        drops::{Dropped, table::SiteTable},
        flows::LiveFlow,
        traffic::{self, Counted, TrafficRow},
    },
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
        groups.findings = groups.findings.map(|report| asked_for(report, filters));
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

/// A report without the findings that filters leave out.
fn asked_for(report: Arc<Report>, filters: &Filters) -> Arc<Report> {
    let mut report = Arc::unwrap_or_clone(report);
    report.findings.retain(|finding| is_asked_for(finding, filters));
    Arc::new(report)
}

/// Gives a label's value.
type ValueOf = fn(&Seen) -> &str;

/// The labels of drops that the sites of a finding have. The others are those of connections, too.
const OF_SITES: [(DropLabel, ValueOf); 5] = [
    (DropLabel::Location, |site| &site.location),
    (DropLabel::Reason, |site| &site.reason),
    (DropLabel::Class, |site| &site.class),
    (DropLabel::Direction, |site| &site.direction),
    (DropLabel::Protocol, |site| &site.protocol),
];

/// Whether filters choose a finding. It has a subnet, and perhaps services, workloads and drop sites: who asks for one kind of these gets
/// findings of it, and those that are of all services and workloads.
fn is_asked_for(finding: &Finding, Filters { flows, drops, .. }: &Filters) -> bool {
    let Finding {
        subnet,
        services,
        workloads,
        sites,
        ..
    } = finding;
    let subnet = if subnet.is_empty() { NO_SUBNET } else { subnet };
    let is_one_of =
        |names: &[String], allows: &dyn Fn(&str) -> bool| names.is_empty() || names.iter().any(|name| allows(name));
    let is_workload = |name: &str| {
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        flows.allows(TcpLabel::WorkloadNamespace, namespace) && flows.allows(TcpLabel::Workload, name)
    };
    let is_site = |site: &Seen| OF_SITES.iter().all(|(label, value)| drops.allows(*label, value(site)));
    let asks_for_sites = drops
        .labels()
        .any(|label| OF_SITES.iter().any(|(of_site, _)| *of_site == label));
    flows.allows(TcpLabel::Subnet, subnet)
        && is_one_of(services, &|name| flows.allows(TcpLabel::AppProtocol, name))
        && is_one_of(workloads, &is_workload)
        && (!asks_for_sites || sites.iter().any(is_site))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, Command};
    use clap::Parser;
    use serde_json::json;

    fn finding(subnet: &str, services: &[&str], workloads: &[&str], reason: Option<&str>) -> Finding {
        let sites = reason.map(|reason| {
            json!({ "location": "somewhere", "reason": reason, "class": "policy", "direction": "transmit",
                    "protocol": "tcp", "packets_per_second": 1.0 })
        });
        serde_json::from_value(json!({
            "finding": "own_filter", "whose": "ours", "subnet": subnet, "severity": 1.0, "rate": 1.0, "share": 0.1, "says": "",
            "services": services, "workloads": workloads, "sites": Vec::from_iter(sites), "next": "", "runbook": "",
            "since": { "at_seconds": 0.0, "or_before": true }
        }))
        .unwrap()
    }

    #[test]
    fn findings_are_those_that_were_asked_for() {
        let all = [
            finding("office", &["https"], &["shop/cart"], Some("NETFILTER_DROP")),
            finding("lab", &["ssh"], &[], None),
            finding("", &[], &[], None),
        ];
        for (flags, expected) in [
            ("", [true, true, true]),
            ("--subnet office", [true, false, false]),
            ("--subnet lab,none", [false, true, true]),
            ("--app-protocol ssh", [false, true, true]),
            ("--workload cart --subnet office", [true, false, false]),
            ("--workload other --subnet office", [false, false, false]),
            ("--workload-namespace shop", [true, true, true]),
            ("--workload-namespace other", [false, true, true]),
            ("--reason NETFILTER_*", [true, false, false]),
            ("--class capacity", [false, false, false]),
            ("--role client --port 443", [true, true, true]),
        ] {
            let words = ["tcpvitals", "top"].into_iter().chain(flags.split_whitespace());
            let Some(Command::Top(arguments)) = Arguments::try_parse_from(words).unwrap().command else {
                panic!("another command")
            };
            let chosen = [0, 1, 2].map(|place: usize| is_asked_for(&all[place], &arguments.filters));
            assert_eq!(chosen, expected, "{flags}");
        }
    }
}
