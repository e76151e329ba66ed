//! What holds for any history of snapshots and reloads, any choice of labels and any series cap: sums stay, nothing falls, the
//! cap is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::drops::{Direction, DropCount, DropSource, Protocol};
use common::histogram::{DURATION_BUCKETS, TIME_BUCKETS, rtt_bucket, size_bucket, time_bucket};
use common::map::lost::Lost;
use common::net::address::SubnetKey;
use common::net::connection::ConnectionType;
use common::tcp::group::{Counter, GroupKey};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestCaseError;
use tcpvitals_config::label::Label;
use tcpvitals_config::numbering::Numbering;
use tcpvitals_config::{Config, MetricFilter};
use tcpvitals_metrics::encode::prometheus::{Format, encode};
use tcpvitals_metrics::families;
use tcpvitals_metrics::families::{Accessor, Families, HistogramValue, Kind, METRICS, Point, Scope, Value, number};
use tcpvitals_metrics::labels::{LabelSet, Labelling};
use tcpvitals_metrics::snapshot::{DropOrigin, DropSite, Group, Row, Snapshot};
use tests::exporter::exposition;
use tests::exporter::exposition::protobuf;

use crate::sample::{JIFFY, all_buckets, coverage, empty, observe};

const SUBNETS: u32 = 6;
const REASONS: [&str; 4] = ["NOT_SPECIFIED", "NETFILTER_DROP", "TCP_OLD_DATA", ""];
const LOCATIONS: [&str; 4] = ["unix_stream_connect", "nf_hook_slow", "tcp_rcv", "0xffffffff81000000"];
const TCP_LABELS: [&str; 4] = ["subnet", "connection_type", "app_protocol", "role"];
const DROP_LABELS: [&str; 7] = [
    "location",
    "reason",
    "class",
    "protocol",
    "direction",
    "subnet",
    "connection_type",
];

/// Something that happens between two collections.
#[derive(Clone, Debug)]
enum Event {
    /// A counter of a group grows.
    Counted(Option<GroupKey>, Counter, u64),
    /// A group's histograms get a value.
    Observed(Option<GroupKey>, u32),
    /// A group has so many live flows now.
    Live(Option<GroupKey>, u64),
    /// Packets are dropped.
    Dropped(DropSource, Option<DropSite>, u64),
    /// The kernel side could not do something.
    Lost(usize, u64),
}

fn group_key() -> impl Strategy<Value = Option<GroupKey>> {
    let subnet = prop_oneof![
        8 => (0..2 * SUBNETS).prop_map(SubnetKey::named),
        1 => Just(SubnetKey::FALLBACK),
        1 => Just(SubnetKey::NONE),
    ];
    let key = (subnet, 0u16..4, 0u8..4, 0u8..3).prop_map(|(subnet, protocol, connection, role)| GroupKey {
        subnet,
        protocol,
        connection,
        role,
        ..GroupKey::default()
    });
    prop_oneof![1 => Just(None), 9 => key.prop_map(Some)]
}

fn drop_site() -> impl Strategy<Value = Option<DropSite>> {
    let site = (
        select(&LOCATIONS[..]),
        select(&REASONS[..]),
        option::of((0..SUBNETS).prop_map(SubnetKey::named)),
        option::of(select(&Protocol::ALL[..4])),
        select(&[Direction::Receive, Direction::Transmit][..]),
        option::of(select(&ConnectionType::ALL[..3])),
    );
    let site = site.prop_map(|(location, reason, subnet, protocol, direction, connection)| DropSite {
        location: location.to_owned(),
        reason: reason.to_owned(),
        subnet,
        protocol,
        direction,
        connection,
        ..DropSite::default()
    });
    prop_oneof![1 => Just(None), 9 => site.prop_map(Some)]
}

fn event() -> impl Strategy<Value = Event> {
    let amount = prop_oneof![Just(1), 1u64..1 << 20];
    prop_oneof![
        4 => (group_key(), select(Counter::ALL), amount.clone()).prop_map(|(key, counter, by)| Event::Counted(key, counter, by)),
        2 => (group_key(), any::<u32>()).prop_map(|(key, value)| Event::Observed(key, value)),
        2 => (group_key(), 0u64..50).prop_map(|(key, live)| Event::Live(key, live)),
        4 => (select(&DropSource::ALL[..]), drop_site(), amount)
            .prop_map(|(source, site, packets)| Event::Dropped(source, site, packets)),
        1 => (0..Lost::COUNT, 1u64..9).prop_map(|(lost, by)| Event::Lost(lost, by)),
    ]
}

/// A configuration with these choices.
#[derive(Clone, Debug)]
struct Choices {
    tcp_labels: Vec<&'static str>,
    drop_labels: Vec<&'static str>,
    series: usize,
    ignored_reason: Option<&'static str>,
    ignores_unix: bool,
    /// The subnets have other names.
    renamed: bool,
    /// Every drop has another class.
    all_benign: bool,
}

fn choices() -> impl Strategy<Value = Choices> {
    (
        subsequence(TCP_LABELS.to_vec(), 0..=TCP_LABELS.len()),
        subsequence(DROP_LABELS.to_vec(), 0..=DROP_LABELS.len()),
        prop_oneof![100usize..400, 400usize..4000],
        option::of(select(&REASONS[..3])),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(tcp_labels, drop_labels, series, ignored_reason, [ignores_unix, renamed, all_benign])| Choices {
                tcp_labels,
                drop_labels,
                series,
                ignored_reason,
                ignores_unix,
                renamed,
                all_benign,
            },
        )
}

impl Choices {
    fn config(&self) -> Result<Config> {
        let name = if self.renamed { "new" } else { "net" };
        let subnets: Vec<String> = (0..SUBNETS)
            .map(|number| format!("{{name: {name}-{number}, cidrs: [10.{number}.0.0/16]}}"))
            .collect();
        let reason = self.ignored_reason.map(|reason| format!("{{reason: {reason}}}"));
        let unix = self.ignores_unix.then(|| "{location: unix_*}".to_owned());
        let ignore: Vec<String> = reason.into_iter().chain(unix).collect();
        let yaml = format!(
            "subnets: [{}]\nlabels: {{tcp: [{}], drops: [{}]}}\nlimits: {{series: {}}}\ndrops: {{ignore: [{}], classes: [{}]}}\n",
            subnets.join(", "),
            self.tcp_labels.join(", "),
            self.drop_labels.join(", "),
            self.series,
            ignore.join(", "),
            if self.all_benign {
                "{class: benign, location: \"*\"}"
            } else {
                ""
            },
        );
        Config::from_yaml(&yaml, "any.yaml").with_context(|| yaml)
    }

    /// Said without the exporter's own patterns.
    fn ignores(&self, site: &DropSite) -> bool {
        self.ignored_reason == Some(&site.reason) || (self.ignores_unix && site.location.starts_with("unix_"))
    }
}

/// What the kernel holds, and what the exporter makes of it.
struct World {
    choices: Choices,
    snapshot: Snapshot,
    groups: Vec<Row<Option<GroupKey>, Group>>,
    drops: Vec<Row<DropOrigin, DropCount>>,
    /// What was dropped while it was not ignored.
    not_ignored: BTreeMap<DropSource, DropCount>,
    config: Config,
    numbering: Numbering,
    labelling: Labelling,
}

impl World {
    fn new(choices: &Choices) -> Result<Self> {
        let config = choices.config()?;
        let numbering = Numbering::new(&config);
        Ok(Self {
            choices: choices.clone(),
            snapshot: empty(coverage(&config, &[])?),
            groups: Vec::new(),
            drops: Vec::new(),
            not_ignored: BTreeMap::new(),
            labelling: Labelling::new(&config, &numbering),
            config,
            numbering,
        })
    }

    /// Lets events happen, and collects.
    fn collect(&mut self, events: &[Event]) -> Families {
        for event in events {
            self.happen(event);
        }
        self.snapshot.groups.clone_from(&self.groups);
        self.snapshot.drops.clone_from(&self.drops);
        self.labelling.post(&self.snapshot);
        families::of_view(&mut self.labelling, &self.snapshot, &self.config.shown)
    }

    /// As the collector does: what was counted until now is posted, then the configuration changes.
    fn reload(&mut self, choices: &Choices) -> Result<()> {
        self.collect(&[]);
        let config = choices.config()?;
        self.numbering = self.numbering.with(&config).context("out of numbers")?;
        self.labelling.configure(&config, &self.numbering);
        self.config = config;
        self.choices = choices.clone();
        Ok(())
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Counted(key, counter, by) => {
                row(&mut self.groups, key).counters.counters[*counter as usize] += by;
            }
            Event::Observed(key, value) => {
                let Group { counters, samples } = row(&mut self.groups, key);
                let wide = u64::from(*value);
                observe(&mut counters.rtt, wide, rtt_bucket(*value));
                for histogram in [&mut counters.handshake, &mut samples.smoothed_rtt, &mut samples.rto] {
                    observe(histogram, wide, time_bucket(wide, TIME_BUCKETS));
                }
                observe(&mut counters.duration, wide, time_bucket(wide, DURATION_BUCKETS));
                for histogram in [
                    &mut samples.congestion_window,
                    &mut samples.slow_start_threshold,
                    &mut samples.mss,
                ] {
                    observe(histogram, wide, size_bucket(*value));
                }
            }
            Event::Live(key, live) => row(&mut self.groups, key).samples.live = *live,
            Event::Dropped(source, site, packets) => {
                let more = DropCount {
                    packets: *packets,
                    bytes: 60 * packets,
                    repeated: packets / 2,
                };
                // Two places of the same function make two rows of one site.
                let place = packets % 2;
                let rows = self.drops.iter_mut().filter(|row| row.id % 2 == place);
                match rows.into_iter().find(|row| row.key == (*source, site.clone())) {
                    Some(row) => row.total.merge(&more),
                    None => self.drops.push(Row {
                        id: 2 * self.drops.len() as u64 + place,
                        key: (*source, site.clone()),
                        born: Duration::ZERO,
                        total: more,
                    }),
                }
                if !site.as_ref().is_some_and(|site| self.choices.ignores(site)) {
                    self.not_ignored.entry(*source).or_default().merge(&more);
                }
            }
            Event::Lost(lost, by) => self.snapshot.lost[*lost] += by,
        }
    }
}

/// The total of a group, which may be new.
fn row<'a>(rows: &'a mut Vec<Row<Option<GroupKey>, Group>>, key: &Option<GroupKey>) -> &'a mut Group {
    let known = rows.iter().position(|row| row.key == *key);
    let index = known.unwrap_or_else(|| {
        rows.push(Row {
            id: rows.len() as u64,
            key: *key,
            born: Duration::ZERO,
            total: Group::default(),
        });
        rows.len() - 1
    });
    &mut rows[index].total
}

fn points<'a>(families: &'a Families, name: &'a str) -> impl Iterator<Item = &'a Point> {
    let Families(families) = families;
    families
        .iter()
        .filter(move |family| family.metric.full_name() == name)
        .flat_map(|family| &family.points)
}

/// A value as one number; a histogram's is its sum.
fn amount(value: &Value) -> f64 {
    match value {
        Value::Count(count) => number(*count),
        Value::Number(number) => *number,
        Value::CpuTime(time) => time.seconds(),
        Value::Histogram(histogram) => histogram.sum,
    }
}

/// The sum of a metric's series whose own labels have these values.
fn sum(families: &Families, name: &str, values: &[&str]) -> f64 {
    points(families, name)
        .filter(|point| {
            point
                .own
                .iter()
                .map(|(_, value)| value.as_str())
                .eq(values.iter().copied())
        })
        .map(|point| amount(&point.value))
        .sum()
}

fn check_sums(choices: &Choices, history: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new(choices).map_err(failed)?;
    for Step { reload, events } in history {
        reload
            .iter()
            .try_for_each(|choices| world.reload(choices))
            .map_err(failed)?;
        let families = world.collect(events);
        let groups = || world.groups.iter().map(|row| row.total);
        for metric in METRICS {
            let name = metric.full_name();
            if let Accessor::Counters(points) | Accessor::Jiffies(points) = metric.source {
                let in_jiffies = matches!(metric.source, Accessor::Jiffies(_));
                let unit = if in_jiffies { JIFFY.as_secs_f64() } else { 1.0 };
                for (values, counter) in points {
                    let all: u64 = groups().map(|group| group.counters.get(*counter)).sum();
                    prop_assert_eq!(
                        sum(&families, &name, values),
                        number(all) * unit,
                        "{} {:?}",
                        name,
                        values
                    );
                }
            }
            if let Accessor::GroupHistogram(histogram) = metric.source {
                let all = groups().map(|group| histogram(&group, JIFFY));
                let shown = points(&families, &name).filter_map(|point| match &point.value {
                    Value::Histogram(histogram) => Some(histogram.clone()),
                    Value::Count(_) | Value::Number(_) | Value::CpuTime(_) => None,
                });
                let (all, shown) = (add(all), add(shown));
                prop_assert_eq!(&shown.0, &all.0, "{}", name);
                prop_assert!(
                    (shown.1 - all.1).abs() <= 1e-9 * all.1,
                    "{} {} {}",
                    name,
                    shown.1,
                    all.1
                );
            }
        }
        let live: u64 = groups().map(|group| group.samples.live).sum();
        prop_assert_eq!(sum(&families, "tcpvitals_tcp_connections", &[]), number(live));

        for source in DropSource::ALL {
            let dropped = world.not_ignored.get(&source).copied().unwrap_or_default();
            // Nobody says how long the packets of XDP were.
            let bytes = if source == DropSource::Xdp { 0 } else { dropped.bytes };
            for (name, expected) in [
                ("tcpvitals_dropped_packets_total", dropped.packets),
                ("tcpvitals_dropped_bytes_total", bytes),
            ] {
                prop_assert_eq!(sum(&families, name, &[source.as_str()]), number(expected), "{}", name);
            }
        }
    }
    Ok(())
}

/// Histograms added up: buckets, and the sum of the values.
fn add(histograms: impl Iterator<Item = HistogramValue>) -> (Vec<u64>, f64) {
    let (mut buckets, mut sum) = (Vec::new(), 0.0);
    for histogram in histograms {
        buckets.resize(histogram.buckets.len(), 0);
        for (all, more) in buckets.iter_mut().zip(&histogram.buckets) {
            *all += more;
        }
        sum += histogram.sum;
    }
    // Nothing observed shows as no series, or as a row of zeros before it is shown.
    buckets.truncate(
        buckets
            .iter()
            .rposition(|bucket| *bucket != 0)
            .map_or(0, |last| last + 1),
    );
    (buckets, sum)
}

type Shown = BTreeMap<(String, LabelSet, Vec<(&'static Label, String)>), (Kind, Value)>;

/// Every series by what tells it apart from the others.
fn shown(Families(families): &Families) -> Result<Shown, TestCaseError> {
    let mut all = Shown::new();
    for family in families {
        for point in &family.points {
            let series = (family.metric.full_name(), Arc::clone(&point.labels), point.own.clone());
            let twice = all.insert(series, (family.metric.kind, point.value.clone()));
            prop_assert!(twice.is_none(), "{} {:?} twice", family.metric.full_name(), point);
        }
    }
    Ok(all)
}

fn check_nothing_falls(choices: &Choices, history: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new(choices).map_err(failed)?;
    let (mut before, mut last) = (Shown::new(), Shown::new());
    for Step { reload, events } in history {
        reload
            .iter()
            .try_for_each(|choices| world.reload(choices))
            .map_err(failed)?;
        let now = shown(&world.collect(events))?;
        for (series, (kind, earlier)) in &before {
            if *kind == Kind::Gauge {
                continue;
            }
            let Some((_, later)) = now.get(series) else {
                // Only labels that are switched off or on end a series.
                let was_there = last.contains_key(series);
                prop_assert!(reload.is_some() || !was_there, "{:?} has vanished", series);
                continue;
            };
            let rises = amount(earlier) <= amount(later)
                && match (earlier, later) {
                    (Value::Histogram(earlier), Value::Histogram(later)) => earlier
                        .buckets
                        .iter()
                        .zip(&later.buckets)
                        .all(|(earlier, later)| earlier <= later),
                    (_, later) => !matches!(later, Value::Histogram(_)),
                };
            prop_assert!(rises, "{:?} has fallen from {:?} to {:?}", series, earlier, later);
        }
        // A series that ended must not come back smaller.
        before.extend(now.clone());
        last = now;
    }
    Ok(())
}

/// What the two say about the first key about which they do not say the same: the whole would fill pages.
fn first_difference<K: Ord + Clone, V: PartialEq + Clone>(
    left: &BTreeMap<K, V>,
    right: &BTreeMap<K, V>,
) -> Option<(K, Option<V>, Option<V>)> {
    let mut keys = left.keys().chain(right.keys());
    let key = keys.find(|key| left.get(key) != right.get(key))?;
    Some((key.clone(), left.get(key).cloned(), right.get(key).cloned()))
}

fn check_cap(choices: &Choices, history: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new(choices).map_err(failed)?;
    let mut most = choices.series;
    for Step { reload, events } in history {
        reload
            .iter()
            .try_for_each(|choices| world.reload(choices))
            .map_err(failed)?;
        most = most.max(world.choices.series);
        let families = Arc::new(world.collect(events));
        let series = |scope| {
            let Families(families) = &*families;
            let of_scope = families
                .iter()
                .filter(move |family| family.metric.source.scope() == scope);
            of_scope.map(|family| family.points.len()).sum::<usize>()
        };
        let (tcp, drops, own) = (series(Scope::Tcp), series(Scope::Drops), series(Scope::Exporter));
        prop_assert_eq!(series(Scope::Listeners), 0);
        let cost = families::cost(&MetricFilter::default());
        // Each kind has its row `other` on top, drops one for each source.
        let others = cost.group + DropSource::ALL.len() * cost.drop;
        prop_assert!(tcp + drops <= most + others, "{tcp} and {drops}");
        prop_assert_eq!(
            sum(&families, "tcpvitals_series", &[]),
            number((tcp + drops + own) as u64)
        );

        let histograms = Arc::new(all_buckets());
        // Whatever was chosen, every format is correct and says the same.
        let encode = |format| {
            let body = encode(&families, families.started(), format, &histograms);
            body.map_err(|error| TestCaseError::fail(error.to_string()))
        };
        let read = |format, strict| {
            let text = String::from_utf8(encode(format)?).map_err(|error| TestCaseError::fail(error.to_string()))?;
            exposition::parse(&text, strict).map_err(|error| TestCaseError::fail(format!("{error:#}")))
        };
        let open_metrics = read(Format::OpenMetrics, exposition::Format::OpenMetrics)?;
        let text = read(Format::Text, exposition::Format::Prometheus)?;
        prop_assert_eq!(first_difference(&open_metrics.samples, &text.samples), None);
        // Its reader finds the native buckets equal to the classic ones.
        let protobuf =
            protobuf::decode(&encode(Format::Protobuf)?).and_then(|families| protobuf::exposition(&families));
        let protobuf = protobuf.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        prop_assert_eq!(first_difference(&protobuf.samples, &text.samples), None);
        let help = |read: &exposition::Exposition| {
            let families = read.families.iter();
            families
                .map(|(name, family)| (name.clone(), family.help.clone()))
                .collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(first_difference(&help(&protobuf), &help(&text)), None);
    }
    Ok(())
}

/// A reload or none, then what happens until the next collection.
#[derive(Clone, Debug)]
struct Step {
    reload: Option<Choices>,
    events: Vec<Event>,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let reload = option::weighted(0.4, choices());
    let step = (reload, prop::collection::vec(event(), 0..40)).prop_map(|(reload, events)| Step { reload, events });
    prop::collection::vec(step, 1..6)
}

fn failed(error: anyhow::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error:#}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_sum_over_all_series_is_the_sum_over_the_snapshot(choices in choices(), history in history()) {
        check_sums(&choices, &history)?;
    }

    #[test]
    fn no_series_falls_or_vanishes_while_the_snapshot_grows(choices in choices(), history in history()) {
        check_nothing_falls(&choices, &history)?;
    }

    #[test]
    fn the_cap_is_kept_and_any_choice_makes_a_correct_text(choices in choices(), history in history()) {
        check_cap(&choices, &history)?;
    }
}
