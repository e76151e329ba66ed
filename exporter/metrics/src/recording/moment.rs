//! What is recorded of one collection, and the same as rows of numbers. From the collector; to files, and back.

use super::{
    fields::{numbers, row},
    host::{host_of, host_row},
    names::{Names, kept},
    rows::{AlgorithmRow, DropRow, FlowRow, GroupRow, HostRow, LostRow, MissesRow, Rows, Tables, WorkloadRow, place},
};
use crate::{
    coverage::Coverage,
    rows::drops::CodeAddress,
    snapshot::{DropOrigin, DropSite, Exporter, Group, NameSource, Row, Snapshot},
    workloads::{Instance, Workload},
};
use common::{
    drops::{DropCount, DropSource},
    map::{capacity::Capacity, lost::Misses},
    tcp::{
        accept_queue::{ListenerKey, OTHER_LISTENERS},
        group::GroupKey,
        record::FlowRecord,
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What holds for a whole recording.
#[derive(Clone, Debug)]
pub struct About {
    /// Version of the exporter that recorded.
    pub version: String,
    /// The configuration, in YAML.
    pub configuration: String,
    /// Name of the host.
    pub host: String,
    /// Release of the kernel.
    pub kernel: String,
    /// When the programs were loaded, since 1970.
    pub started: Duration,
    /// From one moment to the next.
    pub interval: Duration,
    /// Where people should begin to look, after the first moment.
    pub entry: Duration,
    /// Length of a jiffy.
    pub jiffy: Duration,
    /// Slots of the tables.
    pub capacity: Capacity,
    /// What ran, and what did not and why.
    pub coverage: Coverage,
    /// The source of names of workloads, if they were told apart.
    pub source_of_names: Option<&'static str>,
}

/// What was read at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Without what the exporter knows of itself, and without findings. Of the host's devices nothing is recorded.
    pub snapshot: Snapshot,
    /// Every live flow.
    pub flows: Vec<Flow>,
    /// Where rows of drops are in the kernel's code, by their ids.
    pub places: BTreeMap<u64, Place>,
}

/// A live flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    pub record: FlowRecord,
    /// Its pod and its container; `None` where workloads are not told apart.
    pub instance: Option<Arc<Instance>>,
}

/// Where in the kernel's code packets are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `None` where the kernel does not name it.
    pub address: Option<CodeAddress>,
    /// What tells it from others where the kernel does not name it.
    pub alias: String,
}

/// The only row of a table that has one.
const ONLY: u64 = 0;

/// A time in nanoseconds.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Moment {
    /// As rows of numbers.
    pub(super) fn tables(&self, names: &mut Names) -> Tables {
        let Self {
            snapshot,
            flows,
            places,
        } = self;
        let mut tables = Tables::default();
        let mut put = |table: usize, id: u64, numbers: Vec<u64>| {
            if let Some(rows) = tables.get_mut(table) {
                rows.insert(id, numbers);
            }
        };
        for Row { id, key, born, total } in &snapshot.groups {
            let Group { counters, samples } = *total;
            let group = GroupRow {
                has_key: key.is_some(),
                key: key.unwrap_or_default().words(),
                born: nanos(*born),
                counters,
                samples,
            };
            put(place::GROUPS, *id, numbers(group));
        }
        for drop in &snapshot.drops {
            let place = places.get(&drop.id).cloned().unwrap_or_default();
            put(place::DROPS, drop.id, numbers(drop_row(drop, place, names)));
        }
        for (name, live) in &snapshot.algorithms {
            put(
                place::ALGORITHMS,
                names.number(name),
                numbers(AlgorithmRow { live: *live }),
            );
        }
        for (key, queues) in &snapshot.listeners {
            let id = key.map_or(OTHER_LISTENERS, ListenerKey::number);
            put(place::LISTENERS, id, numbers(*queues));
        }
        put(place::LOST, ONLY, numbers(LostRow { lost: snapshot.lost }));
        for (program, Misses { skipped, taken_over }) in &snapshot.misses {
            let misses = MissesRow {
                skipped: *skipped,
                taken_over: *taken_over,
            };
            put(place::MISSES, names.number(program), numbers(misses));
        }
        for (number, Workload { namespace, kind, name }) in (0..).zip(snapshot.workloads.iter()) {
            let workload = WorkloadRow {
                namespace: names.number(namespace),
                kind: names.number(kind),
                name: names.number(name),
            };
            put(place::WORKLOADS, number, numbers(workload));
        }
        let host = host_row(&snapshot.host, snapshot.exporter.workloads);
        put(place::HOST, ONLY, numbers(host));
        for Flow { record, instance } in flows {
            let mut name = |of: fn(&Instance) -> &String| {
                instance
                    .as_ref()
                    .map_or(0, |instance| names.number(of(instance).as_str()))
            };
            let flow = FlowRow {
                record: *record,
                has_instance: instance.is_some(),
                pod: name(|instance| &instance.pod),
                container_id: name(|instance| &instance.container_id),
            };
            put(place::FLOWS, record.cookie, numbers(flow));
        }
        tables
    }

    /// From rows of numbers. `at` is when it was collected, and `time` says when it was what rows say in nanoseconds since 1970.
    pub(super) fn of_tables(
        tables: &Tables,
        names: &Names,
        about: &About,
        at: Duration,
        time: impl Fn(u64) -> Duration,
    ) -> Self {
        let rows = |table: usize| tables.get(table).into_iter().flatten();
        let only = |table: usize| tables.get(table).and_then(|rows: &Rows| rows.get(&ONLY));
        let mut places = BTreeMap::new();
        let drops = rows(place::DROPS).map(|(id, numbers)| {
            let drop: DropRow = row(numbers);
            let (born, count) = (time(drop.born), drop.count);
            let (key, place) = origin(drop, names);
            places.insert(*id, place);
            Row {
                id: *id,
                key,
                born,
                total: count,
            }
        });
        let drops = drops.collect();
        let host: HostRow = only(place::HOST).map(|numbers| row(numbers)).unwrap_or_default();
        let (host, workloads) = host_of(host);
        let lost: LostRow = only(place::LOST).map(|numbers| row(numbers)).unwrap_or_default();
        let name_source = about.source_of_names.map(|name| NameSource {
            name,
            off: None,
            note: None,
            since: time(nanos(about.started)),
            last_update: None,
        });
        let snapshot = Snapshot {
            at,
            groups: rows(place::GROUPS)
                .map(|(id, numbers)| group_of(*id, row(numbers), &time))
                .collect(),
            drops,
            workloads: rows(place::WORKLOADS)
                .map(|(_, numbers)| workload_of(row(numbers), names))
                .collect(),
            algorithms: rows(place::ALGORITHMS)
                .map(|(name, numbers)| (names.name(*name).to_owned(), row::<AlgorithmRow>(numbers).live))
                .collect(),
            listeners: rows(place::LISTENERS)
                .map(|(key, numbers)| (ListenerKey::from_number(*key), row(numbers)))
                .collect(),
            lost: lost.lost,
            misses: rows(place::MISSES)
                .filter_map(|(name, numbers)| {
                    let MissesRow { skipped, taken_over } = row(numbers);
                    Some((kept(names.name(*name))?, Misses { skipped, taken_over }))
                })
                .collect(),
            coverage: about.coverage.clone(),
            capacity: about.capacity,
            jiffy: about.jiffy,
            host,
            findings: None,
            exporter: Exporter {
                workloads,
                name_source,
                ..Exporter::default()
            },
        };
        let flows = rows(place::FLOWS).map(|(_, numbers)| flow_of(row(numbers), names));
        Self {
            snapshot,
            flows: flows.collect(),
            places,
        }
    }
}

fn group_of(id: u64, group: GroupRow, time: impl Fn(u64) -> Duration) -> Row<Option<GroupKey>, Group> {
    let GroupRow {
        has_key,
        key,
        born,
        counters,
        samples,
    } = group;
    Row {
        id,
        key: has_key.then(|| GroupKey::from_words(key)),
        born: time(born),
        total: Group { counters, samples },
    }
}

fn drop_row(drop: &Row<DropOrigin, DropCount>, place: Place, names: &mut Names) -> DropRow {
    let (source, site) = &drop.key;
    let Place { address, alias } = place;
    let mut row = DropRow {
        source: *source as u8,
        has_site: site.is_some(),
        born: nanos(drop.born),
        alias: names.number(&alias),
        count: drop.total,
        ..DropRow::default()
    };
    if let Some(CodeAddress { offset, module }) = address {
        row.offset = Some(offset).into();
        row.has_module = module.is_some();
        row.module = names.number(&module.unwrap_or_default());
    }
    if let Some(site) = site {
        row.location = names.number(&site.location);
        row.reason = names.number(&site.reason);
        row.site = DropSite {
            location: String::new(),
            reason: String::new(),
            ..site.clone()
        };
    }
    row
}

fn origin(row: DropRow, names: &Names) -> (DropOrigin, Place) {
    let DropRow {
        source,
        has_site,
        location,
        reason,
        site,
        born: _,
        offset,
        has_module,
        module,
        alias,
        count: _,
    } = row;
    let name = |number: u64| names.name(number).to_owned();
    let site = has_site.then(|| DropSite {
        location: name(location),
        reason: name(reason),
        ..site
    });
    let address = Option::from(offset).map(|offset| CodeAddress {
        offset,
        module: has_module.then(|| name(module)),
    });
    let place = Place {
        address,
        alias: name(alias),
    };
    ((DropSource::from_number(source), site), place)
}

fn workload_of(WorkloadRow { namespace, kind, name }: WorkloadRow, names: &Names) -> Workload {
    let [namespace, kind, name] = [namespace, kind, name].map(|number| names.name(number).to_owned());
    Workload { namespace, kind, name }
}

fn flow_of(flow: FlowRow, names: &Names) -> Flow {
    let FlowRow {
        record,
        has_instance,
        pod,
        container_id,
    } = flow;
    let instance = has_instance.then(|| Arc::new(Instance::new(names.name(pod), names.name(container_id))));
    Flow { record, instance }
}
