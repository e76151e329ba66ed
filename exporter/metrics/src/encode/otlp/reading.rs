//! What one request holds: the series of some families, each with a value and the time that the value is for.
//! It must never look at a clock. From families; to the deltas and the encoder.

use crate::families::{Families, Family, Metric, Point, Value, semantic::Instrument};
use std::{borrow::Cow, time::Duration};

/// Nanoseconds since 1970.
pub type Nanos = u64;

/// As the protocol counts time.
pub fn nanos(since_1970: Duration) -> Nanos {
    Nanos::try_from(since_1970.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Some series of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    pub metric: &'static Metric,
    pub points: &'a [Point],
}

/// A value and the time that it is for.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// Whose labels it has.
    pub point: &'a Point,
    pub value: Cow<'a, Value>,
    /// Where that time begins.
    pub since: Nanos,
    pub until: Nanos,
}

/// A metric and what is told of it.
pub type Readings<'a> = (&'static Metric, Vec<Reading<'a>>);

/// Cuts families into parts of at most `most` series, one part for each request, so that no request is larger than
/// receivers take.
pub fn split(families: &Families, most: usize) -> Vec<Vec<Slice<'_>>> {
    let Families(families) = families;
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut room = most;
    for family in families {
        let Family { metric, points } = &**family;
        let mut rest = points.as_slice();
        while !rest.is_empty() {
            let (points, after) = rest.split_at(rest.len().min(room));
            part.push(Slice { metric, points });
            room -= points.len();
            rest = after;
            if room == 0 {
                parts.push(std::mem::take(&mut part));
                room = most;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// When series began, as receivers are told. Receivers refuse points that end before they begin, and take another beginning for a
/// reset: so it stays, unless the clock is set back behind one of them.
#[derive(Clone, Copy, Debug)]
pub struct Starts {
    /// When the counters of the exporter began.
    started: Nanos,
    /// How much earlier all are said to have begun, since the clock was set back.
    earlier: Nanos,
}

impl Starts {
    /// Of an exporter whose counters began at `started`.
    pub const fn new(started: Nanos) -> Self {
        Self { started, earlier: 0 }
    }

    /// When a series began.
    pub fn of(&self, point: &Point) -> Nanos {
        nanos(point.since).max(self.started).saturating_sub(self.earlier)
    }

    /// Lets all series of these families begin before `at`; says whether that moved them.
    pub fn fit(&mut self, Families(families): &Families, at: Nanos) -> bool {
        let points = families.iter().flat_map(|family| &family.points);
        let latest = points.map(|point| self.of(point)).max().unwrap_or(0);
        // While the clock is before 1970, nothing is known.
        let excess = (latest + 1).saturating_sub(at).min(latest);
        self.earlier += excess;
        excess != 0
    }
}

/// The values of a part as they are: all since they began.
pub fn cumulative<'a>(part: &'a [Slice<'a>], starts: Starts, now: Nanos) -> Vec<Readings<'a>> {
    let of = |Slice { metric, points }: &Slice<'a>| {
        let readings = points.iter().map(|point| Reading::new(point, starts.of(point), now));
        (*metric, readings.collect())
    };
    part.iter().map(of).collect()
}

/// Whether the values of a metric add up, so that it can be told by what it has grown.
pub fn is_additive(metric: &Metric) -> bool {
    matches!(metric.instrument(), Instrument::Counter | Instrument::Histogram)
}

impl<'a> Reading<'a> {
    /// The value as it is.
    pub(super) const fn new(point: &'a Point, since: Nanos, until: Nanos) -> Self {
        Self {
            point,
            value: Cow::Borrowed(&point.value),
            since,
            until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::METRICS;
    use std::sync::Arc;

    #[test]
    fn series_keep_their_beginnings_unless_the_clock_is_set_back_behind_one() {
        let point = |since| Point {
            labels: Arc::from([]),
            own: Vec::new(),
            since: Duration::from_nanos(since),
            value: Value::Count(1),
        };
        let points: Vec<Point> = [0, 7, 40].map(point).into();
        let metric = &METRICS[0];
        let families = Families(vec![Arc::new(Family { metric, points })]);
        let mut starts = Starts::new(10);
        let told: Vec<(bool, Vec<Nanos>)> = [100, 41, 50, 31, 100, 5, 0]
            .map(|at| {
                let moved = starts.fit(&families, at);
                (
                    moved,
                    families.0[0].points.iter().map(|point| starts.of(point)).collect(),
                )
            })
            .into();
        let expected = [
            (false, [10, 10, 40]),
            (false, [10, 10, 40]),
            (false, [10, 10, 40]),
            (true, [0, 0, 30]),
            (false, [0, 0, 30]),
            (true, [0, 0, 4]),
            (true, [0, 0, 0]),
        ];
        assert_eq!(told, expected.map(|(moved, told)| (moved, told.to_vec())));
    }

    #[test]
    fn parts_hold_every_series_once_and_in_order_and_none_is_too_large() {
        let point = |value| Point {
            labels: Arc::from([]),
            own: Vec::new(),
            since: Duration::ZERO,
            value: Value::Count(value),
        };
        let family = |index: usize, values: std::ops::Range<u64>| {
            Arc::new(Family {
                metric: &METRICS[index],
                points: values.map(point).collect(),
            })
        };
        let families = Families(vec![family(0, 0..3), family(1, 0..0), family(2, 3..10)]);
        let parts = split(&families, 4);
        let sizes: Vec<Vec<(&str, usize)>> = parts
            .iter()
            .map(|part| {
                part.iter()
                    .map(|slice| (slice.metric.name, slice.points.len()))
                    .collect()
            })
            .collect();
        let (first, third) = (METRICS[0].name, METRICS[2].name);
        assert_eq!(
            sizes,
            [vec![(first, 3), (third, 1)], vec![(third, 4)], vec![(third, 2)]]
        );
        let all = parts.iter().flatten().flat_map(|slice| slice.points);
        let values: Vec<Value> = all.map(|point| point.value.clone()).collect();
        assert_eq!(values, (0..10).map(Value::Count).collect::<Vec<_>>());
        assert!(split(&Families(Vec::new()), 4).is_empty());
    }
}
