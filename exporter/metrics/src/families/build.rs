//! The metric table applied to a labelled snapshot.

use super::{
    cost::cost,
    metric::{Accessor, Metric, Points},
    table::{self, METRICS},
    value::Value,
};
use crate::{
    findings::{
        report::State,
        rules::{RULES, Rule},
    },
    labels::{LabelSet, Labelled, Labelling, ledger::Aged},
    number::{number, seconds},
    snapshot::{Group, Push, Refusal, Snapshot},
};
use common::{map::lost::Lost, tcp::group::Counter};
use std::{sync::Arc, time::Duration};
use tcpvitals_config::{View, label::Label};

/// All families of one snapshot, in the order of the table. A metric that is off has none.
#[derive(Debug)]
pub struct Families(pub Vec<Arc<Family>>);

impl Families {
    /// These families, with the number of their series if that is among them.
    pub(super) fn counted(mut families: Vec<Arc<Family>>) -> Self {
        let is_number = |family: &Arc<Family>| matches!(family.metric.source, Accessor::Series);
        if let Some(place) = families.iter().position(is_number) {
            let others = families.iter().filter(|family| !is_number(family));
            let series = 1 + others.map(|family| family.points.len()).sum::<usize>();
            let metric = families[place].metric;
            let points = vec![alone(Vec::new(), Value::Number(number(series as u64)))];
            families[place] = Arc::new(Family { metric, points });
        }
        Self(families)
    }

    /// When every counter was 0, as the time since 1970: at the start of the exporter, by `process_start_time_seconds`. A series that
    /// appears later was 0 until then.
    pub fn started(&self) -> Option<Duration> {
        let Self(families) = self;
        let own = |family: &&Arc<Family>| family.metric.name == table::PROCESS_START;
        let point = families.iter().find(own)?.points.first()?;
        match point.value {
            Value::Number(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Value::Count(_) | Value::Histogram(_) | Value::CpuTime(_) => None,
        }
    }
}

/// A metric and its series.
#[derive(Debug)]
pub struct Family {
    pub metric: &'static Metric,
    pub points: Vec<Point>,
}

impl Family {
    /// What the exporter does not know of itself or of the host is no metric, such as pushes when nothing is to be pushed.
    fn says_nothing(&self) -> bool {
        let may = matches!(
            self.metric.source,
            Accessor::Pushes(_)
                | Accessor::Answers
                | Accessor::Refused(_)
                | Accessor::NameSource
                | Accessor::Findings
                | Accessor::Lost(_)
                | Accessor::DeviceLosses
                | Accessor::OverAllowance
                | Accessor::Host(_)
                | Accessor::TcpMemory(_)
                | Accessor::Exporter(_)
        );
        may && self.points.is_empty()
    }
}

#[derive(Clone, Debug)]
pub struct Point {
    /// Labels of the scope.
    pub labels: LabelSet,
    /// Names and values of the metric's own labels.
    pub own: Vec<(&'static Label, String)>,
    /// When a count was zero, since 1970; before the exporter started if it is as old as that.
    pub since: Duration,
    pub value: Value,
}

impl Point {
    /// All labels and their values.
    pub fn all_labels(&self) -> impl Iterator<Item = (&'static Label, &str)> {
        let all = self.labels.iter().chain(&self.own);
        all.map(|(label, value)| (*label, value.as_str()))
    }
}

/// All families of what a view shows; which of them it shows is its own choice.
pub fn of_view(labelling: &mut Labelling, snapshot: &Snapshot, view: &View) -> Families {
    build(&labelling.show(snapshot, view, cost(&view.metrics)))
}

/// Applies the table to a labelled snapshot.
fn build(labelled: &Labelled<'_>) -> Families {
    let coverage = &labelled.snapshot.coverage;
    let families = METRICS
        .iter()
        .filter(|metric| metric.why_off(coverage).is_none())
        .map(|metric| Family {
            metric,
            points: points(metric, labelled),
        })
        .filter(|family| !family.says_nothing());
    Families::counted(families.map(Arc::new).collect())
}

fn points(metric: &'static Metric, labelled: &Labelled<'_>) -> Vec<Point> {
    let snapshot = labelled.snapshot;
    let jiffy = snapshot.jiffy;
    let of_groups = |value: &dyn Fn(&Group) -> Option<Value>| -> Vec<Point> {
        let groups = labelled.groups.iter();
        groups
            .filter_map(|(labels, Aged { since, total })| Some(point(labels, Vec::new(), *since, value(total)?)))
            .collect()
    };
    let one = |value: f64| vec![alone(Vec::new(), Value::Number(value))];
    match metric.source {
        Accessor::Counters(points) => counters(metric, points, labelled, Value::Count),
        Accessor::Jiffies(points) => counters(metric, points, labelled, |jiffies| {
            Value::Number(seconds(jiffies, jiffy))
        }),
        Accessor::GroupGauge(gauge) => of_groups(&|group| gauge(group, jiffy).map(Value::Number)),
        Accessor::GroupHistogram(histogram) => of_groups(&|group| {
            let histogram = histogram(group, jiffy);
            (histogram.count() != 0).then_some(Value::Histogram(histogram))
        }),
        Accessor::Listeners(gauge) => {
            let listeners = labelled.listeners.iter();
            listeners
                .map(|(labels, Aged { since, total })| point(labels, Vec::new(), *since, Value::Number(gauge(total))))
                .collect()
        }
        Accessor::Drops(sources, count) => {
            let known = labelled
                .drops
                .iter()
                .filter(|((_, source), _)| sources.contains(source));
            known
                .map(|((labels, source), Aged { since, total })| {
                    point(
                        labels,
                        own(metric, &[source.as_str()]),
                        *since,
                        Value::Count(count(total)),
                    )
                })
                .collect()
        }
        Accessor::Algorithms => {
            let live = snapshot.algorithms.iter();
            live.map(|(name, live)| alone(own(metric, &[name]), Value::Number(number(*live))))
                .collect()
        }
        Accessor::Programs => {
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
        Accessor::NameSource => {
            let source = snapshot.exporter.name_source.iter();
            source
                .map(|source| {
                    let reason = source.off.as_deref().unwrap_or("");
                    let up = if source.off.is_none() { 1.0 } else { 0.0 };
                    alone(own(metric, &[source.name, reason]), Value::Number(up))
                })
                .collect()
        }
        Accessor::Findings => {
            // A 0 says that something was looked for.
            let judged = snapshot.findings.iter();
            let judged = judged.filter(|report| report.state == State::Judged);
            let rules = judged.flat_map(|report| RULES.iter().map(move |rule| (rule, report.count(rule.name))));
            let values = |rule: &Rule| own(metric, &[rule.whose.as_str(), rule.name]);
            rules
                .map(|(rule, count)| alone(values(rule), Value::Number(number(count))))
                .collect()
        }
        Accessor::Misses => {
            let misses = snapshot.misses.iter();
            misses
                .map(|(program, misses)| alone(own(metric, &[program]), Value::Count(misses.lost())))
                .collect()
        }
        Accessor::Lost(points) => {
            let count = |lost: Lost| snapshot.lost.get(lost as usize).copied().unwrap_or(0);
            let are_apart = snapshot.exporter.workloads.is_some();
            points
                .iter()
                .filter(|(_, lost)| are_apart || !is_of_workloads(*lost))
                .map(|(values, lost)| alone(own(metric, values), Value::Count(count(*lost))))
                .collect()
        }
        Accessor::SeriesOverflow => {
            let refused = ["tcp", "drops"].into_iter().zip(labelled.refused);
            refused
                .map(|(metrics, refused)| alone(own(metric, &[metrics]), Value::Count(refused as u64)))
                .collect()
        }
        // `Families::counted` fills it in.
        Accessor::Series => Vec::new(),
        Accessor::Groups => {
            let used = snapshot.groups.iter().filter(|row| row.key.is_some()).count();
            one(number(used as u64))
        }
        // The slot `other` is no place for a group of its own.
        Accessor::GroupCapacity => one(f64::from(snapshot.capacity.groups - 1)),
        Accessor::Pushes(points) => {
            let counts = snapshot.exporter.pushes.iter().flat_map(|pushes| {
                let count = |push: Push| pushes.counts.get(push as usize).copied().unwrap_or(0);
                points.iter().map(move |(values, push)| (values, count(*push)))
            });
            counts
                .map(|(values, count)| alone(own(metric, values), Value::Count(count)))
                .collect()
        }
        Accessor::Answers => {
            let answers = snapshot.exporter.served.iter().flat_map(|served| &served.answers);
            answers
                .map(|(code, count)| alone(own(metric, &[&code.to_string()]), Value::Count(*count)))
                .collect()
        }
        Accessor::Refused(points) => {
            let counts = snapshot.exporter.served.iter().flat_map(|served| {
                let count = |why: Refusal| served.refused.get(why as usize).copied().unwrap_or(0);
                points.iter().map(move |(values, why)| (values, count(*why)))
            });
            counts
                .map(|(values, count)| alone(own(metric, values), Value::Count(count)))
                .collect()
        }
        Accessor::DeviceLosses => {
            let lost = snapshot.host.lost.iter();
            lost.map(|((device, (direction, cause)), count)| {
                let values = [device, direction.as_str(), cause.class().as_str(), cause.as_str()];
                alone(own(metric, &values), Value::Count(*count))
            })
            .collect()
        }
        Accessor::OverAllowance => {
            let over = snapshot.host.over_allowance.iter();
            over.map(|((device, allowance), count)| {
                alone(own(metric, &[device, allowance.as_str()]), Value::Count(*count))
            })
            .collect()
        }
        Accessor::Host(value) => {
            let value = value(&snapshot.host).into_iter();
            value.map(|value| alone(Vec::new(), value)).collect()
        }
        Accessor::TcpMemory(points) => {
            let known = points.iter().filter_map(|(values, value)| {
                let value = value(snapshot.host.memory.as_ref()?)?;
                Some(alone(own(metric, values), value))
            });
            known.collect()
        }
        Accessor::BuildInfo => vec![alone(own(metric, &[env!("CARGO_PKG_VERSION")]), Value::Number(1.0))],
        Accessor::ProcessTime => {
            let time = snapshot.exporter.cpu_time.into_iter();
            time.map(|time| alone(Vec::new(), Value::CpuTime(time))).collect()
        }
        Accessor::Exporter(value) | Accessor::Process(value) => value(&snapshot.exporter).map(one).unwrap_or_default(),
    }
}

fn counters(
    metric: &Metric,
    points: Points<Counter>,
    labelled: &Labelled<'_>,
    value: impl Fn(u64) -> Value,
) -> Vec<Point> {
    let of_group = |(labels, Aged { since, total }): (&LabelSet, &Aged<Group>)| {
        let value = |counter| value(total.counters.get(counter));
        let row = points
            .iter()
            .map(|(values, counter)| point(labels, own(metric, values), *since, value(*counter)));
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

fn point(labels: &LabelSet, own: Vec<(&'static Label, String)>, since: Duration, value: Value) -> Point {
    Point {
        labels: Arc::clone(labels),
        own,
        since,
        value,
    }
}

fn alone(own: Vec<(&'static Label, String)>, value: Value) -> Point {
    point(&Arc::from([]), own, Duration::ZERO, value)
}

/// Whether it can happen only where workloads are told apart.
const fn is_of_workloads(lost: Lost) -> bool {
    match lost {
        Lost::CgroupsUntracked | Lost::Unresolved => true,
        Lost::FlowsUntracked
        | Lost::GroupOverflow
        | Lost::DropOverflow
        | Lost::FoldsContended
        | Lost::LossesForgotten => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{findings::report::Report, snapshot::tests::snapshot};
    use tcpvitals_config::{Config, numbering::Numbering};

    /// How many points the metric of findings has, by the state of the judgement.
    fn findings(state: Option<State>) -> usize {
        let config = Config::built_in();
        let mut labelling = Labelling::new(&config, &Numbering::new(&config));
        let mut snapshot = snapshot();
        snapshot.findings = state.map(|state| {
            Arc::new(Report {
                state,
                ..Report::default()
            })
        });
        let Families(families) = of_view(&mut labelling, &snapshot, &config.shown);
        let own = families
            .iter()
            .filter(|family| matches!(family.metric.source, Accessor::Findings));
        own.map(|family| family.points.len()).sum()
    }

    #[test]
    fn no_finding_is_said_to_be_absent_before_there_is_a_judgement() {
        assert_eq!(
            [None, Some(State::NotYet), Some(State::Judged)].map(findings),
            [0, 0, RULES.len()]
        );
    }
}
