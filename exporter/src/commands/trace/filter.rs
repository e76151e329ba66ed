//! Which events are shown. All kinds of conditions must hold; of one kind any will do.

use super::{item, names::TraceNames};
use crate::cli::filters::Filters;
use common::tcp::{event::EventKind, record::FlowRecord};
use tcpvitals_metrics::labels::KeyNames as _;

/// Conditions; one that is empty always holds.
#[derive(Clone, Debug, Default)]
pub struct TraceFilter {
    /// Those of every command.
    pub filters: Filters,
    pub events: Vec<EventKind>,
    /// Least number of segments that the flow has sent again (`segs_retrans`).
    pub min_retransmits: u32,
}

impl TraceFilter {
    /// Whether an event is to be shown.
    pub fn shows(&self, kind: EventKind, record: &FlowRecord, names: &TraceNames) -> bool {
        (self.events.is_empty() || self.events.contains(&kind)) && self.chooses(record, names)
    }

    /// Whether the events of a flow are.
    pub fn chooses(&self, record: &FlowRecord, names: &TraceNames) -> bool {
        record.segs_retrans >= self.min_retransmits
            && self.filters.ends.matches([item::local(record), item::remote(record)])
            && self.filters.flows.matches(|label| names.value(label, &record.key()))
    }

    /// The first flag that asks for workloads.
    pub fn flag_of_workloads(&self) -> Option<&'static str> {
        let mut asked = self.filters.flows.labels().filter(|label| label.row().is_of_workloads);
        Some(asked.next()?.row().flag.as_ref()?.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::{
        net::{
            address::{Address, SubnetKey},
            connection::ConnectionType,
        },
        tcp::group::GroupKey,
    };
    use tcpvitals_config::{Config, Glob, TcpLabel, numbering::Numbering};
    use tcpvitals_metrics::{rows::filter::FlowFilter, workloads::Workload};

    fn record() -> FlowRecord {
        FlowRecord {
            family: 4,
            local: [u32::from_ne_bytes([10, 1, 0, 1]), 0, 0, 0],
            remote: Address::from_v4(u32::from_ne_bytes([10, 2, 0, 1])).words,
            local_port: 443,
            remote_port: 50_000,
            segs_retrans: 3,
            labels: GroupKey {
                subnet: SubnetKey::named(1),
                connection: ConnectionType::Wifi as u8,
                ..GroupKey::default()
            }
            .words(),
            ..FlowRecord::default()
        }
    }

    fn check(change: impl FnOnce(&mut TraceFilter), expected: bool) {
        let config = "subnets: [{name: a, cidrs: [10.1.0.0/16]}, {name: b, cidrs: [10.2.0.0/16]}]";
        let config = Config::from_yaml(config, "test.yaml").unwrap();
        let names = TraceNames::new(&config, &Numbering::new(&config));
        let mut filter = TraceFilter::default();
        change(&mut filter);
        assert_eq!(
            filter.shows(EventKind::Close, &record(), &names),
            expected,
            "{filter:?}"
        );
    }

    #[test]
    fn each_condition_chooses() {
        check(|_| {}, true);
        let of = |label, values: &[&str]| FlowFilter {
            values: vec![(label, values.iter().map(|value| String::from(*value)).collect())],
            ..FlowFilter::default()
        };
        check(|filter| filter.filters.flows = of(TcpLabel::Subnet, &["a", "b"]), true);
        check(|filter| filter.filters.flows = of(TcpLabel::Subnet, &["a"]), false);
        check(
            |filter| filter.filters.ends.networks = vec!["10.1.0.0/24".parse().unwrap()],
            true,
        );
        check(
            |filter| filter.filters.ends.networks = vec!["10.2.0.0/24".parse().unwrap()],
            true,
        );
        check(
            |filter| filter.filters.ends.networks = vec!["10.3.0.0/16".parse().unwrap()],
            false,
        );
        check(
            |filter| filter.filters.ends.networks = vec!["::/0".parse().unwrap()],
            false,
        );
        check(|filter| filter.filters.ends.ports = vec![1, 50_000], true);
        check(|filter| filter.filters.ends.ports = vec![1], false);
        check(|filter| filter.events = vec![EventKind::Close], true);
        check(|filter| filter.events = vec![EventKind::Retrans], false);
        check(
            |filter| filter.filters.flows = of(TcpLabel::ConnectionType, &["wifi"]),
            true,
        );
        check(
            |filter| filter.filters.flows = of(TcpLabel::ConnectionType, &["wired"]),
            false,
        );
        check(|filter| filter.min_retransmits = 3, true);
        check(|filter| filter.min_retransmits = 4, false);
    }

    #[test]
    fn a_workload_chooses_by_patterns_of_name_and_namespace() {
        let config = Config::from_yaml("workloads: {source: cgroup}", "test.yaml").unwrap();
        let mut names = TraceNames::new(&config, &Numbering::new(&config));
        let workload = Workload::in_kubernetes("shop", "Deployment", "cart");
        names.workloads = Some(vec![Workload::unresolved(), workload]);
        let record = FlowRecord {
            labels: GroupKey {
                workload: 1,
                ..GroupKey::default()
            }
            .words(),
            ..record()
        };
        for (label, pattern, expected) in [
            (TcpLabel::Workload, "ca*", true),
            (TcpLabel::Workload, "ca", false),
            (TcpLabel::WorkloadNamespace, "shop", true),
            (TcpLabel::WorkloadNamespace, "kube-*", false),
        ] {
            let filter = TraceFilter {
                filters: Filters {
                    flows: FlowFilter {
                        patterns: vec![(label, vec![Glob::new(pattern).unwrap()])],
                        ..FlowFilter::default()
                    },
                    ..Filters::default()
                },
                ..TraceFilter::default()
            };
            assert_eq!(filter.shows(EventKind::Close, &record, &names), expected, "{pattern}");
            assert!(
                filter
                    .flag_of_workloads()
                    .is_some_and(|flag| flag.starts_with("workload"))
            );
        }
        assert_eq!(TraceFilter::default().flag_of_workloads(), None);
    }

    #[test]
    fn all_conditions_must_hold() {
        check(
            |filter| {
                filter.filters.ends.ports = vec![443];
                filter.events = vec![EventKind::Retrans];
            },
            false,
        );
    }
}
