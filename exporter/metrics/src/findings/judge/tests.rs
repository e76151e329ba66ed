//! Every rule: silent at half its floors, found at twice; what mutes, what explains, and how long something has been so.

use super::*;
use crate::findings::rules::{RULES, Reads};
use crate::{
    host::causes::Cause,
    labels::Labelling,
    snapshot::{
        DropSite, Group,
        tests::{row, snapshot},
    },
};
use common::{
    drops::{Direction, DropCount, DropSource, Protocol},
    histogram::rtt_bucket,
    kernel::fields::global,
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
    /// Whose faults happen.
    service: u16,
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
            service: 1,
        };
        host.snapshot.at = Duration::from_secs(1000);
        host.collect(0);
        host
    }

    /// Counts for connections of one service.
    fn count(&mut self, service: u16, role: Role, counts: &[(C, u64)]) {
        self.count_of(named(), service, role, counts);
    }

    /// The same of a subnet.
    fn count_of(&mut self, subnet: SubnetKey, service: u16, role: Role, counts: &[(C, u64)]) {
        let key = GroupKey {
            subnet,
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
        self.drop_of(named(), reason, direction, packets, 0);
    }

    /// The same of a subnet, so many of which were retransmitted.
    fn drop_of(&mut self, subnet: SubnetKey, reason: &str, direction: Direction, packets: u64, repeated: u64) {
        let site = DropSite {
            location: "somewhere".to_owned(),
            reason: reason.to_owned(),
            subnet: Some(subnet),
            protocol: Some(Protocol::Tcp),
            direction,
            ..DropSite::default()
        };
        let id = self.snapshot.drops.len() as u64;
        let count = DropCount {
            packets,
            repeated,
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
    host.count(host.service, Role::Client, counts);
}

fn server(host: &mut Host, counts: &[(C, u64)]) {
    host.count(host.service, Role::Server, counts);
}

/// A listener turns handshakes away: the kernel does not say whose.
fn listener(host: &mut Host, counts: &[(C, u64)]) {
    host.count_of(SubnetKey::default(), host.service, Role::Server, counts);
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
    ("reset_by_peer", |host, events, of| {
        client(host, &[(C::ResetsInUse, events), (C::Closed, of)]);
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
        listener(host, &[(C::ListenDropsAcceptQueue, events)]);
        server(host, &[(C::Opened, of - events)]);
    }),
    ("syn_queue_full", |host, events, of| {
        listener(host, &[(C::ListenDropsSynQueue, events)]);
        server(host, &[(C::Opened, of - events)]);
    }),
    ("handshakes_incomplete", |host, events, of| {
        server(host, &[(C::SynAckRetransmits, events), (C::Opened, of - events)]);
    }),
    ("half_open_resets", |host, events, of| {
        server(host, &[(C::ResetsReceived, events), (C::Opened, of - events)]);
    }),
    ("conntrack_full", |host, events, _| {
        let conntrack = host.snapshot.host.conntrack.get_or_insert_default();
        conntrack.failures.get_or_insert_default().drop += events;
    }),
    ("device_loss", |host, events, _| {
        let lost = &mut host.snapshot.host.lost;
        *lost
            .entry(("eth0".to_owned(), (Direction::Receive, Cause::Missed)))
            .or_default() += events;
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
    ("old_timestamps", |host, events, _| {
        host.drop("TCP_RFC7323_PAWS", Direction::Receive, events)
    }),
    ("other_error", |host, events, _| {
        host.drop("IP_INHDR", Direction::Receive, events)
    }),
    ("exporter_blind", |host, events, _| {
        host.snapshot.lost[Lost::FlowsUntracked as usize] += events
    }),
];

/// Has a fault go on for some time, with events and their share as many times its floors.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers"
)]
fn go_on(host: &mut Host, name: &str, times: f64, seconds: u64) {
    let (_, cause) = FAULTS.iter().find(|(own, _)| *own == name).unwrap();
    let floor = RULES.iter().find(|rule| rule.name == name).unwrap().floor;
    let events = (floor.rate * times * seconds as f64).ceil().max(1.0);
    let of = if floor.share > 0.0 {
        (events / (floor.share * times).min(1.0)).floor()
    } else {
        events
    };
    cause(host, events as u64, of as u64);
}

/// What is found of a rule's fault, with events and their share as many times its floors.
fn at(name: &str, times: f64, yaml: &str) -> Vec<String> {
    let mut host = Host::new(yaml);
    go_on(&mut host, name, times, SECONDS);
    let report = host.collect(SECONDS);
    assert_eq!(report.state, State::Judged);
    names(&report).into_iter().map(str::to_owned).collect()
}

/// The rules that these tests have a fault of: those of round trips have tests of their own.
fn rules() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(name, _)| *name)
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
fn every_fault_is_found_beside_heavy_traffic_that_is_well() {
    for name in rules() {
        let mut host = Host::new("");
        let much = [(C::Opened, 300_000), (C::Closed, 300_000)];
        host.count(2, Role::Server, &much);
        host.count(2, Role::Client, &much);
        let segments = [
            (C::DataSegmentsTransmitted, 50_000_000),
            (C::SenderBusyJiffies, 1_000_000),
        ];
        host.count(2, Role::Client, &segments);
        go_on(&mut host, name, 2.0, SECONDS);
        assert_eq!(names(&host.collect(SECONDS)), [name]);
    }
}

/// Each of another service: within one, what this host drops explains what is retransmitted.
#[test]
fn two_faults_of_one_subnet_are_both_found() {
    let mut wrong = Vec::new();
    for (place, one) in rules().enumerate() {
        for other in rules().skip(place + 1) {
            let mut host = Host::new("");
            go_on(&mut host, one, 10.0, SECONDS);
            host.service = 2;
            go_on(&mut host, other, 10.0, SECONDS);
            let report = host.collect(SECONDS);
            let mut found = names(&report);
            found.sort_unstable();
            let mut expected = vec![one, other];
            // The one explains the other.
            if expected == ["unreachable", "no_neighbor"] {
                expected.remove(0);
            }
            expected.sort_unstable();
            if found != expected {
                wrong.push(format!("{one} and {other}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fault_that_ends_is_gone_within_two_windows() {
    for name in rules() {
        let mut host = Host::new("");
        for _ in 0..8 {
            go_on(&mut host, name, 2.0, 15);
            host.collect(15);
        }
        assert_eq!(names(&host.collect(0)), [name]);
        let gone = (1..=8).find(|_| host.collect(15).findings.is_empty());
        assert!(
            gone.is_some_and(|collections| collections * 15 <= 2 * SECONDS),
            "{name}: {gone:?}"
        );
    }
}

#[test]
fn an_exporter_that_starts_in_the_middle_finds_every_fault_and_that_it_may_be_older() {
    for name in rules() {
        // Its counters begin at zero.
        let mut host = Host::new("");
        for _ in 0..3 {
            go_on(&mut host, name, 2.0, 5);
            host.collect(5);
        }
        let report = host.collect(0);
        assert_eq!(names(&report), [name]);
        assert!(report.findings[0].since.or_before, "{name}");
    }
}

#[test]
fn every_fault_is_found_however_often_somebody_asks() {
    // Seconds between questions: three who ask alone, and two beside each other, of whom one comes right after the other at times.
    let asking: [&[u64]; 4] = [&[5], &[15], &[60], &[5, 7]];
    for name in rules() {
        for intervals in asking {
            let mut host = Host::new("");
            for second in 1..=180 {
                if second % 5 == 0 {
                    go_on(&mut host, name, 2.0, 5);
                }
                host.snapshot.at += Duration::from_secs(1);
                for interval in intervals {
                    if second % interval == 0 {
                        host.collect(0);
                    }
                }
            }
            assert_eq!(names(&host.collect(0)), [name], "every {intervals:?} s");
        }
    }
}

/// One client reads every minute, and another one in between.
#[test]
fn who_asks_soon_after_a_long_time_is_told_what_was_found_in_it() {
    let mut host = Host::new("");
    client(&mut host, &[(C::FailedRefused, 60)]);
    assert_eq!(names(&host.collect(60)), ["refused"]);
    let report = host.collect(5);
    assert_eq!((names(&report), report.window_seconds), (vec!["refused"], 65.0));
    // As soon as that is enough, it is judged alone.
    let report = host.collect(5);
    assert_eq!((names(&report), report.window_seconds), (Vec::new(), 10.0));
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

/// The programs count accepted connections by the subnet of the peer, and rejected ones without a subnet.
#[test]
fn what_a_listener_turns_away_is_weighed_with_what_it_let_in_from_all_subnets() {
    for (counter, name) in [
        (C::ListenDropsAcceptQueue, "accept_queue_full"),
        (C::ListenDropsSynQueue, "syn_queue_full"),
    ] {
        let mut host = Host::new("");
        listener(&mut host, &[(counter, 60)]);
        server(&mut host, &[(C::Opened, 5940)]);
        host.count(2, Role::Server, &[(C::Opened, 1_000_000)]);
        let report = host.collect(SECONDS);
        assert_eq!(names(&report), [name]);
        let finding = &report.findings[0];
        assert_eq!((finding.subnet.as_str(), finding.share), ("", 0.01));
        assert_eq!(report.fine, ["office"]);
        let mut host = Host::new("");
        listener(&mut host, &[(counter, 60)]);
        server(&mut host, &[(C::Opened, 600_000)]);
        let report = host.collect(SECONDS);
        assert_eq!(names(&report), Vec::<&str>::new());
        assert_eq!(report.fine, ["office"]);
    }
}

#[test]
fn a_full_accept_queue_explains_handshakes_of_its_service_that_do_not_end() {
    let found = |service| {
        let mut host = Host::new("");
        listener(&mut host, &[(C::ListenDropsAcceptQueue, 600)]);
        host.count(service, Role::Server, &[(C::SynAckRetransmits, 600), (C::Opened, 600)]);
        let report = host.collect(SECONDS);
        let mut found: Vec<String> = names(&report).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found(1), ["accept_queue_full"]);
    assert_eq!(found(2), ["accept_queue_full", "handshakes_incomplete"]);
}

/// The last acknowledgments among them are packets with a drop site.
#[test]
fn a_full_accept_queue_explains_the_packets_that_it_turns_away() {
    let found = |turned_away, yaml| {
        let mut host = Host::new(yaml);
        listener(&mut host, &[(C::ListenDropsAcceptQueue, turned_away)]);
        server(&mut host, &[(C::Opened, 600)]);
        host.drop("TCP_LISTEN_OVERFLOW", Direction::Receive, 120);
        let report = host.collect(SECONDS);
        let found: Vec<String> = names(&report).into_iter().map(str::to_owned).collect();
        (found, report.muted)
    };
    assert_eq!(found(240, ""), (vec!["accept_queue_full".to_owned()], 0));
    let mute = "findings: {ignore: [{finding: accept_queue_full}]}";
    assert_eq!(found(240, mute), (Vec::new(), 1));
    // Where nobody looks at listeners the packets alone tell.
    assert_eq!(found(0, ""), (vec!["other_capacity".to_owned()], 0));
}

/// A search by name also finds names that are not shown.
#[test]
fn a_finding_knows_more_services_than_it_shows() {
    let mut host = Host::new("");
    for service in 1..=5 {
        host.count(service, Role::Client, &[(C::FailedRefused, 60 * u64::from(service))]);
    }
    let report = host.collect(SECONDS);
    let finding = &report.findings[0];
    assert_eq!(finding.services.len(), 5);
    let json = serde_json::to_value(finding).unwrap();
    assert_eq!(json["services"], serde_json::json!(finding.services[..3]));
    let text = finding.to_string();
    assert!(
        text.contains(&finding.services[2]) && !text.contains(&finding.services[3]),
        "{text}"
    );
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

/// TCP sends what it knows to be dropped later, as new: no retransmission is because of that.
#[test]
fn loss_in_the_network_is_found_beside_own_drops_that_tcp_learns_of_at_once() {
    let counts = [
        (C::RetransmittedSegmentsFast, 600),
        (C::LocallyDroppedSegments, 600),
        (C::DataSegmentsTransmitted, 6000),
    ];
    let mut host = Host::new("");
    client(&mut host, &counts);
    host.drop("QDISC_DROP", Direction::Transmit, 600);
    let report = host.collect(SECONDS);
    let mut found = names(&report);
    found.sort_unstable();
    assert_eq!(found, ["network_loss", "own_queue"]);
    // Where nobody looks for retransmissions after own drops, they may be these.
    let mut host = Host::new("");
    let reason = "local_loss.enabled is false".to_owned();
    host.snapshot.coverage.missing_fields = vec![(global::TCP_SKB_CB_SEQ, reason)];
    client(&mut host, &counts);
    host.drop("QDISC_DROP", Direction::Transmit, 600);
    assert_eq!(names(&host.collect(SECONDS)), ["own_queue"]);
    let counts = [(C::RetransmittedSegmentsFast, 600), (C::DataSegmentsTransmitted, 6000)];
    client(&mut host, &counts);
    let report = host.collect(SECONDS);
    let lost = report.findings.iter().find(|finding| finding.finding == "network_loss");
    let says = lost.map(|finding| finding.says.as_str()).unwrap_or_default();
    assert!(says.contains("or in another network namespace of it"), "{report:#?}");
}

/// The ring holds fewer entries of many label sets, which then are further apart.
#[test]
fn however_many_label_sets_there_are_two_minutes_are_kept() {
    let mut host = Host::new("");
    for id in 0..6000 {
        let key = GroupKey {
            protocol: 1,
            ..GroupKey::default()
        };
        host.snapshot.groups.push(row(id, Some(key), Group::default()));
    }
    for second in 1..=150 {
        for row in &mut host.snapshot.groups {
            for counter in [
                C::DataSegmentsTransmitted,
                C::RetransmittedSegmentsFast,
                C::Opened,
                C::Closed,
            ] {
                row.total.counters.counters[counter as usize] += 1;
            }
        }
        let report = host.collect(1);
        let state = if second < 30 { continue } else { report.state };
        assert_eq!(state, State::Judged, "after {second} s");
        assert!(
            second < 100 || report.window_seconds > 40.0,
            "{} s",
            report.window_seconds
        );
    }
}

/// Of a host with two subnets: what is dropped elsewhere on it points to the subnet's own sites, each of them once.
#[test]
fn the_sites_of_a_finding_are_those_of_its_subnet_and_each_stands_once() {
    let lab = SubnetKey {
        words: [1, 0, 0, 0],
        ..named()
    };
    let mut host = Host::new("");
    host.config = Config::from_yaml(
        "subnets: [{name: office, cidrs: [10.0.0.0/8]}, {name: lab, cidrs: [10.1.0.0/16]}]",
        "t.yaml",
    )
    .unwrap();
    host.labelling = Labelling::new(&host.config, &Numbering::new(&host.config));
    let counts = [
        (C::RetransmittedSegmentsOther, 120),
        (C::RetransmittedAfterLocalDrop, 120),
        (C::DataSegmentsTransmitted, 6000),
    ];
    client(&mut host, &counts);
    // The same place for two workloads, and a filter and a queue of somebody else.
    host.drop_of(named(), "NETFILTER_DROP", Direction::Receive, 70, 70);
    host.drop_of(named(), "NETFILTER_DROP", Direction::Receive, 50, 50);
    host.drop_of(lab, "QDISC_DROP", Direction::Transmit, 900, 900);
    host.drop_of(lab, "NETFILTER_DROP", Direction::Receive, 900, 900);
    let report = host.collect(SECONDS);
    let of_office: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.subnet == "office")
        .collect();
    assert_eq!(of_office.len(), 1, "{report:#?}");
    assert_eq!(of_office[0].finding, "own_filter");
    let sites: Vec<_> = of_office[0]
        .sites
        .iter()
        .map(|site| (site.reason.as_str(), site.packets_per_second))
        .collect();
    assert_eq!(sites, [("NETFILTER_DROP", 2.0)]);
}

#[test]
fn every_reason_of_a_full_queue_or_of_too_little_memory_says_so() {
    for (reason, name) in [
        ("FQ_FLOW_LIMIT", "queue_full"),
        ("CAKE_FLOOD", "queue_full"),
        ("DUALPI2_STEP_DROP", "queue_full"),
        ("PFMEMALLOC", "no_memory"),
    ] {
        let mut host = Host::new("");
        host.drop(reason, Direction::Receive, 120);
        assert_eq!(names(&host.collect(SECONDS)), [name], "{reason}");
    }
}

/// As when the module of connection tracking is unloaded and loaded again.
#[test]
fn what_cannot_be_read_for_a_while_is_not_counted_again() {
    let mut host = Host::new("");
    go_on(&mut host, "conntrack_full", 10.0, SECONDS);
    assert_eq!(names(&host.collect(SECONDS)), ["conntrack_full"]);
    let conntrack = host.snapshot.host.conntrack.take();
    assert_eq!(names(&host.collect(SECONDS)), Vec::<&str>::new());
    host.snapshot.host.conntrack = conntrack;
    assert_eq!(names(&host.collect(SECONDS)), Vec::<&str>::new());
    go_on(&mut host, "conntrack_full", 2.0, SECONDS);
    assert_eq!(names(&host.collect(SECONDS)), ["conntrack_full"]);
}

/// A route that is away is no queue.
#[test]
fn what_is_wrong_is_not_said_to_be_a_queue() {
    let mut host = Host::new("");
    client(
        &mut host,
        &[(C::LocallyDroppedSegments, 120), (C::DataSegmentsTransmitted, 6000)],
    );
    host.drop("IP_OUTNOROUTES", Direction::Transmit, 120);
    assert_eq!(names(&host.collect(SECONDS)), ["packets_without_route"]);
}

/// Who gives up a connection that it opened itself, and connections of a pool that nobody uses when they are reset.
#[test]
fn resets_of_what_is_not_in_use_or_of_those_who_came_are_none_of_the_peer() {
    let mut host = Host::new("");
    client(&mut host, &[(C::ResetsReceived, 600), (C::Closed, 600)]);
    server(
        &mut host,
        &[(C::ResetsReceived, 600), (C::ResetsInUse, 600), (C::Closed, 600)],
    );
    assert_eq!(names(&host.collect(SECONDS)), Vec::<&str>::new());
}

/// Who is not reached because a next hop does not answer is not the network's; what routers say is.
#[test]
fn a_next_hop_that_does_not_answer_is_not_said_to_be_the_networks() {
    let found = |counter, packets| {
        let mut host = Host::new("");
        client(&mut host, &[(counter, 60), (C::Opened, 60)]);
        host.drop("NEIGH_FAILED", Direction::Transmit, packets);
        let report = host.collect(SECONDS);
        let mut found: Vec<String> = names(&report).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(found(C::FailedHostUnreachable, 120), ["no_neighbor"]);
    // Too few for a finding of their own.
    assert_eq!(found(C::FailedHostUnreachable, 30), ["unreachable"]);
    assert_eq!(found(C::FailedProhibited, 120), ["no_neighbor", "unreachable"]);
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

/// The same counts answer both questions: what had arrived before is no loss, and what had not is no reordering.
#[test]
fn loss_and_what_was_retransmitted_for_nothing_are_told_apart() {
    let found = |retransmitted, doubled, more: &[(C, u64)]| {
        let mut host = Host::new("");
        let counts = [
            (C::RetransmittedSegmentsFast, retransmitted),
            (C::Dsacks, doubled),
            (C::ReorderingEvents, 1),
            (C::DataSegmentsTransmitted, 6000),
        ];
        client(&mut host, &counts);
        client(&mut host, more);
        let report = host.collect(SECONDS);
        let rates = report
            .findings
            .iter()
            .map(|finding| (finding.finding.to_string(), finding.rate));
        rates.collect::<Vec<_>>()
    };
    let [loss, reordering] = ["network_loss", "reordering"].map(|name| move |rate| (name.to_owned(), rate));
    assert_eq!(found(600, 0, &[]), [loss(10.0)]);
    assert_eq!(found(600, 540, &[]), [reordering(9.0)]);
    assert_eq!(found(600, 360, &[]), [reordering(6.0), loss(4.0)]);
    assert_eq!(found(600, 240, &[]), [loss(10.0)]);
    // Probes of a closed window, which the peer reported each, beside segments that were lost.
    let waits = [
        (C::RetransmittedSegmentsTimeout, 6000),
        (C::Dsacks, 6000),
        (C::ReceiveWindowJiffies, 14_000),
        (C::SenderBusyJiffies, 15_000),
    ];
    let seen = found(600, 0, &waits);
    assert!(seen.contains(&loss(10.0)) && seen.len() == 2, "{seen:?}");
}

/// What waits in a queue of this host takes longer: that is not the network's.
#[test]
fn a_queue_of_this_host_explains_longer_round_trips() {
    let found = |yaml| {
        let mut host = Host::new(yaml);
        for _ in 0..12 {
            host.round_trips(100, 20_000);
            host.collect(15);
        }
        for _ in 0..4 {
            host.round_trips(100, 70_000);
            go_on(&mut host, "own_queue", 2.0, 15);
            // Enough at once for a finding about its sites.
            host.drop("QDISC_DROP", Direction::Transmit, 60);
            host.collect(15);
        }
        let report = host.collect(1);
        (report.findings.clone(), report.muted)
    };
    let (findings, muted) = found("");
    assert_eq!(
        (findings[0].finding.as_ref(), findings.len(), muted),
        ("own_queue", 1, 0)
    );
    // A muted finding explains the same drops.
    assert_eq!(found("findings: {ignore: [{finding: own_queue}]}"), (Vec::new(), 1));
}

#[test]
fn round_trips_are_compared_with_what_was_usual() {
    let found = |number, micros| {
        let mut host = Host::new("");
        for _ in 0..12 {
            host.round_trips(100, 20_000);
            assert_eq!(names(&host.collect(15)), Vec::<&str>::new());
        }
        for _ in 0..4 {
            host.round_trips(number, micros);
            host.collect(15);
        }
        names(&host.collect(1)).len()
    };
    // Twice the floor of the rate, half of it, and about as long as usual.
    assert_eq!([found(30, 70_000), found(8, 70_000), found(100, 25_000)], [1, 0, 0]);
    let mut host = Host::new("");
    for micros in [20_000; 12].into_iter().chain([70_000; 4]) {
        host.round_trips(100, micros);
        host.collect(15);
    }
    assert_eq!(names(&host.collect(1)), ["rtt_above_baseline"]);
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
