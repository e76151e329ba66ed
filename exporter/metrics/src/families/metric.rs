//! What a metric is: a row of the metric table.

use super::value::{HistogramValue, Value};
use crate::{
    coverage::Coverage,
    host::{Host, Part, files::TcpMemory},
    labels::listeners,
    snapshot::{Exporter, Group, Push, Refusal},
};
use common::{
    drops::{self, DropCount},
    map::lost::Lost,
    tcp::{accept_queue::AcceptQueues, group::Counter},
};
use std::time::Duration;
use tcpvitals_config::{DropLabel, TcpLabel, label::Label};

/// What precedes the name of every metric but the standard ones.
pub const PREFIX: &str = "tcpvitals";

/// One metric of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name without prefix, unit and `_total`.
    pub name: &'static str,
    pub unit: Unit,
    /// The name over OTLP where the semantic conventions have one.
    pub dotted: Option<&'static str>,
    pub kind: Kind,
    /// Whether the values of a gauge add up, over labels and hosts.
    pub adds_up: bool,
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
    /// The part of the host without which it says nothing.
    pub part: Option<Part>,
    /// Where its values are in a labelled snapshot.
    pub source: Accessor,
}

/// Base unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count of what OTLP names in braces, and the name says.
    Counted(&'static str),
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// TCP segments, where the name does not say what is counted.
    Segments,
    /// A part of a whole: 1 is all of it.
    Ratio,
}

impl Unit {
    /// The suffix in a metric's name; "" for none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counted(_) => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes_per_second",
            Self::Segments => "segments",
            Self::Ratio => "ratio",
        }
    }

    /// The unit over OTLP, in UCUM.
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::Counted(what) => what,
            Self::Seconds => "s",
            Self::Bytes => "By",
            Self::BytesPerSecond => "By/s",
            Self::Segments => "{segment}",
            Self::Ratio => "1",
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
    /// Those of `labels.tcp` that listeners have.
    Listeners,
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
            Self::Listeners => listeners::LABELS.map(TcpLabel::label).to_vec(),
            Self::Drops => DropLabel::ALL.map(DropLabel::label).to_vec(),
            Self::Exporter => Vec::new(),
        }
    }
}

/// Values of a metric's own labels, and what they are read from.
pub type Points<T> = &'static [(&'static [&'static str], T)];

/// Where the values of a metric are.
#[derive(Clone, Copy, Debug)]
pub enum Accessor {
    /// Counters of a group.
    Counters(Points<Counter>),
    /// Counters of a group in jiffies, shown in seconds.
    Jiffies(Points<Counter>),
    /// A value of a group, if it has one; a jiffy is `Duration` long.
    GroupGauge(fn(&Group, Duration) -> Option<f64>),
    /// A histogram of a group.
    GroupHistogram(fn(&Group, Duration) -> HistogramValue),
    /// A value of listeners.
    Listeners(fn(&AcceptQueues) -> f64),
    /// A count of a row of drops, with the label `source`: of those that know it.
    Drops(&'static [drops::DropSource], fn(&DropCount) -> u64),
    /// Live flows by algorithm.
    Algorithms,
    /// Programs: 1 when attached.
    Programs,
    /// The source of the names of workloads: 1 while it says something.
    NameSource,
    /// What is wrong: findings by their word; none where nobody judges.
    Findings,
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
    GroupCapacity,
    /// What became of pushes over OTLP; none while nothing is to be pushed.
    Pushes(Points<Push>),
    /// Answers of the HTTP server, by status code.
    Answers,
    /// What the HTTP server refused.
    Refused(Points<Refusal>),
    /// Packets that devices lost.
    DeviceLosses,
    /// Packets over an allowance, by device.
    OverAllowance,
    /// Something of the host, if it has it.
    Host(fn(&Host) -> Option<Value>),
    /// The same of TCP's memory, by values of own labels.
    TcpMemory(Points<fn(&TcpMemory) -> Option<Value>>),
    BuildInfo,
    /// What the exporter knows of itself.
    Exporter(fn(&Exporter) -> Option<f64>),
    /// The same, under a standard name without prefix.
    Process(fn(&Exporter) -> Option<f64>),
    /// Its time on CPUs, under a standard name too.
    ProcessTime,
}

impl Accessor {
    /// Which labels its metrics have besides their own.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Counters(_) | Self::Jiffies(_) | Self::GroupGauge(_) | Self::GroupHistogram(_) => Scope::Tcp,
            Self::Listeners(_) => Scope::Listeners,
            Self::Drops(..) => Scope::Drops,
            Self::Algorithms
            | Self::Programs
            | Self::NameSource
            | Self::Findings
            | Self::Misses
            | Self::Lost(_)
            | Self::SeriesOverflow
            | Self::Series
            | Self::Groups
            | Self::GroupCapacity
            | Self::Pushes(_)
            | Self::Answers
            | Self::Refused(_)
            | Self::DeviceLosses
            | Self::OverAllowance
            | Self::Host(_)
            | Self::TcpMemory(_)
            | Self::BuildInfo
            | Self::Exporter(_)
            | Self::Process(_)
            | Self::ProcessTime => Scope::Exporter,
        }
    }

    /// The values of its own labels that the table lists.
    pub(super) fn listed(self) -> Vec<Vec<&'static str>> {
        if let Self::Counters(points) | Self::Jiffies(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::Pushes(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::Refused(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::TcpMemory(points) = self {
            points.iter().map(|(values, _)| values.to_vec()).collect()
        } else if let Self::Drops(sources, _) = self {
            sources.iter().map(|source| vec![source.as_str()]).collect()
        } else {
            Vec::new()
        }
    }

    /// Series per label set of the scope.
    pub(super) const fn width(self) -> usize {
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
        if matches!(self.source, Accessor::Process(_) | Accessor::ProcessTime) {
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
        let part = || coverage.why_not_read(self.part?).map(str::to_owned);
        program.or_else(field).or_else(none_of).or_else(part)
    }
}
