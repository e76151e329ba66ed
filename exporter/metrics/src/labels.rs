//! Labels: numbers of the kernel side become the names of the configuration, and rows whose labels are the same merge.
//!
//! Pure but for what it remembers of earlier snapshots: a snapshot and the configuration in, families out.

pub mod cardinality;
pub mod classes;
pub mod ledger;
pub mod listeners;
mod names;
pub mod sites;
mod table;

use self::{classes::Classes, ledger::Aged, listeners::Listeners, table::LabelTable};
use crate::{
    snapshot::{DropSite, Group, Row, Snapshot},
    workloads::{Workload, numbers::Names},
};
use common::{
    drops::{DropCount, DropSource},
    tcp::{accept_queue::AcceptQueues, group::GroupKey},
    workload::Number,
};
pub use names::{KeyNames, LabelSet, NO_SUBNET, OTHER, value_of};
use std::collections::BTreeMap;
use tcpvitals_config::{
    Config, DropLabel, Fallback, Labels, TcpLabel, View, label::Row as LabelRow, numbering::Numbering,
};

/// Names what a snapshot holds, and remembers under which labels it was counted.
#[derive(Debug)]
pub struct Labelling {
    config: Config,
    numbering: Numbering,
    workloads: Names,
    classes: Classes,
    groups: LabelTable<LabelSet, Group>,
    drops: LabelTable<(LabelSet, DropSource), DropCount>,
    listeners: Listeners,
}

/// How many series one label set takes; the metric table knows.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Of the TCP metrics.
    pub group: usize,
    /// Of the drop metrics.
    pub drop: usize,
    /// Of the metrics of listeners.
    pub listener: usize,
}

/// A snapshot with names instead of numbers.
#[derive(Debug)]
pub struct Labelled<'a> {
    /// Where it comes from.
    pub snapshot: &'a Snapshot,
    /// Groups by their labels.
    pub groups: BTreeMap<LabelSet, Aged<Group>>,
    /// Listeners by their labels.
    pub listeners: BTreeMap<LabelSet, Aged<AcceptQueues>>,
    /// Drops by their labels.
    pub drops: BTreeMap<(LabelSet, DropSource), Aged<DropCount>>,
    /// Label sets that the series cap has refused so far: of groups, of drops.
    pub refused: [usize; 2],
}

impl Labelling {
    pub fn new(config: &Config, numbering: &Numbering) -> Self {
        Self {
            config: config.clone(),
            numbering: numbering.clone(),
            workloads: Names::default(),
            classes: Classes::new(&config.drops.classes),
            groups: LabelTable::new(),
            drops: LabelTable::new(),
            listeners: Listeners::default(),
        }
    }

    /// Labels as configured now. What was counted stays where it was counted; a label that is switched off or on changes the
    /// name of every series, so there everything is shown under the new names.
    pub fn configure(&mut self, config: &Config, numbering: &Numbering) {
        let views: BTreeMap<&str, &View> = config.all_views().map(|view| (view.name.as_str(), view)).collect();
        self.groups.limit(|view| views.get(view).map(|view| limits(view).0));
        self.drops.limit(|view| views.get(view).map(|view| limits(view).1));
        self.listeners
            .limit(|view| views.get(view).map(|view| listeners::limit(view)));
        self.classes = Classes::new(&config.drops.classes);
        self.config = config.clone();
        self.numbering = numbering.clone();
    }

    /// What the numbers of workloads mean from now on: more of them.
    pub fn learn(&mut self, workloads: &Names) {
        self.workloads = workloads.clone();
    }

    /// Posts what a snapshot has counted to its names.
    pub fn post(&mut self, snapshot: &Snapshot) {
        self.learn(&snapshot.workloads);
        self.groups.ledger.begin(snapshot.at);
        for Row { id, key, born, total } in &snapshot.groups {
            // The group `other` is shown when it has something to show.
            let labels = (key.is_some() || *total != Group::default()).then(|| self.of_group(key.as_ref()));
            self.groups.ledger.post(*id, *born, *total, labels);
        }
        self.drops.ledger.begin(snapshot.at);
        for Row { id, key, born, total } in &snapshot.drops {
            let (source, site) = key;
            let shown = match site {
                Some(site) => !self.ignores(site),
                None => *total != DropCount::default(),
            };
            let labels = shown.then(|| (self.of_drop(site.as_ref()), *source));
            self.drops.ledger.post(*id, *born, *total, labels);
        }
    }

    /// What was posted, as a view shows it; a label set takes `cost` series there.
    pub fn show<'a>(&mut self, snapshot: &'a Snapshot, view: &View, cost: Cost) -> Labelled<'a> {
        let (group_limit, drop_limit) = limits(view);
        let listeners = self.of_listeners(snapshot, view, cost.listener);
        let (other_group, other_drop) = (self.of_group(None), self.of_drop(None));
        let name = view.name.as_str();
        let Labels { tcp, drops } = &view.labels;
        let of_groups = tcp.iter().map(|label| label.label()).collect();
        let of_drops = drops.iter().map(|label| label.label()).collect();
        Labelled {
            snapshot,
            groups: self.groups.show(name, of_groups, group_limit, cost.group, &other_group),
            listeners,
            drops: self.drops.show(name, of_drops, drop_limit, cost.drop, &other_drop),
            refused: [
                self.groups.refusals(name) + self.listeners.refusals(name),
                self.drops.refusals(name),
            ],
        }
    }

    /// The listeners of a snapshot as a view shows them; a label set takes `cost` series there.
    fn of_listeners(
        &mut self,
        snapshot: &Snapshot,
        view: &View,
        cost: usize,
    ) -> BTreeMap<LabelSet, Aged<AcceptQueues>> {
        let tells = |label: &TcpLabel| view.labels.tcp.contains(label) && self.tells(label.row());
        let shown: Vec<TcpLabel> = listeners::LABELS.into_iter().filter(tells).collect();
        let rows = listeners::rows(self, snapshot, &shown);
        let other = listeners::of_listener(self, None, &shown);
        self.listeners.show(view, &shown, rows, cost, &other)
    }

    /// All labels of a flow, those too that the configuration leaves out.
    pub fn of_key(&self, key: &GroupKey) -> LabelSet {
        self.of_group(Some(key))
    }

    /// All labels of a drop, those too that the configuration leaves out; none for one that it ignores, and for a part of a packet. The
    /// row `other` has no site.
    pub fn of_site(&self, site: Option<&DropSite>) -> Option<LabelSet> {
        let ignored = site.is_some_and(|site| self.ignores(site));
        (!ignored).then(|| self.of_drop(site))
    }

    /// Whether the configuration leaves a drop out, or it is none by itself.
    fn ignores(&self, site: &DropSite) -> bool {
        let DropSite {
            reason,
            location,
            marks,
            ..
        } = site;
        let mut rules = self.config.drops.ignore.iter();
        !self.classes.is_packet(reason, location, *marks) || rules.any(|rule| rule.matches(reason, location))
    }

    /// All labels of a group; `None` is the group `other`.
    pub fn of_group(&self, key: Option<&GroupKey>) -> LabelSet {
        let value = |label: TcpLabel| {
            let named = key.map(|key| self.value(label, key));
            (label.label(), named.unwrap_or_else(|| OTHER.to_owned()))
        };
        let labels = TcpLabel::ALL.into_iter();
        labels.filter(|label| self.tells(label.row())).map(value).collect()
    }

    /// Whether workloads are told apart.
    pub fn tells_workloads(&self) -> bool {
        self.config.workloads.are_told_apart()
    }

    /// Whether a label says something: those of workloads do not where nobody tells them apart.
    fn tells(&self, label: &LabelRow) -> bool {
        !label.is_of_workloads || self.tells_workloads()
    }

    /// All labels of a drop; `None` is the row `other`. A label that nobody looked for is that, too.
    fn of_drop(&self, site: Option<&DropSite>) -> LabelSet {
        let value = |label: DropLabel| {
            let value = site.and_then(|site| self.value_of_drop(label, site, &self.classes));
            (label.label(), value.unwrap_or_else(|| OTHER.to_owned()))
        };
        let labels = DropLabel::ALL.into_iter();
        labels.filter(|label| self.tells(label.row())).map(value).collect()
    }
}

impl KeyNames for Labelling {
    fn subnet_number(&self, number: u32) -> Option<&str> {
        self.numbering.subnet(number)
    }

    fn protocol_number(&self, number: u16) -> Option<&str> {
        self.numbering.protocol(number)
    }

    fn workload(&self, number: Number) -> Option<&Workload> {
        self.workloads.name(number)
    }

    fn fallback(&self) -> &Fallback {
        self.config.subnets.fallback()
    }
}

/// How many series a view may have: of groups, of drops. Drops can have many more label sets, of few series each: a share of their
/// own, so that neither crowds out the other.
const fn limits(view: &View) -> (usize, usize) {
    let of_drops = view.series / 5;
    (view.series - of_drops - listeners::limit(view), of_drops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::{row, snapshot};
    use common::{
        drops::{Direction, Protocol},
        net::{
            address::{Address, SubnetKey},
            connection::ConnectionType,
        },
        tcp::group::{Counter, Role},
    };
    use std::net::Ipv6Addr;

    fn labelling(config: &str) -> Labelling {
        let config = Config::from_yaml(config, "test.yaml").unwrap();
        Labelling::new(&config, &Numbering::new(&config))
    }

    fn shown<'a>(labelling: &mut Labelling, snapshot: &'a Snapshot) -> Labelled<'a> {
        labelling.post(snapshot);
        let view = labelling.config.shown.clone();
        labelling.show(
            snapshot,
            &view,
            Cost {
                group: 40,
                drop: 2,
                listener: 4,
            },
        )
    }

    fn key(subnet: SubnetKey, role: Role) -> GroupKey {
        GroupKey {
            subnet,
            protocol: 0,
            connection: ConnectionType::Wired as u8,
            role: role as u8,
            ..GroupKey::default()
        }
    }

    fn opened(count: u64) -> Group {
        let mut group = Group::default();
        group.counters.counters[Counter::Opened as usize] = count;
        group
    }

    fn values(labels: &LabelSet) -> Vec<&str> {
        labels.iter().map(|(_, value)| value.as_str()).collect()
    }

    fn check_subnet(config: &str, subnet: SubnetKey, expected: &str) {
        assert_eq!(labelling(config).subnet(subnet), expected);
    }

    #[test]
    fn subnets_are_named_by_the_configuration() {
        const NAMED: &str =
            "{subnets: [{name: a, cidrs: [10.0.0.0/8]}, {name: b, cidrs: [11.0.0.0/8]}], subnets_fallback: far}";
        const AUTO: &str = "subnets_fallback: {auto: {ipv4: 24, ipv6: 48}}";
        check_subnet(NAMED, SubnetKey::named(1), "b");
        check_subnet(NAMED, SubnetKey::FALLBACK, "far");
        check_subnet(NAMED, SubnetKey::NONE, "none");
        check_subnet(
            AUTO,
            Address::from_v4(u32::from_ne_bytes([192, 0, 2, 77])).cut(24, 48),
            "192.0.2.0/24",
        );
        let v6: Ipv6Addr = "2001:db8:1:2::3".parse().unwrap();
        let words = std::array::from_fn(|i| u32::from_ne_bytes(v6.octets()[4 * i..4 * i + 4].try_into().unwrap()));
        check_subnet(AUTO, Address::from_v6(words).cut(24, 48), "2001:db8:1::/48");
    }

    #[test]
    fn labels_that_are_off_merge_their_rows() {
        let mut snapshot = snapshot();
        snapshot.groups = vec![
            row(1, Some(key(SubnetKey::FALLBACK, Role::Client)), opened(1)),
            row(2, Some(key(SubnetKey::FALLBACK, Role::Server)), opened(2)),
            row(0, None, opened(4)),
        ];
        let labelled = |config: &str| -> Vec<(Vec<String>, u64)> {
            let mut labelling = labelling(config);
            let labelled = shown(&mut labelling, &snapshot);
            let rows = labelled.groups.iter();
            rows.map(|(labels, Aged { total: group, .. })| {
                (
                    values(labels).into_iter().map(str::to_owned).collect(),
                    group.counters.get(Counter::Opened),
                )
            })
            .collect()
        };
        let expected = |labels: &[&str], count| {
            (
                labels.iter().map(|label| String::from(*label)).collect::<Vec<_>>(),
                count,
            )
        };
        assert_eq!(
            labelled("labels: {tcp: [subnet, role]}"),
            [
                expected(&["internet", "client"], 1),
                expected(&["internet", "server"], 2),
                expected(&["other", "other"], 4)
            ]
        );
        assert_eq!(
            labelled("labels: {tcp: [subnet]}"),
            [expected(&["internet"], 3), expected(&["other"], 4)]
        );
        assert_eq!(labelled("labels: {tcp: []}"), [expected(&[], 7)]);
    }

    #[test]
    fn ignored_drops_are_left_out_and_the_rest_has_a_class() {
        let site = |reason: &str, location: &str| DropSite {
            location: location.to_owned(),
            reason: reason.to_owned(),
            subnet: Some(SubnetKey::NONE),
            protocol: Some(Protocol::Udp),
            direction: Direction::Receive,
            ..DropSite::default()
        };
        let count = DropCount {
            packets: 1,
            bytes: 100,
            repeated: 0,
        };
        let mut snapshot = snapshot();
        snapshot.drops = vec![
            row(
                1,
                (DropSource::Software, Some(site("NOT_SPECIFIED", "unix_dgram_sendmsg"))),
                count,
            ),
            row(
                2,
                (DropSource::Software, Some(site("NETFILTER_DROP", "nft_do_chain"))),
                count,
            ),
            row(0, (DropSource::Software, None), DropCount::default()),
        ];
        let mut labelling = labelling("drops: {ignore: [{reason: NOT_SPECIFIED, location: unix_*}]}");
        let labelled = shown(&mut labelling, &snapshot);
        let rows: Vec<_> = labelled.drops.keys().map(|(labels, _)| values(labels)).collect();
        assert_eq!(
            rows,
            [[
                "nft_do_chain",
                "NETFILTER_DROP",
                "policy",
                "udp",
                "receive",
                "none",
                "other"
            ]]
        );
    }
}
