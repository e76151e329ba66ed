//! The tables of a recording: what their rows are made of, and how they grow from frame to frame.

use super::fields::{Fields, Kind, Name, Visit, Word, layout, visit, visit_each};
use crate::snapshot::DropSite;
use common::{
    drops::DropCount,
    map::lost::Lost,
    net::address::SubnetKey,
    tcp::{
        accept_queue::AcceptQueues,
        group::{GroupCounters, GroupKey},
        record::FlowRecord,
        samples::Samples,
    },
};
use std::collections::BTreeMap;

/// The rows of a table by their ids, as numbers.
pub(super) type Rows = BTreeMap<u64, Vec<u64>>;

/// All tables, in the order of [`TABLES`].
pub(super) type Tables = [Rows; TABLES.len()];

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name in a file.
    pub(super) name: &'static str,
    pub(super) layout: fn() -> Vec<(String, Kind)>,
    /// Its rows stay when the recording begins again.
    pub(super) stays: bool,
}

/// Places of tables in [`TABLES`].
pub(super) mod place {
    pub(in crate::recording) const GROUPS: usize = 0;
    pub(in crate::recording) const DROPS: usize = 1;
    pub(in crate::recording) const ALGORITHMS: usize = 2;
    pub(in crate::recording) const LISTENERS: usize = 3;
    pub(in crate::recording) const LOST: usize = 4;
    pub(in crate::recording) const MISSES: usize = 5;
    pub(in crate::recording) const WORKLOADS: usize = 6;
    pub(in crate::recording) const HOST: usize = 7;
    pub(in crate::recording) const FLOWS: usize = 8;
}

/// Every table.
pub(super) const TABLES: [Table; 9] = [
    table("groups", layout::<GroupRow>, true),
    table("drops", layout::<DropRow>, true),
    table("algorithms", layout::<AlgorithmRow>, false),
    table("listeners", layout::<AcceptQueues>, false),
    table("lost", layout::<LostRow>, true),
    table("misses", layout::<MissesRow>, true),
    table("workloads", layout::<WorkloadRow>, true),
    table("host", layout::<HostRow>, true),
    table("flows", layout::<FlowRow>, false),
];

const fn table(name: &'static str, layout: fn() -> Vec<(String, Kind)>, stays: bool) -> Table {
    Table { name, layout, stays }
}

/// A group; its id is that of its slot.
#[derive(Debug, Default)]
pub(super) struct GroupRow {
    /// It is not the group `other`.
    pub(super) has_key: bool,
    pub(super) key: [u64; GroupKey::WORDS],
    /// In nanoseconds since 1970.
    pub(super) born: u64,
    pub(super) counters: GroupCounters,
    pub(super) samples: Samples,
}

impl Fields for GroupRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            has_key,
            key,
            born,
            counters,
            samples,
        } = self;
        visit!(visit, Kind::Identity, has_key born);
        visit_each!(visit, Kind::Identity, key);
        counters.each(visit);
        samples.each(visit);
    }
}

/// A number that may be missing.
#[derive(Debug, Default)]
pub(super) struct Maybe<T> {
    pub(super) is_there: bool,
    pub(super) value: T,
}

impl<T: Default> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        Self {
            is_there: value.is_some(),
            value: value.unwrap_or_default(),
        }
    }
}

impl<T> From<Maybe<T>> for Option<T> {
    fn from(Maybe { is_there, value }: Maybe<T>) -> Self {
        is_there.then_some(value)
    }
}

impl<T: Word> Maybe<T> {
    fn each(&mut self, visit: &mut Visit<'_>, name: &'static str, kind: Kind) {
        let Self { is_there, value } = self;
        // Whether it is there holds for its moment even where it counts.
        let of_flag = if kind == Kind::Counter { Kind::Moment } else { kind };
        visit(Name::Place(name, 0), of_flag, is_there);
        visit(Name::Place(name, 1), kind, value);
    }
}

macro_rules! visit_maybe {
    ($visit:ident, $kind:expr, $($field:ident)+) => {
        $($field.each($visit, stringify!($field), $kind);)+
    };
}

/// The same of an `Option`.
macro_rules! visit_option {
    ($visit:ident, $kind:expr, $($field:ident)+) => {
        $(
            let mut maybe = Maybe::from(*$field);
            maybe.each($visit, stringify!($field), $kind);
            *$field = maybe.into();
        )+
    };
}

/// A row of drops; its id is that of its slot. Its names are numbers, and those of the site are empty.
#[derive(Debug, Default)]
pub(super) struct DropRow {
    pub(super) source: u8,
    /// It is not the row `other` of its source.
    pub(super) has_site: bool,
    pub(super) location: u64,
    pub(super) reason: u64,
    pub(super) site: DropSite,
    /// In nanoseconds since 1970.
    pub(super) born: u64,
    /// In the function, in bytes.
    pub(super) offset: Maybe<u64>,
    pub(super) has_module: bool,
    pub(super) module: u64,
    pub(super) alias: u64,
    pub(super) count: DropCount,
}

impl Fields for DropRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            source,
            has_site,
            location,
            reason,
            site:
                DropSite {
                    location: _,
                    reason: _,
                    subnet: of,
                    protocol,
                    direction,
                    connection,
                    app_protocol,
                    workload,
                    marks,
                },
            born,
            offset,
            has_module,
            module,
            alias,
            count: DropCount {
                packets,
                bytes,
                repeated,
            },
        } = self;
        let Maybe {
            is_there: mut has_subnet,
            value: SubnetKey {
                words: mut subnet,
                kind: mut subnet_kind,
            },
        } = Maybe::from(*of);
        visit!(visit, Kind::Identity, source has_site location reason);
        visit(Name::Word("has_subnet"), Kind::Identity, &mut has_subnet);
        visit_each!(visit, Kind::Identity, subnet);
        visit(Name::Word("subnet_kind"), Kind::Identity, &mut subnet_kind);
        *of = has_subnet.then_some(SubnetKey {
            words: subnet,
            kind: subnet_kind,
        });
        visit!(visit, Kind::Identity, direction marks born has_module module alias);
        visit_option!(visit, Kind::Identity, protocol connection app_protocol workload);
        visit_maybe!(visit, Kind::Identity, offset);
        visit!(visit, Kind::Counter, packets bytes repeated);
    }
}

/// Live flows of an algorithm for congestion control; its id is the number of its name.
#[derive(Debug, Default)]
pub(super) struct AlgorithmRow {
    pub(super) live: u64,
}

impl Fields for AlgorithmRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self { live } = self;
        visit!(visit, Kind::Moment, live);
    }
}

/// What the kernel side could not do; there is one.
#[derive(Debug, Default)]
pub(super) struct LostRow {
    pub(super) lost: [u64; Lost::COUNT],
}

impl Fields for LostRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self { lost } = self;
        visit_each!(visit, Kind::Counter, lost);
    }
}

/// Runs of a program that were skipped; its id is the number of its name.
#[derive(Debug, Default)]
pub(super) struct MissesRow {
    pub(super) skipped: u64,
    pub(super) taken_over: u64,
}

impl Fields for MissesRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self { skipped, taken_over } = self;
        visit!(visit, Kind::Counter, skipped taken_over);
    }
}

/// A workload; its words are numbers of names.
#[derive(Debug, Default)]
pub(super) struct WorkloadRow {
    pub(super) namespace: u64,
    pub(super) kind: u64,
    pub(super) name: u64,
}

impl Fields for WorkloadRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self { namespace, kind, name } = self;
        visit!(visit, Kind::Identity, namespace kind name);
    }
}

/// What the host says beside the programs, but for its devices, and how many workloads there are; there is one.
#[derive(Debug, Default)]
pub(super) struct HostRow {
    pub(super) squeezed: Maybe<u64>,
    pub(super) conntrack_entries: Maybe<u64>,
    pub(super) conntrack_limit: u64,
    pub(super) conntrack_insert_failed: Maybe<u64>,
    pub(super) conntrack_drop: u64,
    pub(super) conntrack_early_drop: u64,
    pub(super) memory_held: Maybe<u64>,
    pub(super) memory_limits: [u64; 3],
    pub(super) is_under_pressure: Maybe<bool>,
    pub(super) orphans: Maybe<u64>,
    pub(super) orphans_limit: Maybe<u64>,
    pub(super) pressures: Maybe<u64>,
    pub(super) collapsed: Maybe<u64>,
    pub(super) pruned: Maybe<u64>,
    pub(super) out_of_order_pruned: Maybe<u64>,
    pub(super) prunes_failed: Maybe<u64>,
    pub(super) zero_windows: Maybe<u64>,
    pub(super) window_probes: Maybe<u64>,
    pub(super) cookies_sent: Maybe<u64>,
    pub(super) readings_failed: Maybe<u64>,
    pub(super) workloads_used: Maybe<u64>,
    pub(super) workloads_capacity: u64,
    pub(super) workloads_refused: u64,
}

impl Fields for HostRow {
    #[rustfmt::skip]
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            squeezed, conntrack_entries, conntrack_limit, conntrack_insert_failed, conntrack_drop, conntrack_early_drop, memory_held,
            memory_limits, is_under_pressure, orphans, orphans_limit, pressures, collapsed, pruned, out_of_order_pruned, prunes_failed,
            zero_windows, window_probes, cookies_sent, readings_failed, workloads_used, workloads_capacity, workloads_refused,
        } = self;
        visit_maybe!(visit, Kind::Counter, squeezed conntrack_insert_failed pressures collapsed pruned out_of_order_pruned prunes_failed
            zero_windows window_probes cookies_sent readings_failed);
        visit!(visit, Kind::Counter, conntrack_drop conntrack_early_drop);
        visit_maybe!(visit, Kind::Moment, conntrack_entries memory_held is_under_pressure orphans orphans_limit workloads_used);
        visit!(visit, Kind::Moment, conntrack_limit workloads_capacity workloads_refused);
        visit_each!(visit, Kind::Moment, memory_limits);
    }
}

/// A live flow; its id is its cookie.
#[derive(Debug, Default)]
pub(super) struct FlowRow {
    pub(super) record: FlowRecord,
    pub(super) has_instance: bool,
    pub(super) pod: u64,
    pub(super) container_id: u64,
}

impl Fields for FlowRow {
    fn each(&mut self, visit: &mut Visit<'_>) {
        let Self {
            record,
            has_instance,
            pod,
            container_id,
        } = self;
        record.each(visit);
        visit!(visit, Kind::Moment, has_instance pod container_id);
    }
}
