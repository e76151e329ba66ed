//! Delta temporality: what each series has grown by since the receiver last acknowledged it.
//! It must never forget what was not acknowledged: the base moves on acknowledgement only, so the next push holds it again.
//! From cumulative families; to the readings of a request.

use super::reading::{Nanos, Reading, Readings, Slice, Starts, is_additive, nanos};
use crate::{
    families::{Families, Family, HistogramValue, Metric, Point, Value},
    labels::LabelSet,
    snapshot::CpuTime,
};
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};
use tcpvitals_config::label::Label;

/// What was acknowledged, series by series.
#[derive(Debug)]
pub struct Deltas {
    /// Since when a series counts that was never acknowledged: the start, or the last time that labels changed.
    opened: Nanos,
    base: HashMap<Series, Base>,
    closed: HashMap<Series, Closed>,
}

/// A series: its metric's name, and its labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Series {
    metric: &'static str,
    labels: LabelSet,
    own: Vec<(&'static Label, String)>,
}

/// The cumulative value that was acknowledged, and when it was true.
#[derive(Clone, Debug)]
struct Base {
    value: Value,
    at: Nanos,
}

/// What a series that is no more had grown by and nobody acknowledged.
#[derive(Clone, Debug)]
struct Closed {
    metric: &'static Metric,
    point: Point,
    since: Nanos,
    until: Nanos,
}

/// One snapshot by the labels before and after a reload.
#[derive(Clone, Debug)]
pub struct Relabelled {
    pub at: Nanos,
    /// All that was counted until then, under the old labels.
    pub by_old: Arc<Families>,
    /// The same under the new ones.
    pub by_new: Arc<Families>,
}

/// Changes of labels that the deltas have yet to learn of: however many there are, they take the memory of two.
#[derive(Debug)]
pub struct Relabelling {
    first: Relabelled,
    /// What has grown since the first one, by the labels of the last.
    since: Option<Deltas>,
}

impl Relabelling {
    pub const fn new(first: Relabelled) -> Self {
        Self { first, since: None }
    }

    /// And another one after it.
    pub fn then(&mut self, Relabelled { at, by_old, by_new }: &Relabelled) {
        let Self { first, since } = self;
        let since = since.get_or_insert_with(|| {
            let mut since = Deltas::new(first.at);
            since.acknowledge_all(&first.by_new, first.at);
            since
        });
        since.relabel(by_old, by_new, *at);
    }
}

impl Deltas {
    /// Nothing is acknowledged; counters began at `start`.
    pub fn new(start: Nanos) -> Self {
        Self {
            opened: start,
            base: HashMap::new(),
            closed: HashMap::new(),
        }
    }

    /// What counters and histograms of a part have grown by; the others as they are.
    pub fn readings<'a>(&'a self, part: &'a [Slice<'a>], starts: Starts, now: Nanos) -> Vec<Readings<'a>> {
        let of = |Slice { metric, points }: &Slice<'a>| {
            let readings = points.iter().filter_map(|point| {
                if !is_additive(metric) {
                    return Some(Reading::new(point, starts.of(point), now));
                }
                let (value, since) = self.of(metric, point, starts.of(point))?;
                Some(Reading {
                    point,
                    value: Cow::Owned(value),
                    // The clock may have been set back since.
                    since: since.min(now.saturating_sub(1)),
                    until: now,
                })
            });
            (*metric, readings.collect())
        };
        part.iter().map(of).collect()
    }

    /// What a series that began at `born` has grown by, and since when; nothing if it has not.
    fn of(&self, metric: &Metric, point: &Point, born: Nanos) -> Option<(Value, Nanos)> {
        match self.base.get(&Series::of(metric, point)) {
            Some(Base { value, at }) => Some((minus(&point.value, value), *at)),
            None => Some((point.value.clone(), born.max(self.opened))),
        }
        .filter(|(value, _)| !is_zero(value))
    }

    /// The receiver has these series as they were at `at`.
    pub fn acknowledge(&mut self, part: &[Slice<'_>], at: Nanos) {
        for Slice { metric, points } in part.iter().filter(|slice| is_additive(slice.metric)) {
            for point in *points {
                let value = point.value.clone();
                self.base.insert(Series::of(metric, point), Base { value, at });
            }
        }
    }

    fn acknowledge_all(&mut self, Families(families): &Families, at: Nanos) {
        for family in families {
            let Family { metric, points } = &**family;
            self.acknowledge(&[Slice { metric, points }], at);
        }
    }

    /// From `at` on, label sets are others: `old` and `new` are the same snapshot by the old and by the new ones. What the
    /// old series had grown by is kept until it is acknowledged; the new ones grow from here.
    ///
    /// To be called between two pushes.
    pub fn relabel(&mut self, old: &Families, new: &Families, at: Nanos) {
        let mut base = HashMap::new();
        for (metric, point) in additive(new) {
            let value = point.value.clone();
            base.insert(Series::of(metric, point), Base { value, at });
        }
        for (metric, point) in additive(old) {
            let Some((value, since)) = self.of(metric, point, nanos(point.since)) else {
                continue;
            };
            match base.get_mut(&Series::of(metric, point)) {
                // It goes on under the same labels: what it has grown by stays outstanding.
                Some(base) => {
                    *base = Base {
                        value: minus(&base.value, &value),
                        at: since,
                    }
                }
                None => self.close(metric, point, value, since, at),
            }
        }
        self.base = base;
        self.opened = at;
    }

    /// Catches up with changes of labels, in the order in which they were made.
    ///
    /// To be called between two pushes.
    pub fn relabel_all(&mut self, Relabelling { first, since }: Relabelling) {
        let Relabelled { at, by_old, by_new } = &first;
        self.relabel(by_old, by_new, *at);
        if let Some(since) = since {
            self.go_on(by_new, since);
        }
    }

    /// Goes on from `shared`, which both know: `later` has followed labels from there on, and holds what they have grown by since.
    fn go_on(&mut self, shared: &Families, later: Self) {
        let Self { opened, base, closed } = later;
        let mut before = std::mem::replace(&mut self.base, base);
        for (metric, point) in additive(shared) {
            let series = Series::of(metric, point);
            let Some(Base { value, at }) = before.remove(&series) else {
                continue;
            };
            // What was outstanding when the labels changed first.
            let outstanding = minus(&point.value, &value);
            if is_zero(&outstanding) {
                continue;
            }
            match self.base.get_mut(&series) {
                Some(base) => {
                    *base = Base {
                        value: minus(&base.value, &outstanding),
                        at,
                    }
                }
                None => self.close(metric, point, outstanding, at, self.opened),
            }
        }
        for Closed {
            metric,
            point,
            since,
            until,
        } in closed.into_values()
        {
            let value = point.value.clone();
            self.close(metric, &point, value, since, until);
        }
        self.opened = opened;
    }

    /// What series that are no more had grown by until `now`, so many of them at most.
    pub fn closed(&self, now: Nanos, most: usize) -> Vec<Readings<'_>> {
        let mut by_metric: HashMap<&str, Readings<'_>> = HashMap::new();
        for Closed {
            metric,
            point,
            since,
            until,
        } in self.closed.values().take(most)
        {
            let (_, readings) = by_metric.entry(metric.name).or_insert((metric, Vec::new()));
            readings.push(Reading {
                point,
                value: Cow::Borrowed(&point.value),
                // The clock may have been set back since.
                since: (*since).min(until.min(&now).saturating_sub(1)),
                until: *until.min(&now),
            });
        }
        by_metric.into_values().collect()
    }

    /// The receiver has those of which [`Self::closed`] told when it was asked for so many.
    pub fn acknowledge_closed(&mut self, most: usize) {
        // Nothing has changed the order since.
        let told: Vec<Series> = self.closed.keys().take(most).cloned().collect();
        for series in &told {
            self.closed.remove(series);
        }
    }

    fn close(&mut self, metric: &'static Metric, point: &Point, value: Value, since: Nanos, until: Nanos) {
        match self.closed.entry(Series::of(metric, point)) {
            // Closed before, opened and closed again, all without an acknowledgement.
            Entry::Occupied(mut before) => {
                let before = before.get_mut();
                before.point.value = plus(&before.point.value, &value);
                (before.since, before.until) = (before.since.min(since), before.until.max(until));
            }
            Entry::Vacant(vacant) => {
                let point = Point { value, ..point.clone() };
                vacant.insert(Closed {
                    metric,
                    point,
                    since,
                    until,
                });
            }
        }
    }
}

impl Series {
    fn of(metric: &Metric, Point { labels, own, .. }: &Point) -> Self {
        Self {
            metric: metric.name,
            labels: LabelSet::clone(labels),
            own: own.clone(),
        }
    }
}

fn additive(Families(families): &Families) -> impl Iterator<Item = (&'static Metric, &Point)> {
    let additive = families.iter().filter(|family| is_additive(family.metric));
    additive.flat_map(|family| family.points.iter().map(|point| (family.metric, point)))
}

/// Wrapping: a base may lie above the value when a series goes on under new labels.
fn minus(now: &Value, base: &Value) -> Value {
    combine(now, base, u64::wrapping_sub, |now, base| now - base)
}

fn plus(left: &Value, right: &Value) -> Value {
    combine(left, right, u64::wrapping_add, |left, right| left + right)
}

fn combine(left: &Value, right: &Value, whole: fn(u64, u64) -> u64, real: fn(f64, f64) -> f64) -> Value {
    match (left, right) {
        (Value::Count(left), Value::Count(right)) => Value::Count(whole(*left, *right)),
        (Value::Number(left), Value::Number(right)) => Value::Number(real(*left, *right)),
        (Value::Histogram(left), Value::Histogram(right)) => {
            let buckets = left.buckets.iter().zip(&right.buckets);
            Value::Histogram(HistogramValue {
                sum: real(left.sum, right.sum),
                buckets: buckets.map(|(left, right)| whole(*left, *right)).collect(),
                ..*left
            })
        }
        (Value::CpuTime(left), Value::CpuTime(right)) => Value::CpuTime(CpuTime {
            user: whole(left.user, right.user),
            system: whole(left.system, right.system),
        }),
        // A metric has values of one kind.
        (left, _) => left.clone(),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Count(count) => *count == 0,
        Value::Number(number) => *number == 0.0,
        Value::CpuTime(time) => *time == CpuTime::default(),
        Value::Histogram(histogram) => histogram.buckets.iter().all(|bucket| *bucket == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::reading::split, *};
    use crate::families::METRICS;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use tcpvitals_config::TcpLabel;

    const ROWS: usize = 4;
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    /// What a kernel with four rows counted, and the name of each row.
    #[derive(Clone, Debug, Default)]
    struct Kernel {
        rows: [u64; ROWS],
        names: [usize; ROWS],
    }

    #[derive(Clone, Debug)]
    enum Event {
        Grow(usize, u64),
        /// Whether the receiver answers.
        Push(bool),
        Relabel([usize; ROWS]),
    }

    fn metric(name: &str) -> &'static Metric {
        METRICS.iter().find(|metric| metric.name == name).unwrap()
    }

    impl Kernel {
        /// A counter, a counter of seconds, a histogram and a gauge of every name; rows of one name merge.
        fn families(&self) -> Families {
            let mut merged: BTreeMap<&str, u64> = BTreeMap::new();
            for (row, name) in self.rows.iter().zip(self.names) {
                *merged.entry(NAMES[name]).or_default() += row;
            }
            let family = |name, value: fn(u64) -> Value| {
                let point = |(name, count): (&&str, &u64)| Point {
                    labels: [(TcpLabel::Subnet.label(), String::from(*name))].into(),
                    own: Vec::new(),
                    since: std::time::Duration::ZERO,
                    value: value(*count),
                };
                Arc::new(Family {
                    metric: metric(name),
                    points: merged.iter().map(point).collect(),
                })
            };
            Families(vec![
                family("tcp_sacks", Value::Count),
                family("tcp_sender_busy", |count| Value::Number(count as f64 / 256.0)),
                family("tcp_rtt", |count| {
                    Value::Histogram(HistogramValue {
                        sum: count as f64,
                        schema: 2,
                        first: -79,
                        buckets: vec![0, count, count / 3],
                    })
                }),
                family("tcp_connections", |count| Value::Number(count as f64)),
            ])
        }
    }

    /// What a receiver adds up, by metric and name.
    #[derive(Debug, Default)]
    struct Receiver(BTreeMap<(&'static str, String), Value>);

    impl Receiver {
        fn take(&mut self, metric: &'static Metric, readings: &[Reading<'_>]) {
            for Reading {
                point,
                value,
                since,
                until,
            } in readings.iter().filter(|_| is_additive(metric))
            {
                assert!(since < until, "{since} {until}");
                let key = (metric.name, point.labels[0].1.clone());
                let sum = self
                    .0
                    .get(&key)
                    .map_or_else(|| (**value).clone(), |sum| plus(sum, value));
                self.0.insert(key, sum);
            }
        }

        fn total(&self, metric: &str) -> Value {
            let own = self.0.iter().filter(|((name, _), _)| *name == metric);
            own.map(|(_, value)| value.clone())
                .reduce(|sum, value| plus(&sum, &value))
                .unwrap_or(Value::Count(0))
        }
    }

    fn push(deltas: &mut Deltas, families: &Families, now: Nanos, answered: bool, receiver: &mut Receiver) {
        for part in split(families, 3) {
            let readings = deltas.readings(&part, Starts::new(0), now);
            if answered {
                readings
                    .iter()
                    .for_each(|(metric, readings)| receiver.take(metric, readings));
                drop(readings);
                deltas.acknowledge(&part, now);
            }
        }
        loop {
            let closed = deltas.closed(now, 2);
            if !answered || closed.is_empty() {
                break;
            }
            closed
                .iter()
                .for_each(|(metric, readings)| receiver.take(metric, readings));
            drop(closed);
            deltas.acknowledge_closed(2);
        }
    }

    fn run(events: &[Event]) -> (Kernel, Receiver) {
        let (mut kernel, mut receiver, mut deltas) = (Kernel::default(), Receiver::default(), Deltas::new(1));
        let events = events.iter().chain([&Event::Push(true)]);
        let mut waiting: Option<Relabelling> = None;
        for (at, event) in (2..).zip(events) {
            match event {
                Event::Grow(row, more) => kernel.rows[*row] += more,
                Event::Push(answered) => {
                    if let Some(relabelling) = waiting.take() {
                        deltas.relabel_all(relabelling);
                    }
                    push(&mut deltas, &kernel.families(), at, *answered, &mut receiver);
                }
                Event::Relabel(names) => {
                    let by_old = Arc::new(kernel.families());
                    kernel.names = *names;
                    let by_new = Arc::new(kernel.families());
                    let relabelled = Relabelled { at, by_old, by_new };
                    match &mut waiting {
                        Some(earlier) => earlier.then(&relabelled),
                        None => waiting = Some(Relabelling::new(relabelled)),
                    }
                }
            }
        }
        (kernel, receiver)
    }

    fn growth() -> impl Strategy<Value = Event> {
        (0..ROWS, 0u64..1000).prop_map(|(row, more)| Event::Grow(row, more))
    }

    proptest! {
        #[test]
        fn acknowledged_deltas_add_up_to_the_cumulative_values(
            events in prop::collection::vec(prop_oneof![3 => growth(), 2 => any::<bool>().prop_map(Event::Push)], 0..40),
        ) {
            let (kernel, receiver) = run(&events);
            for (metric, point) in additive(&kernel.families()) {
                let got = receiver.0.get(&(metric.name, point.labels[0].1.clone()));
                match got {
                    Some(got) => prop_assert_eq!(got, &point.value),
                    None => prop_assert!(is_zero(&point.value)),
                }
            }
        }

        #[test]
        fn new_labels_neither_lose_nor_double_a_count(
            events in prop::collection::vec(
                prop_oneof![
                    3 => growth(),
                    2 => any::<bool>().prop_map(Event::Push),
                    1 => prop::array::uniform4(0..NAMES.len()).prop_map(Event::Relabel),
                ],
                0..40,
            ),
        ) {
            let (kernel, receiver) = run(&events);
            let counted: u64 = kernel.rows.iter().sum();
            prop_assert_eq!(receiver.total("tcp_sacks"), Value::Count(counted));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_ends_no_point_before_it_begins() {
        let (mut kernel, mut receiver, mut deltas) = (Kernel::default(), Receiver::default(), Deltas::new(1000));
        for (now, name) in [(1010, 0), (500, 0), (510, 1), (20, 2), (30, 2)] {
            kernel.rows[0] += 1;
            let old = kernel.families();
            kernel.names = [name; ROWS];
            deltas.relabel(&old, &kernel.families(), now);
            // The receiver requires that each point begins before it ends.
            push(&mut deltas, &kernel.families(), now, true, &mut receiver);
        }
        assert_eq!(receiver.total("tcp_sacks"), Value::Count(5));
    }

    #[test]
    fn many_changes_of_labels_take_the_memory_of_two() {
        let names = [[0; ROWS], [1; ROWS], [2, 1, 2, 1]];
        let mut kernel = Kernel::default();
        let mut change = |at: usize| {
            let by_old = Arc::new(kernel.families());
            kernel.names = names[at % names.len()];
            let by_new = Arc::new(kernel.families());
            Relabelled {
                at: at as u64 + 2,
                by_old,
                by_new,
            }
        };
        let mut waiting = Relabelling::new(change(0));
        let size = |waiting: &Relabelling| {
            waiting
                .since
                .as_ref()
                .map(|since| since.base.len() + since.closed.len())
        };
        (1..10).for_each(|at| waiting.then(&change(at)));
        let after_few = size(&waiting);
        (10..1000).for_each(|at| waiting.then(&change(at)));
        assert_eq!(size(&waiting), after_few);
    }

    #[test]
    fn what_was_not_acknowledged_comes_again_with_what_came_since() {
        let (_, receiver) = run(&[
            Event::Grow(0, 5),
            Event::Push(false),
            Event::Grow(0, 7),
            Event::Push(true),
            Event::Push(true),
        ]);
        assert_eq!(receiver.total("tcp_sacks"), Value::Count(12));
    }

    #[test]
    fn closed_series_are_told_under_their_old_labels_and_new_ones_begin_at_nothing() {
        let (_, receiver) = run(&[
            Event::Grow(0, 5),
            Event::Relabel([1, 1, 1, 1]),
            Event::Push(false),
            Event::Grow(0, 2),
        ]);
        let of = |name: &str| receiver.0.get(&("tcp_sacks", name.to_owned()));
        assert_eq!((of("a"), of("b")), (Some(&Value::Count(5)), Some(&Value::Count(2))));
    }
}
