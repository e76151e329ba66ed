//! The table of rules. Each reads sums of a window and has two floors, of rate and of share, below which it is silent.

mod drops;
mod traffic;

use super::{
    Whose,
    counts::Counts,
    seen::{Beside, Site},
};

pub use drops::TRANSMIT;
pub(crate) use traffic::FAILURES;

/// What is looked for, and what is said of it.
#[derive(Debug)]
pub struct Rule {
    /// The word of the finding: the value of the label `finding`.
    pub name: &'static str,
    pub whose: Whose,
    /// What is below is no finding, unless the configuration says otherwise.
    pub floor: Floor,
    /// What is said of it: `{rate}` stands for events per second, `{share}` for their share.
    pub says: &'static str,
    /// What to do first.
    pub next: &'static str,
    /// The page of `docs/runbooks` that is about it.
    pub runbook: &'static str,
    pub(super) reads: Reads,
}

/// Least rate and share of a finding; a finding reaches both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Events per second, or seconds per second for what is a time.
    pub rate: f64,
    /// Of what could have been such an event: 0 to 1.
    pub share: f64,
}

/// What a rule reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reads {
    /// The connections of a subnet; the whole of it, and each service.
    Traffic(fn(&Seen<'_>) -> Part),
    /// Drop sites of a subnet that this says yes to.
    Sites(fn(&Site) -> bool),
    /// Round-trip times of a subnet, beside what was usual.
    Rtt,
    /// What the host says beside the drop sites.
    Host(fn(&Beside) -> u64),
    /// What the exporter could not see.
    Blind,
}

/// What a rule about connections may look at.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) counts: &'a Counts,
    /// TCP packets of the subnet that this host dropped on their way out, by class.
    pub(super) dropped: Dropped,
    /// Length of a jiffy, in seconds.
    pub(super) jiffy: f64,
}

/// TCP packets that this host dropped on their way out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dropped {
    pub(super) policy: u64,
    pub(super) all: u64,
}

/// Events, and what could have been one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) events: f64,
    pub(super) of: f64,
}

impl Part {
    fn new(events: u64, of: u64) -> Self {
        let [events, of] = [events, of].map(crate::number::number);
        Self { events, of }
    }

    /// Their share; 0 of nothing.
    pub(super) fn share(self) -> f64 {
        if self.of > 0.0 {
            (self.events / self.of).min(1.0)
        } else {
            0.0
        }
    }
}

/// All rules. Of those that read drop sites the first that says yes to a site has it.
pub static RULES: &[Rule] = &[
    traffic::OWN_QUEUE,
    traffic::OWN_FILTER,
    traffic::NETWORK_LOSS,
    traffic::REORDERING,
    traffic::SPURIOUS_RETRANSMITS,
    Rule {
        name: "rtt_above_baseline",
        whose: Whose::Network,
        // Of the samples' rate; the share is of the time that comes on top.
        floor: Floor { rate: 1.0, share: 0.5 },
        says: "round trips take much longer than minutes before",
        next: "tcpvitals top --view flows --sort rtt; then look at queues and routes on the path",
        runbook: "TcpvitalsRttAboveBaseline",
        reads: Reads::Rtt,
    },
    traffic::PEER_READS_SLOWLY,
    traffic::SEND_BUFFER,
    traffic::REFUSED,
    traffic::UNANSWERED,
    traffic::RESET_AT_OPENING,
    traffic::UNREACHABLE,
    traffic::NO_ROUTE,
    traffic::NO_LOCAL_PORT,
    traffic::ACCEPT_QUEUE_FULL,
    traffic::SYN_QUEUE_FULL,
    traffic::HANDSHAKES_INCOMPLETE,
    traffic::HALF_OPEN_RESETS,
    drops::CONNTRACK_FULL,
    drops::DEVICE_LOSS,
    drops::SOCKET_BUFFER_FULL,
    drops::BACKLOG_FULL,
    drops::RING_FULL,
    drops::NO_MEMORY,
    drops::QUEUE_FULL,
    drops::OTHER_CAPACITY,
    drops::CHECKSUM,
    drops::NO_ROUTE_FOR_PACKETS,
    drops::NO_NEIGHBOR,
    drops::NO_LISTENER,
    drops::OTHER_ERROR,
    Rule {
        name: "exporter_blind",
        whose: Whose::Here,
        floor: Floor { rate: 1.0, share: 0.0 },
        says: "the exporter does not see everything: {rate} events a second were not counted, or not where they belong",
        next: "tcpvitals doctor",
        runbook: "TcpvitalsEventsLost",
        reads: Reads::Blind,
    },
];

/// A rule by its word.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}
