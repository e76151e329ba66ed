//! Metric families: the metric table applied to a labelled snapshot. Both exporters read the result and nothing else.

mod table;

pub mod reference;
pub mod semantic;

use crate::{
    coverage::Coverage,
    labels::{Cost, LabelSet, Labelled},
    snapshot::{Exporter, Group, Push, Refusal},
};
use common::{
    drops::{self, DropCount},
    histogram::Histogram,
    map::lost::Lost,
    tcp::group::Counter,
};
use std::{sync::Arc, time::Duration};
use tcpvitals_config::{DropLabel, TcpLabel, label::Label};

pub use table::METRICS;

/// What precedes the name of every metric but the standard ones.
pub const PREFIX: &str = "tcpvitals";

/// One metric of the table.
#[derive(Debug)]
pub struct Metric {
    /// Name without prefix, unit and `_total`.
    pub name: &'static str,
    /// Base unit.
    pub unit: Unit,
    /// The name over OTLP where the semantic conventions have one.
    pub dotted: Option<&'static str>,
    /// Kind.
    pub kind: Kind,
    /// One sentence without a full stop.
    pub help: &'static str,
    /// Labels of its own, besides those of its scope.
    pub labels: &'static [Label],
    /// The kernel field, hook or RFC it comes from, for the reference page.
    pub from: &'static str,
    /// Programs without which it says nothing.
    pub programs: &'static [&'static str],
    /// Programs of which one must run, lest it say nothing.
    pub one_of: &'static [&'static str],
    /// Kernel fields without which it says nothing.
    pub fields: &'static [&'static str],
    /// Where its values are in a labelled snapshot.
    pub source: Source,
}

/// Base unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count of what OTLP names in braces, and the name says; "1" of nothing.
    Counted(&'static str),
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// TCP segments, where the name does not say what is counted.
    Segments,
}

impl Unit {
    /// The suffix in a metric's name; "" for none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counted(_) => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Segments => "segments",
        }
    }

    /// The unit over OTLP, in UCUM.
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Counted(what) => what,
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::Segments => "{segment}",
        }
    }
}

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never falls.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Exponential buckets.
    Histogram,
}

impl Kind {
    /// The word for the reference page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Which labels a metric has besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `labels.tcp`
    Tcp,
    /// `labels.drops`
    Drops,
    /// None.
    Exporter,
}

impl Scope {
    /// The labels, each of which can be switched off.
    pub fn labels(self) -> Vec<&'static Label> {
        match self {
            Self::Tcp => TcpLabel::ALL.map(TcpLabel::label).to_vec(),
            Self::Drops => DropLabel::ALL.map(DropLabel::label).to_vec(),
            Self::Exporter => Vec::new(),
        }
    }
}

/// Values of a metric's own labels, and what they are read from.
pub type Points<T> = &'static [(&'static [&'static str], T)];

/// Where the values of a metric are.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Counters of a group.
    Counters(Points<Counter>),
    /// Counters of a group in jiffies, shown in seconds.
    Jiffies(Points<Counter>),
    /// A value of a group, if it has one; a jiffy is `Duration` long.
    GroupGauge(fn(&Group, Duration) -> Option<f64>),
    /// A histogram of a group.
    GroupHistogram(fn(&Group, Duration) -> HistogramValue),
    /// A count of a row of drops, with the label `source`: of those that know it.
    Drops(&'static [drops::DropSource], fn(&DropCount) -> u64),
    /// Live flows by algorithm.
    Algorithms,
    /// Programs: 1 when attached.
    Programs,
    /// Runs that the kernel skipped, by program.
    Misses,
    /// What the kernel side could not do.
    Lost(Points<Lost>),
    /// Label sets that the series cap refused.
    SeriesOverflow,
    /// Series in this exposition.
    Series,
    /// Groups in use: slots given out.
    Groups,
    /// Slots for groups.
    GroupCapacity,
    /// What became of pushes over OTLP; none while nothing is to be pushed.
    Pushes(Points<Push>),
    /// Answers of the HTTP server, by status code.
    Answers,
    /// What the HTTP server refused.
    Refused(Points<Refusal>),
    /// The version.
    BuildInfo,
    /// What the exporter knows of itself.
    Exporter(fn(&Exporter) -> Option<f64>),
    /// The same, under a standard name without prefix.
    Process(fn(&Exporter) -> Option<f64>),
}

impl Source {
    /// Which labels its metrics have besides their own.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Counters(_) | Self::Jiffies(_) | Self::GroupGauge(_) | Self::GroupHistogram(_) => Scope::Tcp,
            Self::Drops(..) => Scope::Drops,
            Self::Algorithms
            | Self::Programs
            | Self::Misses
            | Self::Lost(_)
            | Self::SeriesOverflow
            | Self::Series
            | Self::Groups
            | Self::GroupCapacity
            | Self::Pushes(_)
            | Self::Answers
            | Self::Refused(_)
            | Self::BuildInfo
            | Self::Exporter(_)
            | Self::Process(_) => Scope::Exporter,
        }
    }

    /// The values of its own labels that the table lists.
    fn listed(self) -> Vec<Vec<&'static str>> {
        if let Self::Counters(points) | Self::Jiffies(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::Pushes(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::Refused(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::Drops(sources, _) = self {
            sources.iter().map(|source| vec![source.as_str()]).collect()
        } else {
            Vec::new()
        }
    }

    /// Series per label set of the scope.
    const fn width(self) -> usize {
        if let Self::Counters(points) | Self::Jiffies(points) = self {
            points.len()
        } else {
            1
        }
    }
}

impl Metric {
    /// The name with its prefix; encoders add the unit and the suffix.
    pub fn name_without_unit(&self) -> String {
        if matches!(self.source, Source::Process(_)) {
            self.name.to_owned()
        } else {
            format!("{PREFIX}_{}", self.name)
        }
    }

    /// The full name, as a query has it; that of a histogram is the base of its series.
    pub fn full_name(&self) -> String {
        let mut name = self.name_without_unit();
        let unit = self.unit.as_str();
        if !unit.is_empty() {
            name.push('_');
            name.push_str(unit);
        }
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }

    /// What it says, as a sentence without a full stop.
    pub fn sentence(&self) -> String {
        let mut sentence = self.help.to_owned();
        if matches!(self.source, Source::SeriesOverflow) {
            let Cost { group, drop } = cost();
            sentence += &format!(" (a label set of the TCP metrics takes {group} series, of drops {drop})");
        }
        sentence
    }

    /// Why it says nothing on this kernel with this configuration; `None` when it does.
    pub fn why_off(&self, coverage: &Coverage) -> Option<String> {
        let program = self.programs.iter().find_map(|name| {
            let reason = coverage.why_off(name)?;
            Some(format!("{name} is not attached: {reason}"))
        });
        let field = || {
            self.fields.iter().find_map(|global| {
                let reason = coverage.why_missing(global)?;
                Some(format!("the field {global} is missing: {reason}"))
            })
        };
        let none_of = || {
            let [first, ..] = self.one_of else { return None };
            let reason = coverage.why_off(first)?;
            let none = self.one_of.iter().all(|name| !coverage.runs(name));
            none.then(|| format!("none of {} is attached: {reason}", self.one_of.join(", ")))
        };
        program.or_else(field).or_else(none_of)
    }
}

/// Series that one label set takes.
pub fn cost() -> Cost {
    Cost {
        group: series_of(Scope::Tcp),
        drop: series_of(Scope::Drops),
    }
}

fn series_of(scope: Scope) -> usize {
    METRICS
        .iter()
        .filter(|metric| metric.source.scope() == scope)
        .map(|metric| metric.source.width())
        .sum()
}

/// All families of one snapshot, in the order of the table. A metric that is off has none.
#[derive(Debug)]
pub struct Families(pub Vec<Family>);

impl Families {
    /// When every counter was 0, as the time since 1970: at the start of the exporter, by `process_start_time_seconds`. A series that
    /// appears later was 0 until then.
    pub fn started(&self) -> Option<Duration> {
        let Self(families) = self;
        let own = |family: &&Family| family.metric.name == table::PROCESS_START;
        let point = families.iter().find(own)?.points.first()?;
        match point.value {
            Value::Number(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Value::Count(_) | Value::Histogram(_) => None,
        }
    }
}

/// A metric and its series.
#[derive(Debug)]
pub struct Family {
    /// The metric.
    pub metric: &'static Metric,
    /// Its series.
    pub points: Vec<Point>,
}

impl Family {
    /// What the exporter does not know of itself is no metric, such as pushes when nothing is to be pushed.
    fn says_nothing(&self) -> bool {
        let may = matches!(
            self.metric.source,
            Source::Pushes(_) | Source::Answers | Source::Refused(_) | Source::Exporter(_)
        );
        may && self.points.is_empty()
    }
}

/// One series.
#[derive(Clone, Debug)]
pub struct Point {
    /// Labels of the scope.
    pub labels: LabelSet,
    /// Names and values of the metric's own labels.
    pub own: Vec<(&'static Label, String)>,
    /// Its value.
    pub value: Value,
}

impl Point {
    /// All labels and their values.
    pub fn all_labels(&self) -> impl Iterator<Item = (&'static Label, &str)> {
        let all = self.labels.iter().chain(&self.own);
        all.map(|(label, value)| (*label, value.as_str()))
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number that never falls.
    Count(u64),
    /// A number.
    Number(f64),
    /// A histogram.
    Histogram(HistogramValue),
}

/// A histogram in base units.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramValue {
    /// Sum of the values.
    pub sum: f64,
    /// Prometheus schema and OpenTelemetry scale: 2^schema buckets per power of two.
    pub schema: i32,
    /// Index of the first bucket in a Prometheus native histogram: its upper bound is 2^(first / 2^schema).
    pub first: i32,
    /// Values per bucket, not cumulative; the last one also holds what is larger.
    pub buckets: Vec<u64>,
}

impl HistogramValue {
    fn new<const N: usize>(histogram: &Histogram<N>, schema: i32, first: i32, sum: impl Fn(u64) -> f64) -> Self {
        Self {
            sum: sum(histogram.sum),
            schema,
            first,
            buckets: histogram.buckets.to_vec(),
        }
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Upper bound and count, not cumulative, of classic buckets: one per power of two, and one for the rest.
    pub fn classic(&self) -> Vec<(f64, u64)> {
        let per_octave = 1 << self.schema;
        let mut classic = Vec::new();
        let mut count = 0;
        let last = self.buckets.len().saturating_sub(1);
        for (exponent, (index, bucket)) in (self.first..).zip(self.buckets.iter().enumerate()) {
            count += bucket;
            if index != last && exponent.rem_euclid(per_octave) == 0 {
                classic.push((f64::exp2(f64::from(exponent / per_octave)), count));
                count = 0;
            }
        }
        classic.push((f64::INFINITY, count));
        classic
    }
}

/// A count as a metric's number: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "metrics are f64")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// `count` times a unit of time, in seconds. One division at the end, so that 105 us is 0.000105 s and not a little less.
pub fn seconds(count: u64, unit: Duration) -> f64 {
    const NANOSECONDS: f64 = 1e9;
    #[expect(clippy::cast_precision_loss, reason = "units are far below a second")]
    let unit = unit.as_nanos() as f64;
    number(count) * unit / NANOSECONDS
}

/// Applies the table to a labelled snapshot.
pub fn build(labelled: &Labelled<'_>) -> Families {
    let coverage = &labelled.snapshot.coverage;
    let mut families: Vec<Family> = METRICS
        .iter()
        .filter(|metric| metric.why_off(coverage).is_none())
        .map(|metric| Family {
            metric,
            points: points(metric, labelled),
        })
        .filter(|family| !family.says_nothing())
        .collect();
    let series = families.iter().map(|family| family.points.len()).sum::<usize>();
    for family in &mut families {
        if matches!(family.metric.source, Source::Series) {
            family.points = vec![alone(Vec::new(), Value::Number(number(series as u64 + 1)))];
        }
    }
    Families(families)
}

fn points(metric: &'static Metric, labelled: &Labelled<'_>) -> Vec<Point> {
    let snapshot = labelled.snapshot;
    let jiffy = snapshot.jiffy;
    let of_groups = |value: &dyn Fn(&Group) -> Option<Value>| -> Vec<Point> {
        let groups = labelled.groups.iter();
        groups
            .filter_map(|(labels, group)| Some(point(labels, Vec::new(), value(group)?)))
            .collect()
    };
    let one = |value: f64| vec![alone(Vec::new(), Value::Number(value))];
    match metric.source {
        Source::Counters(points) => counters(metric, points, labelled, Value::Count),
        Source::Jiffies(points) => counters(metric, points, labelled, |jiffies| {
            Value::Number(seconds(jiffies, jiffy))
        }),
        Source::GroupGauge(gauge) => of_groups(&|group| gauge(group, jiffy).map(Value::Number)),
        Source::GroupHistogram(histogram) => of_groups(&|group| {
            let histogram = histogram(group, jiffy);
            (histogram.count() != 0).then_some(Value::Histogram(histogram))
        }),
        Source::Drops(sources, count) => {
            let known = labelled
                .drops
                .iter()
                .filter(|((_, source), _)| sources.contains(source));
            known
                .map(|((labels, source), row)| point(labels, own(metric, &[source.as_str()]), Value::Count(count(row))))
                .collect()
        }
        Source::Algorithms => {
            let live = snapshot.algorithms.iter();
            live.map(|(name, live)| alone(own(metric, &[name]), Value::Number(number(*live))))
                .collect()
        }
        Source::Programs => {
            let programs = snapshot.coverage.programs.iter();
            programs
                .map(|program| {
                    let reason = program.off.as_deref().unwrap_or("");
                    let attached = if program.off.is_none() { 1.0 } else { 0.0 };
                    alone(
                        own(metric, &[program.name, program.hook, reason]),
                        Value::Number(attached),
                    )
                })
                .collect()
        }
        Source::Misses => {
            let misses = snapshot.misses.iter();
            misses
                .map(|(program, misses)| alone(own(metric, &[program]), Value::Count(misses.lost())))
                .collect()
        }
        Source::Lost(points) => {
            let count = |lost: Lost| snapshot.lost.get(lost as usize).copied().unwrap_or(0);
            points
                .iter()
                .map(|(values, lost)| alone(own(metric, values), Value::Count(count(*lost))))
                .collect()
        }
        Source::SeriesOverflow => {
            let refused = ["tcp", "drops"].into_iter().zip(labelled.refused);
            refused
                .map(|(metrics, refused)| alone(own(metric, &[metrics]), Value::Count(refused as u64)))
                .collect()
        }
        // Filled in when all others are known.
        Source::Series => Vec::new(),
        Source::Groups => {
            let used = snapshot.groups.iter().filter(|row| row.key.is_some()).count();
            one(number(used as u64))
        }
        // The slot `other` is no place for a group of its own.
        Source::GroupCapacity => one(f64::from(snapshot.capacity.groups - 1)),
        Source::Pushes(points) => {
            let counts = snapshot.exporter.pushes.iter().flat_map(|pushes| {
                let count = |push: Push| pushes.counts.get(push as usize).copied().unwrap_or(0);
                points.iter().map(move |(values, push)| (values, count(*push)))
            });
            counts
                .map(|(values, count)| alone(own(metric, values), Value::Count(count)))
                .collect()
        }
        Source::Answers => {
            let answers = snapshot.exporter.served.iter().flat_map(|served| &served.answers);
            answers
                .map(|(code, count)| alone(own(metric, &[&code.to_string()]), Value::Count(*count)))
                .collect()
        }
        Source::Refused(points) => {
            let counts = snapshot.exporter.served.iter().flat_map(|served| {
                let count = |why: Refusal| served.refused.get(why as usize).copied().unwrap_or(0);
                points.iter().map(move |(values, why)| (values, count(*why)))
            });
            counts
                .map(|(values, count)| alone(own(metric, values), Value::Count(count)))
                .collect()
        }
        Source::BuildInfo => vec![alone(own(metric, &[env!("CARGO_PKG_VERSION")]), Value::Number(1.0))],
        Source::Exporter(value) | Source::Process(value) => value(&snapshot.exporter).map(one).unwrap_or_default(),
    }
}

fn counters(
    metric: &Metric,
    points: Points<Counter>,
    labelled: &Labelled<'_>,
    value: impl Fn(u64) -> Value,
) -> Vec<Point> {
    let of_group = |(labels, group): (&LabelSet, &Group)| {
        let row = points
            .iter()
            .map(|(values, counter)| point(labels, own(metric, values), value(group.counters.get(*counter))));
        row.collect::<Vec<_>>()
    };
    labelled.groups.iter().flat_map(of_group).collect()
}

fn own(metric: &Metric, values: &[&str]) -> Vec<(&'static Label, String)> {
    metric
        .labels
        .iter()
        .zip(values.iter().map(|value| String::from(*value)))
        .collect()
}

fn point(labels: &LabelSet, own: Vec<(&'static Label, String)>, value: Value) -> Point {
    Point {
        labels: Arc::clone(labels),
        own,
        value,
    }
}

fn alone(own: Vec<(&'static Label, String)>, value: Value) -> Point {
    point(&Arc::from([]), own, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::kernel::fields::FIELDS;
    use std::collections::HashSet;

    #[test]
    fn every_counter_of_a_group_has_exactly_one_series() {
        let mut shown = Vec::new();
        for metric in METRICS {
            if let Source::Counters(points) | Source::Jiffies(points) = metric.source {
                shown.extend(points.iter().map(|(_, counter)| *counter));
            }
        }
        let distinct: HashSet<Counter> = shown.iter().copied().collect();
        assert_eq!(shown.len(), Counter::COUNT);
        assert_eq!(distinct.len(), Counter::COUNT);
    }

    #[test]
    fn every_loss_has_exactly_one_series() {
        let mut shown: Vec<usize> = Vec::new();
        for metric in METRICS {
            if let Source::Lost(points) = metric.source {
                shown.extend(points.iter().map(|(_, lost)| *lost as usize));
            }
        }
        shown.sort_unstable();
        assert_eq!(shown, (0..Lost::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn entries_are_well_formed() {
        let mut names = HashSet::new();
        for metric in METRICS {
            let name = metric.full_name();
            assert!(names.insert(name.clone()), "{name} twice");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
            assert!(!metric.name.ends_with("_total"), "{name}");
            assert!(
                !metric.help.is_empty() && !metric.help.ends_with('.') && !metric.help.contains('\n'),
                "{name}"
            );
            assert!(!metric.from.is_empty(), "{name}");
            assert_eq!(
                metric.kind == Kind::Histogram,
                matches!(metric.source, Source::GroupHistogram(_)),
                "{name}"
            );
            for field in metric.fields {
                assert!(FIELDS.iter().any(|known| known.global == *field), "{name}: {field}");
            }
            if let Source::Counters(points) | Source::Jiffies(points) = metric.source {
                assert!(
                    points.iter().all(|(values, _)| values.len() == metric.labels.len()),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn classic_buckets_are_the_powers_of_two_among_the_native_ones() {
        let value = HistogramValue {
            sum: 1.0,
            schema: 2,
            first: -2,
            buckets: vec![1, 2, 4, 8, 16, 32, 64, 128],
        };
        // Exponents -2 to 5 in quarters: 0 and 4 are powers of two.
        assert_eq!(
            value.classic(),
            [(1.0, 1 + 2 + 4), (2.0, 8 + 16 + 32 + 64), (f64::INFINITY, 128)]
        );
        assert_eq!(value.count(), 255);
    }
}
