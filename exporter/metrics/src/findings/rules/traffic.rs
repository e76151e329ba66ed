//! Rules about connections.

use super::rule::{Floor, Part, Reads, Rule, Seen};
use crate::{
    findings::{Whose, counts::Counts},
    number::number,
};
use common::tcp::group::Counter as C;

pub(super) const OWN_QUEUE: Rule = Rule {
    name: "own_queue",
    whose: Whose::Ours,
    floor: Floor {
        rate: 0.2,
        share: 0.001,
    },
    says: "this host drops {share} of its own segments: a queue is full",
    next: "tc -s qdisc show",
    runbook: "TcpvitalsOwnDrops",
    reads: Reads::Traffic(|seen| own_drops(seen, seen.dropped.capacity)),
};

pub(super) const OWN_FILTER: Rule = Rule {
    name: "own_filter",
    whose: Whose::Ours,
    floor: Floor {
        rate: 0.2,
        share: 0.001,
    },
    says: "this host drops {share} of its own segments: a filter refuses them",
    next: "nft list ruleset; iptables-save -c",
    runbook: "TcpvitalsOwnDrops",
    reads: Reads::Traffic(|seen| own_drops(seen, seen.dropped.policy)),
};

/// Segments that this host dropped on their way out, as far as these packets of all those dropped were them.
fn own_drops(seen: &Seen<'_>, packets: u64) -> Part {
    let counts = seen.counts;
    let dropped = counts
        .get(C::LocallyDroppedSegments)
        .max(counts.get(C::RetransmittedAfterLocalDrop));
    let kind = Part::new(packets, seen.dropped.all).share();
    let sent = counts.get(C::DataSegmentsTransmitted) + counts.get(C::SynRetransmits) + counts.client_opens;
    Part {
        events: number(dropped) * kind,
        of: number(sent + dropped),
    }
}

pub(super) const NETWORK_LOSS: Rule = Rule {
    name: "network_loss",
    whose: Whose::Network,
    floor: Floor { rate: 0.2, share: 0.01 },
    says: "{share} of the segments are lost beyond this host, {rate} a second",
    next: "ask the other end: tcpvitals drops --class error,capacity,policy; then the devices between",
    runbook: "TcpvitalsRetransmitRatioHigh",
    reads: Reads::Traffic(|seen| Part::new(lost_elsewhere(seen), seen.counts.get(C::DataSegmentsTransmitted))),
};

pub(super) const REORDERING: Rule = Rule {
    name: "reordering",
    whose: Whose::Network,
    floor: Floor { rate: 0.2, share: 0.01 },
    says: "the network reorders segments: {share} of them were retransmitted for nothing",
    next: "look for several paths of one flow: bonds, ECMP, queues of one device on several CPUs",
    runbook: "TcpvitalsRetransmitRatioAboveBaseline",
    reads: Reads::Traffic(|seen| needless(seen, true)),
};

pub(super) const SPURIOUS_RETRANSMITS: Rule = Rule {
    name: "spurious_retransmits",
    whose: Whose::Network,
    floor: Floor { rate: 0.2, share: 0.01 },
    says: "{share} of the segments were retransmitted although they had arrived: acknowledgments come late, or are lost",
    next: "tcpvitals top --view flows --sort rtt; look for delays that come and go, and for loss on the way back",
    runbook: "TcpvitalsRetransmitRatioAboveBaseline",
    reads: Reads::Traffic(|seen| needless(seen, false)),
};

/// Retransmissions that are no probes of a closed window.
#[derive(Clone, Copy)]
struct Retransmitted {
    all: u64,
    /// Those of them that the peer reported as doubled.
    doubled: u64,
}

impl Retransmitted {
    fn of(counts: &Counts) -> Self {
        let all = counts.sum(&[
            C::RetransmittedSegmentsTimeout,
            C::RetransmittedSegmentsTailLossProbe,
            C::RetransmittedSegmentsFast,
            C::RetransmittedSegmentsOther,
        ]);
        let probes = probes(counts);
        let all = all.saturating_sub(probes);
        // Peers report probes of their closed window, too.
        let doubled = counts.get(C::Dsacks).saturating_sub(probes).min(all);
        Self { all, doubled }
    }

    /// Whether most had arrived before.
    const fn is_mostly_doubled(self) -> bool {
        2 * self.doubled > self.all
    }

    /// Those that count as lost: all, where most had not arrived; else the rest, unless that is so small that reports of the peer may be
    /// late or lost themselves.
    const fn lost(self) -> u64 {
        let rest = self.all - self.doubled;
        if !self.is_mostly_doubled() {
            self.all
        } else if 4 * rest < self.all {
            0
        } else {
            rest
        }
    }
}

/// Probes of a closed window: retransmissions by time-out and tail loss probes, where senders mostly wait for the receive window.
fn probes(counts: &Counts) -> u64 {
    if 2 * counts.get(C::ReceiveWindowJiffies) > counts.get(C::SenderBusyJiffies) {
        counts.sum(&[C::RetransmittedSegmentsTimeout, C::RetransmittedSegmentsTailLossProbe])
    } else {
        0
    }
}

/// Segments that did not arrive, though no drop of this host explains that.
fn lost_elsewhere(seen: &Seen<'_>) -> u64 {
    let counts = seen.counts;
    let after_drop = counts.get(C::RetransmittedAfterLocalDrop);
    // What TCP learns of at once is sent later as new, unless it was a retransmission: these Linux before 6.17 does not report.
    let dropped = counts.get(C::LocallyDroppedSegments);
    let here = if seen.finds_local_losses {
        after_drop.max(dropped.min(2 * after_drop))
    } else {
        dropped
    };
    Retransmitted::of(counts).lost().saturating_sub(here)
}

/// Retransmissions most of which were doubled, with or without signs of reordering.
fn needless(seen: &Seen<'_>, reordered: bool) -> Part {
    let counts = seen.counts;
    let retransmitted = Retransmitted::of(counts);
    let is_that = retransmitted.is_mostly_doubled() && (counts.get(C::ReorderingEvents) > 0) == reordered;
    Part::new(
        if is_that { retransmitted.doubled } else { 0 },
        counts.get(C::DataSegmentsTransmitted),
    )
}

pub(super) const PEER_READS_SLOWLY: Rule = Rule {
    name: "peer_reads_slowly",
    whose: Whose::Peer,
    floor: Floor { rate: 0.2, share: 0.5 },
    says: "peers read too slowly: senders wait {share} of their time for the receive window",
    next: "look at the program that reads, not at the network",
    runbook: "TcpvitalsPeerReadsSlowly",
    reads: Reads::Traffic(|seen| limited(seen, C::ReceiveWindowJiffies)),
};

pub(super) const SEND_BUFFER: Rule = Rule {
    name: "send_buffer",
    whose: Whose::Ours,
    floor: Floor { rate: 0.2, share: 0.3 },
    says: "the send buffer is too small: senders wait {share} of their time for room in it",
    next: "sysctl net.ipv4.tcp_wmem; look for SO_SNDBUF in the program",
    runbook: "TcpvitalsPeerReadsSlowly",
    reads: Reads::Traffic(|seen| limited(seen, C::SendBufferJiffies)),
};

/// Time in which senders had to wait, of the time in which they had something to send.
fn limited(seen: &Seen<'_>, limit: C) -> Part {
    let [events, of] = [limit, C::SenderBusyJiffies].map(|counter| number(seen.counts.get(counter)) * seen.jiffy);
    Part { events, of }
}

/// How an open fails once a SYN could be sent, or for want of a route.
pub(crate) const FAILURES: [C; 9] = [
    C::FailedRefused,
    C::FailedTimedOut,
    C::FailedUnanswered,
    C::FailedReset,
    C::FailedHostUnreachable,
    C::FailedNetworkUnreachable,
    C::FailedProhibited,
    C::FailedNoRoute,
    C::FailedOther,
];

/// A rule about opens that fail.
const fn opens_fail(
    name: &'static str,
    whose: Whose,
    says: &'static str,
    next: &'static str,
    read: fn(&Seen<'_>) -> Part,
) -> Rule {
    Rule {
        name,
        whose,
        floor: Floor { rate: 0.1, share: 0.05 },
        says,
        next,
        runbook: "TcpvitalsConnectionsFail",
        reads: Reads::Traffic(read),
    }
}

/// Opens that failed so, of all that this host tried.
fn failed(seen: &Seen<'_>, reasons: &[C]) -> Part {
    let counts = seen.counts;
    let tried = counts.client_opens + counts.sum(&FAILURES) + counts.get(C::FailedNoLocalPort);
    Part::new(counts.sum(reasons), tried)
}

pub(super) const REFUSED: Rule = opens_fail(
    "refused",
    Whose::Peer,
    "{share} of the opens are refused, {rate} a second: nobody listens there",
    "on the peer: ss -ltn; is the service running, and on this port?",
    |seen| failed(seen, &[C::FailedRefused]),
);

pub(super) const UNANSWERED: Rule = Rule {
    name: "unanswered",
    whose: Whose::Silent,
    floor: Floor { rate: 0.1, share: 0.05 },
    says: "SYNs get no answer: {rate} a second are retransmitted",
    next: "a filter drops them, the host is gone, or its accept queue is full; on the peer: tcpvitals drops, ss -ltn",
    runbook: "TcpvitalsOpensUnanswered",
    reads: Reads::Traffic(|seen| {
        let counts = seen.counts;
        let given_up = counts.sum(&[C::FailedUnanswered, C::FailedTimedOut]);
        let repeated = counts
            .get(C::SynRetransmits)
            .saturating_sub(counts.get(C::LocallyDroppedSegments));
        // As long as all are answered in the end, it is loss.
        let is_silent = given_up > 0 || counts.client_opens == 0;
        Part::new(if is_silent { repeated } else { 0 }, repeated + counts.client_opens)
    }),
};

pub(super) const RESET_AT_OPENING: Rule = opens_fail(
    "reset_at_opening",
    Whose::Peer,
    "{share} of the opens are reset in their handshake, {rate} a second",
    "a proxy or a filter between ends them; on the peer: ss -ltn, nstat TcpExtTCPAbortOnListen",
    |seen| failed(seen, &[C::FailedReset]),
);

pub(super) const RESET_BY_PEER: Rule = Rule {
    name: "reset_by_peer",
    whose: Whose::Peer,
    floor: Floor { rate: 0.1, share: 0.05 },
    says: "{share} of the connections that end are reset by the peer while in use, {rate} a second",
    next: "on the peer: does the program crash, or does a proxy or firewall between end it? journalctl -k; tcpdump 'tcp[tcpflags] & tcp-rst != 0'",
    runbook: "TcpvitalsConnectionsFail",
    // Of connections that this host opened: peers that reset those that they opened themselves only give up.
    reads: Reads::Traffic(|seen| {
        let reset = seen.counts.client_resets_in_use;
        Part::new(reset, seen.counts.client_closes.max(reset))
    }),
};

pub(super) const UNREACHABLE: Rule = opens_fail(
    "unreachable",
    Whose::Network,
    "{share} of the opens end with an error of the network, {rate} a second: host or network unreachable, or prohibited",
    "ip route get ADDRESS; ip neigh; the router that answers says why: tcpdump icmp or icmp6",
    |seen| {
        let said = [
            C::FailedNetworkUnreachable,
            C::FailedProhibited,
            C::FailedHostUnreachable,
        ];
        // This host says itself that a host is unreachable whose next hop does not answer.
        let [of_network @ .., _] = &said;
        failed(seen, if seen.lacks_neighbor { of_network } else { &said })
    },
);

pub(super) const NO_ROUTE: Rule = opens_fail(
    "no_route",
    Whose::Ours,
    "{share} of the opens fail before their SYN, {rate} a second: this host has no route",
    "ip route get ADDRESS; ip rule",
    |seen| failed(seen, &[C::FailedNoRoute]),
);

pub(super) const NO_LOCAL_PORT: Rule = opens_fail(
    "no_local_port",
    Whose::Ours,
    "{share} of the opens fail before their SYN, {rate} a second: no local port is free",
    "ss -s; sysctl net.ipv4.ip_local_port_range; reuse connections",
    |seen| failed(seen, &[C::FailedNoLocalPort]),
);

pub(super) const ACCEPT_QUEUE_FULL: Rule = Rule {
    name: "accept_queue_full",
    whose: Whose::Here,
    floor: Floor {
        rate: 0.1,
        share: 0.001,
    },
    says: "a program here accepts too slowly: {rate} handshakes a second find its accept queue full",
    next: "ss -ltn: Recv-Q beside Send-Q; the program's backlog and net.core.somaxconn",
    runbook: "TcpvitalsAcceptQueueFull",
    reads: Reads::Traffic(|seen| listen_drops(seen, C::ListenDropsAcceptQueue)),
};

pub(super) const SYN_QUEUE_FULL: Rule = Rule {
    name: "syn_queue_full",
    whose: Whose::Here,
    floor: Floor {
        rate: 0.1,
        share: 0.001,
    },
    says: "{rate} SYNs a second find the SYN queue of a program here full",
    next: "sysctl net.ipv4.tcp_syncookies net.ipv4.tcp_max_syn_backlog; is it a flood?",
    runbook: "TcpvitalsConnectionsFail",
    reads: Reads::Traffic(|seen| listen_drops(seen, C::ListenDropsSynQueue)),
};

/// Handshakes that were turned away, of those that came to the same services.
fn listen_drops(seen: &Seen<'_>, cause: C) -> Part {
    let dropped = seen.counts.get(cause);
    Part::new(dropped, dropped + seen.counts.everywhere.server_opens)
}

pub(super) const HANDSHAKES_INCOMPLETE: Rule = Rule {
    name: "handshakes_incomplete",
    whose: Whose::Silent,
    floor: Floor { rate: 0.5, share: 0.2 },
    says: "peers do not end their handshakes: {rate} SYN-ACKs a second are retransmitted",
    next: "a flood of SYNs, or the way back is broken: tcpdump 'tcp[tcpflags] & tcp-syn != 0'",
    runbook: "TcpvitalsHandshakesBudgetBurns",
    reads: Reads::Traffic(|seen| {
        let counts = seen.counts;
        // A full accept queue lets peers wait in the same way.
        let own = counts.everywhere.accept_queue_full > 0;
        let repeated = counts.get(C::SynAckRetransmits);
        Part::new(if own { 0 } else { repeated }, repeated + counts.server_opens)
    }),
};

pub(super) const HALF_OPEN_RESETS: Rule = Rule {
    name: "half_open_resets",
    whose: Whose::Peer,
    floor: Floor { rate: 0.5, share: 0.2 },
    says: "peers reset {rate} handshakes a second before they end",
    next: "scanners and health checks do that; who: tcpdump 'tcp[tcpflags] & tcp-rst != 0'",
    runbook: "TcpvitalsHandshakesBudgetBurns",
    reads: Reads::Traffic(|seen| {
        let counts = seen.counts;
        // Each connection ends once: what is more was no connection yet.
        let half_open = counts.server_resets.saturating_sub(counts.server_closes);
        Part::new(half_open, half_open + counts.server_opens)
    }),
};
