//! Every rule: silent at half its floors, found at twice; what mutes, what explains, and how long something has been so.

use super::*;
use crate::findings::rules::{RULES, Reads};
use crate::{
    host::{
        causes::Cause,
        files::{Conntrack, Failures},
    },
    labels::Labelling,
    snapshot::{
        DropSite, Group,
        tests::{row, snapshot},
    },
};
use common::{
    drops::{Direction, DropCount, DropSource, Protocol},
    histogram::rtt_bucket,
    map::lost::Lost,
    net::address::{SubnetKey, SubnetKind},
    tcp::group::{Counter as C, GroupKey, Role},
};
use std::time::Duration;
use tcpvitals_config::{Config, numbering::Numbering};

/// A minute.
const SECONDS: u64 = 60;

/// A host that counts, and somebody who judges it.
struct Host {
    config: Config,
    labelling: Labelling,
    judge: Judge,
    snapshot: Snapshot,
}

impl Host {
    fn new(yaml: &str) -> Self {
        let config = Config::from_yaml(
            &format!("{{subnets: [{{name: office, cidrs: [10.0.0.0/8]}}], {yaml}}}"),
            "t.yaml",
        );
        let config = config.unwrap();
        let mut host = Self {
            labelling: Labelling::new(&config, &Numbering::new(&config)),
            config,
            judge: Judge::default(),
            snapshot: snapshot(),
        };
        host.snapshot.at = Duration::from_secs(1000);
        host.collect(0);
        host
    }

    /// Counts for connections of one service.
    fn count(&mut self, service: u16, role: Role, counts: &[(C, u64)]) {
        let key = GroupKey {
            subnet: named(),
            protocol: service,
            role: role as u8,
            ..GroupKey::default()
        };
        let rows = &mut self.snapshot.groups;
        let place = rows.iter().position(|row| row.key == Some(key)).unwrap_or_else(|| {
            rows.push(row(rows.len() as u64, Some(key), Group::default()));
            rows.len() - 1
        });
        for (counter, more) in counts {
            rows[place].total.counters.counters[*counter as usize] += more;
        }
    }

    /// Counts round trips, all of one length.
    fn round_trips(&mut self, number: u64, micros: u32) {
        self.count(1, Role::Client, &[]);
        let rtt = &mut self.snapshot.groups[0].total.counters.rtt;
        rtt.buckets[rtt_bucket(micros)] += number;
    }

    /// Drops packets of TCP.
    fn drop(&mut self, reason: &str, direction: Direction, packets: u64) {
        let site = DropSite {
            location: "somewhere".to_owned(),
            reason: reason.to_owned(),
            subnet: Some(named()),
            protocol: Some(Protocol::Tcp),
            direction,
            connection: None,
            app_protocol: None,
            workload: None,
            marks: 0,
        };
        let id = self.snapshot.drops.len() as u64;
        let count = DropCount {
            packets,
            ..DropCount::default()
        };
        self.snapshot
            .drops
            .push(row(id, (DropSource::Software, Some(site)), count));
    }

    fn collect(&mut self, after: u64) -> Arc<Report> {
        self.snapshot.at += Duration::from_secs(after);
        self.judge.judge(&self.snapshot, &self.labelling, &self.config.findings)
    }
}

fn named() -> SubnetKey {
    SubnetKey {
        words: [0, 0, 0, 0],
        kind: SubnetKind::Named as u32,
    }
}

fn names(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.finding.as_ref()).collect()
}

/// How a rule about connections comes about: events, and what could have been one, for a host.
type Fault = fn(&mut Host, events: u64, of: u64);

fn client(host: &mut Host, counts: &[(C, u64)]) {
    host.count(1, Role::Client, counts);
}

fn server(host: &mut Host, counts: &[(C, u64)]) {
    host.count(1, Role::Server, counts);
}

const FAULTS: &[(&str, Fault)] = &[
    ("own_queue", |host, events, of| {
        client(
            host,
            &[
                (C::LocallyDroppedSegments, events),
                (C::DataSegmentsTransmitted, of - events),
            ],
        );
        host.drop("QDISC_DROP", Direction::Transmit, events);
    }),
    ("own_filter", |host, events, of| {
        client(
            host,
            &[
                (C::LocallyDroppedSegments, events),
                (C::DataSegmentsTransmitted, of - events),
            ],
        );
        host.drop("NETFILTER_DROP", Direction::Transmit, events);
    }),
    ("network_loss", |host, events, of| {
        client(
            host,
            &[
                (C::RetransmittedSegmentsOther, events),
                (C::DataSegmentsTransmitted, of),
            ],
        );
    }),
    ("reordering", |host, events, of| {
        let again = [
            (C::RetransmittedSegmentsOther, events),
            (C::Dsacks, events),
            (C::ReorderingEvents, 3),
        ];
        client(host, &again);
        client(host, &[(C::DataSegmentsTransmitted, of)]);
    }),
    ("spurious_retransmits", |host, events, of| {
        let again = [
            (C::RetransmittedSegmentsTimeout, events),
            (C::Dsacks, events),
            (C::DataSegmentsTransmitted, of),
        ];
        client(host, &again);
    }),
    // In jiffies of 4 ms, so that a second is 250.
    ("peer_reads_slowly", |host, events, of| {
        client(
            host,
            &[
                (C::ReceiveWindowJiffies, events * 250),
                (C::SenderBusyJiffies, of * 250),
            ],
        );
    }),
    ("send_buffer", |host, events, of| {
        client(
            host,
            &[(C::SendBufferJiffies, events * 250), (C::SenderBusyJiffies, of * 250)],
        );
    }),
    ("refused", |host, events, of| {
        client(host, &[(C::FailedRefused, events), (C::Opened, of - events)])
    }),
    ("unanswered", |host, events, of| {
        let silent = [
            (C::SynRetransmits, events),
            (C::Opened, of - events),
            (C::FailedUnanswered, 1),
        ];
        client(host, &silent);
    }),
    ("reset_at_opening", |host, events, of| {
        client(host, &[(C::FailedReset, events), (C::Opened, of - events)])
    }),
    ("unreachable", |host, events, of| {
        client(host, &[(C::FailedHostUnreachable, events), (C::Opened, of - events)]);
    }),
    ("no_route", |host, events, of| {
        client(host, &[(C::FailedNoRoute, events), (C::Opened, of - events)])
    }),
    ("no_local_port", |host, events, of| {
        client(host, &[(C::FailedNoLocalPort, events), (C::Opened, of - events)]);
    }),
    ("accept_queue_full", |host, events, of| {
        server(host, &[(C::ListenDropsAcceptQueue, events), (C::Opened, of - events)]);
    }),
    ("syn_queue_full", |host, events, of| {
        server(host, &[(C::ListenDropsSynQueue, events), (C::Opened, of - events)]);
    }),
    ("handshakes_incomplete", |host, events, of| {
        server(host, &[(C::SynAckRetransmits, events), (C::Opened, of - events)]);
    }),
    ("half_open_resets", |host, events, of| {
        server(host, &[(C::ResetsReceived, events), (C::Opened, of - events)]);
    }),
    ("conntrack_full", |host, events, _| {
        let failures = Failures {
            drop: events,
            ..Failures::default()
        };
        host.snapshot.host.conntrack = Some(Conntrack {
            failures: Some(failures),
            ..Conntrack::default()
        });
    }),
    ("device_loss", |host, events, _| {
        host.snapshot
            .host
            .lost
            .insert(("eth0".to_owned(), (Direction::Receive, Cause::Missed)), events);
    }),
    ("socket_buffer_full", |host, events, _| {
        host.drop("SOCKET_RCVBUFF", Direction::Receive, events)
    }),
    ("backlog_full", |host, events, _| {
        host.drop("CPU_BACKLOG", Direction::Receive, events)
    }),
    ("ring_full", |host, events, _| {
        host.drop("FULL_RING", Direction::Receive, events)
    }),
    ("no_memory", |host, events, _| {
        host.drop("NOMEM", Direction::Receive, events)
    }),
    ("queue_full", |host, events, _| {
        host.drop("QDISC_DROP", Direction::Receive, events)
    }),
    ("other_capacity", |host, events, _| {
        host.drop("NEIGH_QUEUEFULL", Direction::Receive, events)
    }),
    ("checksum", |host, events, _| {
        host.drop("TCP_CSUM", Direction::Receive, events)
    }),
    ("packets_without_route", |host, events, _| {
        host.drop("IP_INNOROUTES", Direction::Receive, events)
    }),
    ("no_neighbor", |host, events, _| {
        host.drop("NEIGH_FAILED", Direction::Transmit, events)
    }),
    ("no_listener", |host, events, _| {
        host.drop("NO_SOCKET", Direction::Receive, events)
    }),
    ("other_error", |host, events, _| {
        host.drop("IP_INHDR", Direction::Receive, events)
    }),
    ("exporter_blind", |host, events, _| {
        host.snapshot.lost[Lost::FlowsUntracked as usize] += events
    }),
];

/// What a rule is found at, with events and their share as many times its floors.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers"
)]
fn at(name: &str, times: f64, yaml: &str) -> Vec<String> {
    let (_, cause) = FAULTS.iter().find(|(own, _)| *own == name).unwrap();
    let floor = RULES.iter().find(|rule| rule.name == name).unwrap().floor;
    let mut host = Host::new(yaml);
    let events = (floor.rate * times * SECONDS as f64).ceil().max(1.0);
    let of = if floor.share > 0.0 {
        (events / (floor.share * times).min(1.0)).floor()
    } else {
        events
    };
    cause(&mut host, events as u64, of as u64);
    let report = host.collect(SECONDS);
    assert_eq!(report.state, State::Judged);
    names(&report).into_iter().map(str::to_owned).collect()
}

#[test]
fn every_rule_is_silent_below_its_floors_and_finds_above() {
    for rule in RULES.iter().filter(|rule| !matches!(rule.reads, Reads::Rtt)) {
        assert_eq!(at(rule.name, 0.5, ""), Vec::<String>::new(), "{}", rule.name);
        assert_eq!(at(rule.name, 2.0, ""), [rule.name], "{}", rule.name);
    }
    assert_eq!(FAULTS.len(), RULES.len() - 1);
}

#[test]
fn thresholds_and_mutes_are_those_of_the_configuration() {
    let thresholds = "findings: {thresholds: {refused: {rate: 5}, network_loss: {share: 0.5}}}";
    assert_eq!(at("refused", 2.0, thresholds), Vec::<String>::new());
    assert_eq!(at("refused", 60.0, thresholds), ["refused"]);
    assert_eq!(at("network_loss", 2.0, thresholds), Vec::<String>::new());
    let mute = |entry: &str| format!("findings: {{ignore: [{entry}]}}");
    assert_eq!(
        at("refused", 2.0, &mute("{finding: refused, subnet: off*}")),
        Vec::<String>::new()
    );
    assert_eq!(
        at("refused", 2.0, &mute("{finding: refused, subnet: lab}")),
        ["refused"]
    );
    assert_eq!(at("refused", 2.0, &mute("{subnet: office}")), Vec::<String>::new());
    let mut host = Host::new(&mute("{finding: refused}"));
    client(&mut host, &[(C::FailedRefused, 600)]);
    let report = host.collect(SECONDS);
    assert_eq!((report.muted, names(&report)), (1, Vec::new()));
}

#[test]
fn a_fault_of_one_service_does_not_drown_in_the_traffic_of_the_others() {
    let mut host = Host::new("");
    host.count(1, Role::Client, &[(C::Opened, 60_000)]);
    host.count(2, Role::Client, &[(C::FailedRefused, 60)]);
    let report = host.collect(SECONDS);
    assert_eq!(names(&report), ["refused"]);
    let finding = &report.findings[0];
    assert_eq!((finding.services.len(), finding.rate), (1, 1.0));
    assert!(finding.says.contains("100 %"), "{}", finding.says);
}

#[test]
fn what_this_host_drops_is_not_lost_in_the_network_nor_unanswered() {
    let mut host = Host::new("");
    let counts = [
        (C::RetransmittedSegmentsOther, 600),
        (C::RetransmittedAfterLocalDrop, 600),
    ];
    client(&mut host, &counts);
    client(
        &mut host,
        &[(C::DataSegmentsTransmitted, 6000), (C::LocallyDroppedSegments, 600)],
    );
    host.drop("QDISC_DROP", Direction::Transmit, 600);
    assert_eq!(names(&host.collect(SECONDS)), ["own_queue"]);
    let mut host = Host::new("");
    let counts = [
        (C::SynRetransmits, 60),
        (C::LocallyDroppedSegments, 120),
        (C::FailedUnanswered, 30),
    ];
    client(&mut host, &counts);
    host.drop("NETFILTER_DROP", Direction::Transmit, 120);
    assert_eq!(names(&host.collect(SECONDS)), ["own_filter"]);
}

#[test]
fn probes_of_a_closed_window_are_no_loss() {
    let mut host = Host::new("");
    let counts = [(C::RetransmittedSegmentsTimeout, 60), (C::DataSegmentsTransmitted, 600)];
    client(&mut host, &counts);
    client(
        &mut host,
        &[(C::ReceiveWindowJiffies, 14_000), (C::SenderBusyJiffies, 15_000)],
    );
    assert_eq!(names(&host.collect(SECONDS)), ["peer_reads_slowly"]);
}

#[test]
fn round_trips_are_compared_with_what_was_usual() {
    let mut host = Host::new("");
    for _ in 0..12 {
        host.round_trips(100, 20_000);
        assert_eq!(names(&host.collect(15)), Vec::<&str>::new());
    }
    for _ in 0..4 {
        host.round_trips(100, 70_000);
        host.collect(15);
    }
    let report = host.collect(1);
    assert_eq!(names(&report), ["rtt_above_baseline"]);
}

#[test]
fn it_is_told_since_when_and_a_fault_that_ends_is_gone_within_two_windows() {
    let mut host = Host::new("");
    assert_eq!(host.collect(5).state, State::NotYet);
    let began = host.snapshot.at;
    for _ in 0..4 {
        host.collect(15);
    }
    for _ in 0..4 {
        client(&mut host, &[(C::FailedRefused, 15)]);
        host.collect(15);
    }
    let since = host.collect(0).findings[0].since;
    assert_eq!((since.at, since.or_before), (began + Duration::from_secs(75), false));
    let gone = (0..8)
        .map(|_| host.collect(15))
        .position(|report| report.findings.is_empty());
    assert!(gone.is_some_and(|collections| collections <= 7), "{gone:?}");
}

#[test]
fn what_was_there_from_the_start_may_be_older() {
    let mut host = Host::new("");
    for _ in 0..3 {
        client(&mut host, &[(C::FailedRefused, 15)]);
        host.collect(15);
    }
    assert!(host.collect(0).findings[0].since.or_before);
}

#[test]
fn two_who_ask_do_not_shorten_each_others_window() {
    let mut host = Host::new("");
    for _ in 0..30 {
        client(&mut host, &[(C::FailedRefused, 2)]);
        host.collect(1);
        host.collect(1);
        host.collect(0);
    }
    let report = host.collect(0);
    assert_eq!((names(&report), report.window_seconds), (vec!["refused"], 60.0));
    assert_eq!(report.findings[0].rate, 1.0);
}
