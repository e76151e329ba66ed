//! A snapshot: what was collected at one moment, as an immutable value. The labelling and both exporters only read it.

pub mod report;

pub use crate::workloads::numbers::Fill;
use crate::{coverage::Coverage, host::Host, workloads::numbers::Names};
use common::{
    drops::{Direction, DropCount, DropSource, Protocol},
    map::{
        capacity::Capacity,
        lost::{Lost, Misses},
    },
    net::{address::SubnetKey, connection::ConnectionType},
    tcp::{
        accept_queue::{AcceptQueues, ListenerKey},
        group::{GroupCounters, GroupKey},
        samples::Samples,
    },
    workload::Number,
};
use report::Report;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tcpvitals_config::NetworksOfFiles;

#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken, since 1970, by the clock of [`Row::born`].
    pub at: Duration,
    /// All groups; without a key the group `other`.
    pub groups: Vec<Row<Option<GroupKey>, Group>>,
    /// All rows of drops.
    pub drops: Vec<Row<DropOrigin, DropCount>>,
    /// Workloads by the numbers that groups and drops have.
    pub workloads: Names,
    /// Live flows by congestion-control algorithm.
    pub algorithms: BTreeMap<String, u64>,
    /// Accept queues by the labels of their listeners; without a key those that no key had room for.
    pub listeners: BTreeMap<Option<ListenerKey>, AcceptQueues>,
    /// By [`Lost`].
    pub lost: [u64; Lost::COUNT],
    /// Runs that the kernel skipped, by program.
    pub misses: BTreeMap<&'static str, Misses>,
    /// What runs, and what does not and why.
    pub coverage: Coverage,
    /// Slots of the tables.
    pub capacity: Capacity,
    /// Length of a jiffy, the kernel's unit of `chrono_stat` and `icsk_rto`.
    pub jiffy: Duration,
    /// What the host says beside the programs.
    pub host: Host,
    /// What is wrong; `None` where nobody judges.
    pub findings: Option<Arc<Report>>,
    pub exporter: Exporter,
}

/// A row of one of the kernel's tables.
#[derive(Clone, Debug)]
pub struct Row<K, T> {
    /// Which row: the same one for as long as the programs are loaded.
    pub id: u64,
    pub key: K,
    /// When the kernel began to count there, since 1970: before the first count.
    pub born: Duration,
    /// All that was counted there so far.
    pub total: T,
}

/// The counters and samples of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// What hooks and folds added up.
    pub counters: GroupCounters,
    /// What the last fold saw of its live flows.
    pub samples: Samples,
}

impl Group {
    pub fn merge(&mut self, other: &Self) {
        let Self { counters, samples } = self;
        counters.merge(&other.counters);
        samples.merge(&other.samples);
    }
}

/// Who dropped, and where and why; without a site the row `other` of that source.
pub type DropOrigin = (DropSource, Option<DropSite>);

/// Where, why and what was dropped, with the names of this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DropSite {
    /// Kernel function, or `unknown` where the kernel does not name it; a trap of the hardware; an XDP program.
    pub location: String,
    /// Name of the reason, or its number where the kernel does not name it, "" on a kernel without reasons; the trap's group; the
    /// XDP action or the error of a redirect.
    pub reason: String,
    /// Subnet of the remote address; none if nobody looked.
    pub subnet: Option<SubnetKey>,
    /// Protocol of the packet; none if nobody looked.
    pub protocol: Option<Protocol>,
    /// Which way it went.
    pub direction: Direction,
    /// What carried it; none if nobody looked.
    pub connection: Option<ConnectionType>,
    /// Number of the application protocol; none if nobody looked.
    pub app_protocol: Option<u16>,
    /// Whose it was; none if nobody looked.
    pub workload: Option<Number>,
    /// What else its class is decided by, bits of [`common::drops::mark`].
    pub marks: u8,
}

/// What the exporter knows of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exporter {
    /// How the last reload of the configuration went.
    pub last_reload: LastReload,
    /// What came from files of networks; none without any.
    pub networks_of_files: Option<NetworksOfFiles>,
    /// How many there have been, this one included.
    pub collections: u64,
    /// How long the collection took.
    pub collect_duration: Duration,
    /// User and system time.
    pub cpu_time: Option<CpuTime>,
    /// Resident memory, in bytes.
    pub resident_bytes: Option<f64>,
    /// Virtual memory, in bytes.
    pub virtual_bytes: Option<f64>,
    pub open_descriptors: Option<f64>,
    pub most_descriptors: Option<f64>,
    /// Start of the process, in seconds since 1970.
    pub started: Option<f64>,
    /// What became of pushes over OTLP; `None` while nothing is to be pushed.
    pub pushes: Option<Pushes>,
    /// What the HTTP server did; `None` where none serves.
    pub served: Option<Served>,
    /// How many workloads are told apart; `None` where none are.
    pub workloads: Option<Fill>,
    /// How the source of their names does; `None` where none is configured.
    pub name_source: Option<NameSource>,
}

/// How the source of the names of workloads does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameSource {
    /// The one that is in use, which `auto` has chosen: `cgroup`, `pod-logs` or `kubernetes`.
    pub name: &'static str,
    /// Why it says nothing, in a word or in the words of the plan; `None` while it does.
    pub off: Option<String>,
    /// What people should know: why this source is in use, or what to do.
    pub note: Option<String>,
    /// Since when that is so, since 1970.
    pub since: Duration,
    /// When it last said something, since 1970; `None` before that, and where the paths of cgroups say it all.
    pub last_update: Option<Duration>,
}

/// Time on CPUs, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub user: u64,
    pub system: u64,
}

/// What the HTTP server did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    pub connections: u64,
    /// Answers by status code.
    pub answers: BTreeMap<u16, u64>,
    /// By [`Refusal`].
    pub refused: [u64; Refusal::COUNT],
}

/// Why the HTTP server refused a connection or a request, or ended it early; the index in [`Served::refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The peer has all connections that it may have.
    ConnectionsPerPeer,
    /// All connections are taken.
    Connections,
    /// The first byte of a connection, or the end of its TLS handshake, did not come in time; or its client has no certificate that is
    /// accepted.
    Handshake,
    /// An answer was not taken in time.
    AnswerTime,
    /// Answers that wait to be sent hold all the memory that they may have.
    AnswerMemory,
    /// The request names a host that a loopback address does not have.
    Host,
    /// A page of another site asks.
    CrossSite,
    /// A password that is wrong.
    Password,
    /// Too many passwords wait to be compared.
    Logins,
    RateLimit,
}

impl Refusal {
    /// How many there are.
    pub const COUNT: usize = Self::RateLimit as usize + 1;

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionsPerPeer => "connections_per_peer",
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::AnswerTime => "answer_time",
            Self::AnswerMemory => "answer_memory",
            Self::Host => "host",
            Self::CrossSite => "cross_site",
            Self::Password => "password",
            Self::Logins => "logins",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// What became of pushes over OTLP so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushes {
    /// By [`Push`].
    pub counts: [u64; Push::COUNT],
    /// When the receiver last took a push, in seconds since 1970.
    pub last_taken: Option<f64>,
}

/// What is counted of pushes over OTLP; the index in [`Pushes::counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Push {
    /// Requests that the receiver took.
    Success,
    /// Requests of which the receiver took a part.
    Partial,
    /// Requests that the receiver refused for good.
    Refused,
    /// Requests given up without such an answer.
    Failed,
    /// Attempts after the first.
    Retries,
    /// Data points that the receiver did not take of partial requests.
    RejectedPoints,
    /// Times that the clock was set back behind the start of all series, which then began anew.
    StartResets,
}

impl Push {
    /// How many there are.
    pub const COUNT: usize = Self::StartResets as usize + 1;
}

/// How the last reload went; the start counts as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastReload {
    pub successful: bool,
    /// When the configuration that is in force was read, since 1970.
    pub succeeded: Duration,
    /// Why it failed, as a sentence with place and remedy.
    pub error: Option<Arc<str>>,
}

impl LastReload {
    /// The start, at a time since 1970.
    pub const fn at_start(now: Duration) -> Self {
        Self {
            successful: true,
            succeeded: now,
            error: None,
        }
    }

    /// Another attempt, at a time since 1970.
    pub fn record(&mut self, result: Result<(), String>, now: Duration) {
        match result {
            Ok(()) => *self = Self::at_start(now),
            Err(error) => {
                self.successful = false;
                self.error = Some(error.into());
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of a table.
    pub(crate) const fn row<K, T>(id: u64, key: K, total: T) -> Row<K, T> {
        let born = Duration::ZERO;
        Row { id, key, born, total }
    }

    /// An empty snapshot of a kernel that has everything.
    pub(crate) fn snapshot() -> Snapshot {
        Snapshot {
            at: Duration::ZERO,
            groups: Vec::new(),
            drops: Vec::new(),
            workloads: Names::default(),
            algorithms: BTreeMap::new(),
            listeners: BTreeMap::new(),
            lost: [0; Lost::COUNT],
            misses: BTreeMap::new(),
            coverage: Coverage::default(),
            capacity: Capacity { groups: 16, drops: 16 },
            jiffy: Duration::from_millis(4),
            host: Host::default(),
            findings: None,
            exporter: Exporter::default(),
        }
    }

    #[test]
    fn a_failure_keeps_the_time_of_the_last_success() {
        let at = Duration::from_secs;
        let mut last = LastReload::at_start(at(5));
        last.record(Err("a.yaml:2: no".to_owned()), at(7));
        assert_eq!((last.successful, last.succeeded), (false, at(5)));
        assert_eq!(last.error.as_deref(), Some("a.yaml:2: no"));
        last.record(Ok(()), at(9));
        assert_eq!(last, LastReload::at_start(at(9)));
    }
}
