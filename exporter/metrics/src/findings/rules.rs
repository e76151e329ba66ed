//! The table of rules. Each reads sums of a window and has two floors, of rate and of share, below which it is silent.

mod drops;
mod rule;
mod traffic;

use super::Whose;
pub use drops::TRANSMIT;

pub(super) use rule::{Dropped, Part, Reads, Seen};
pub use rule::{Floor, Rule};
pub(crate) use traffic::FAILURES;

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
    traffic::RESET_BY_PEER,
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
    drops::OLD_TIMESTAMPS,
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
