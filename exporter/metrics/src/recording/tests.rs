//! A recording that is read and replayed says what was written, and whatever else is read is refused.

use super::{
    MAGIC,
    message::{Change, Changes, Frame, Header, Table},
    *,
};
use crate::{
    coverage::{Coverage, Program},
    host::{
        Host, Part,
        files::{Conntrack, Events, Failures, TcpMemory},
    },
    rows::drops::CodeAddress,
    snapshot::{DropSite, Fill, Group, NameSource, Row, Snapshot, tests::snapshot},
    workloads::{Instance, Workload},
};
use common::{
    drops::{Direction, DropCount, DropSource, Protocol},
    map::lost::Misses,
    net::address::SubnetKey,
    tcp::{
        accept_queue::{AcceptQueues, ListenerKey},
        group::{Counter, GroupKey},
        record::FlowRecord,
    },
};
use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use prost::Message;
use std::{io::Write, sync::Arc, time::Duration};

/// When the programs were loaded.
const STARTED: Duration = Duration::from_secs(1_700_000_000);
/// When the first moment was.
const FIRST: Duration = Duration::from_secs(1_700_000_001);
const INTERVAL: Duration = Duration::from_secs(5);
/// Moments in a recording.
const MOMENTS: u32 = 4;

fn coverage() -> Coverage {
    Coverage {
        programs: vec![
            Program {
                name: "tcp_probe",
                hook: "tcp_probe",
                off: None,
            },
            Program {
                name: "qdisc_drop",
                hook: "qdisc_drop",
                off: Some("this kernel has no such hook".to_owned()),
            },
        ],
        missing_fields: vec![("SOCK_COMMON_COOKIE", "no such member".to_owned())],
        host_off: vec![(Part::Devices, "devices.enabled is false".to_owned())],
    }
}

fn about() -> About {
    About {
        version: "1.2.3".to_owned(),
        configuration: "{}".to_owned(),
        host: "shop-1".to_owned(),
        kernel: "6.18.0".to_owned(),
        started: STARTED,
        interval: INTERVAL,
        entry: Duration::from_secs(7),
        jiffy: Duration::from_millis(4),
        capacity: snapshot().capacity,
        coverage: coverage(),
        source_of_names: Some("cgroup"),
    }
}

/// Connections and drops grow by their number, and a flow lives for two moments.
fn moment(number: u32) -> Moment {
    let more = u64::from(number) * 10;
    let mut group = Group::default();
    group.counters.counters[Counter::Opened as usize] = 3 + more;
    group.counters.rtt.buckets[40] = more;
    group.samples.live = more % 3;
    group.samples.mss.buckets[9] = 1 + more;
    let key = GroupKey {
        subnet: SubnetKey {
            words: [1, 0, 0, 0],
            kind: 1,
        },
        protocol: 2,
        role: 1,
        workload: 4,
        ..GroupKey::default()
    };
    let site = DropSite {
        location: "tcp_v4_rcv".to_owned(),
        reason: "NO_SOCKET".to_owned(),
        subnet: Some(key.subnet),
        protocol: Some(Protocol::Tcp),
        direction: Direction::Receive,
        app_protocol: Some(0),
        marks: 1,
        ..DropSite::default()
    };
    let count = DropCount {
        packets: more,
        bytes: 100 * more,
        repeated: 0,
    };
    let row = |id, key| Row {
        id,
        key,
        born: FIRST + Duration::from_secs(2),
        total: count,
    };
    let flow = Flow {
        record: FlowRecord {
            cookie: 77,
            local: [7, 0, 0, u32::MAX],
            algorithm: [u64::MAX, 5],
            segs_out: number,
            flags: 3,
            // Recordings do not have it.
            after_local_drop: u64::MAX,
            ..FlowRecord::default()
        },
        instance: Some(Arc::new(Instance::new("cart-1", "abc"))),
    };
    let place = Place {
        address: Some(CodeAddress {
            offset: 12,
            module: Some("nf_tables".to_owned()),
        }),
        alias: String::new(),
    };
    let other = Place {
        address: None,
        alias: "unknown-1".to_owned(),
    };
    let host = Host {
        squeezed: Some(more),
        conntrack: Some(Conntrack {
            entries: 5,
            limit: 9,
            failures: Some(Failures {
                insert_failed: 1,
                drop: more,
                early_drop: 0,
            }),
        }),
        memory: Some(TcpMemory {
            held: 4096,
            limits: [1, 2, 3],
            is_under_pressure: Some(false),
            orphans: None,
            orphans_limit: Some(8),
            events: Events {
                pressures: Some(more),
                ..Events::default()
            },
        }),
        cookies_sent: None,
        failed: Some(0),
        ..Host::default()
    };
    let queues = AcceptQueues {
        listeners: 2,
        waiting: more,
        limit: 128,
        fullness: 7,
        ..AcceptQueues::default()
    };
    let mut snapshot = Snapshot {
        at: FIRST + INTERVAL * number,
        groups: vec![
            Row {
                id: 0,
                key: None,
                born: STARTED,
                total: Group::default(),
            },
            Row {
                id: 9,
                key: Some(key),
                born: FIRST,
                total: group,
            },
        ],
        drops: vec![
            row(0, (DropSource::Software, None)),
            row(4, (DropSource::Software, Some(site))),
        ],
        workloads: [
            Workload::unresolved(),
            Workload::in_kubernetes("shop", "Deployment", "cart"),
        ]
        .into_iter()
        .collect(),
        algorithms: [("cubic".to_owned(), 1 + more)].into(),
        listeners: [
            (None, queues),
            (
                Some(ListenerKey {
                    protocol: 3,
                    workload: 4,
                }),
                queues,
            ),
        ]
        .into(),
        lost: std::array::from_fn(|place| place as u64 * more),
        misses: [(
            "tcp_probe",
            Misses {
                skipped: more,
                taken_over: 1,
            },
        )]
        .into(),
        coverage: coverage(),
        host,
        ..snapshot()
    };
    snapshot.exporter.workloads = Some(Fill {
        used: 1,
        capacity: 1024,
        refused: 0,
    });
    snapshot.exporter.name_source = Some(NameSource {
        name: "cgroup",
        off: None,
        note: None,
        since: STARTED,
        last_update: None,
    });
    Moment {
        snapshot,
        flows: if (1..3).contains(&number) {
            vec![flow]
        } else {
            Vec::new()
        },
        places: [(0, other), (4, place)].into(),
    }
}

/// The bytes of a recording.
fn file() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &about()).unwrap();
    for number in 0..MOMENTS {
        writer.add(&moment(number)).unwrap();
    }
    writer.finish().unwrap()
}

fn player(from: Duration, speed: u32, now: Duration) -> Player {
    let recording = Recording::read(&file()).unwrap();
    Player::new(recording, Pace { from, speed }, now).unwrap()
}

/// A file with these messages.
fn packed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(MAGIC.to_vec(), Compression::fast());
    for message in messages {
        out.write_all(message).unwrap();
    }
    out.finish().unwrap()
}

/// The messages of a file.
fn unpacked(file: &[u8]) -> (Header, Vec<Frame>) {
    let mut bytes = Vec::new();
    let mut decoder = flate2::read::ZlibDecoder::new(&file[MAGIC.len()..]);
    std::io::Read::read_to_end(&mut decoder, &mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    let header = Header::decode_length_delimited(&mut rest).unwrap();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        frames.push(Frame::decode_length_delimited(&mut rest).unwrap());
    }
    (header, frames)
}

fn repacked(header: &Header, frames: &[Frame]) -> Vec<u8> {
    let mut messages = vec![header.encode_length_delimited_to_vec()];
    messages.extend(frames.iter().map(Message::encode_length_delimited_to_vec));
    packed(&messages)
}

#[test]
fn what_is_replayed_is_what_was_recorded() {
    let mut player = player(Duration::ZERO, 1, FIRST);
    assert_eq!(player.started(), STARTED);
    assert_eq!(format!("{:?}", player.recording().about()), format!("{:?}", about()));
    for number in 0..MOMENTS {
        // Between two moments the earlier one holds.
        for late in [Duration::ZERO, INTERVAL - Duration::from_nanos(1)] {
            let now = FIRST + INTERVAL * number + late;
            let seen = player.look(now).unwrap();
            assert_eq!(format!("{seen:#?}"), format!("{:#?}", moment(number)), "{number}");
        }
    }
}

#[test]
fn times_are_moved_to_now() {
    let now = FIRST + Duration::from_secs(1_000_000);
    let mut player = player(Duration::from_secs(6), 2, now);
    let snapshot = player.look(now).unwrap().snapshot;
    // The second moment was a second before that, at twice the speed half a second.
    assert_eq!(snapshot.at, now - Duration::from_millis(500));
    assert_eq!(snapshot.groups[1].born, now - Duration::from_secs(3));
    assert_eq!(player.started(), now - Duration::from_millis(3500));
}

#[test]
fn there_is_something_to_judge_before_the_start() {
    let now = FIRST + Duration::from_secs(1_000_000);
    let mut player = player(Duration::from_secs(16), 1, now);
    let times = player.lead();
    let back = times.iter().map(|at| (now - *at).as_secs());
    assert_eq!(back.collect::<Vec<_>>(), [16, 11, 6, 1]);
    let counts = times.iter().map(|at| opened(&player.look(*at).unwrap()));
    assert_eq!(counts.collect::<Vec<_>>(), [3, 13, 23, 33]);
}

fn opened(moment: &Moment) -> u64 {
    moment.snapshot.groups[1].total.counters.get(Counter::Opened)
}

#[test]
fn a_recording_begins_again_and_its_counters_go_on() {
    let mut player = player(Duration::ZERO, 1, FIRST);
    let length = player.recording().length();
    assert_eq!(length, INTERVAL * MOMENTS);
    let born = |moment: &Moment| moment.snapshot.groups[1].born;
    let first = player.look(FIRST).unwrap();
    let mut last = opened(&first);
    for step in 1..40 {
        let now = FIRST + INTERVAL * step;
        let seen = player.look(now).unwrap();
        assert!(opened(&seen) >= last, "step {step}");
        assert_eq!(seen.snapshot.at, now);
        assert_eq!(born(&seen), born(&first));
        // What holds for the moment does.
        let number = step % MOMENTS;
        assert_eq!(
            seen.snapshot.groups[1].total.samples.live,
            moment(number).snapshot.groups[1].total.samples.live
        );
        assert_eq!(seen.flows, moment(number).flows);
        last = opened(&seen);
    }
    // Each round ends with 33.
    assert_eq!(last, 9 * 33 + 33);
    // Nobody looked for days.
    let seen = player.look(FIRST + length * 100_000).unwrap();
    assert_eq!(opened(&seen), 100_000 * 33 + 3);
    // A clock that was set back.
    let again = player.look(FIRST).unwrap();
    assert_eq!(format!("{again:?}"), format!("{seen:?}"));
}

#[test]
fn counters_may_come_and_go_between_versions() {
    let (mut header, frames) = unpacked(&file());
    let groups = &mut header.tables[0];
    assert_eq!(groups.name, "groups");
    let place = groups.fields.iter().position(|field| field == "Opened").unwrap();
    groups.fields[place] = "SomethingElse".to_owned();
    header.tables.push(Table {
        name: "later".to_owned(),
        fields: vec!["a".to_owned()],
    });
    let recording = Recording::read(&repacked(&header, &frames)).unwrap();
    let pace = Pace {
        from: Duration::ZERO,
        speed: 1,
    };
    let mut player = Player::new(recording, pace, FIRST).unwrap();
    let seen = player.look(FIRST + INTERVAL).unwrap();
    assert_eq!(opened(&seen), 0);
    assert_eq!(seen.snapshot.groups[1].total.counters.rtt.buckets[40], 10);
}

#[test]
fn a_file_that_was_cut_or_is_another_is_refused() {
    let whole = file();
    for length in 0..whole.len() {
        let error = Recording::read(&whole[..length]).err().map(|error| error.to_string());
        assert!(
            error.as_ref().is_some_and(|error| error.starts_with("it is ")),
            "{length}: {error:?}"
        );
    }
    let mut more = whole.clone();
    more.push(0);
    assert!(Recording::read(&more).is_err());
    let mut later = whole;
    later[MAGIC.len() - 1] += 1;
    let error = Recording::read(&later).unwrap_err().to_string();
    assert!(error.contains("format 2") && error.contains("format 1"), "{error}");
    assert!(matches!(
        Recording::read(&vec![0; MOST_BYTES + 1]),
        Err(Unreadable::Large)
    ));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (header, frames) = unpacked(&file());
    let check = |what: &str, change: &dyn Fn(&mut Header, &mut Vec<Frame>)| {
        let (mut header, mut frames) = (header.clone(), frames.clone());
        change(&mut header, &mut frames);
        let error = Recording::read(&repacked(&header, &frames)).unwrap_err().to_string();
        assert!(
            error.starts_with("it is damaged: ") && error.contains(what),
            "{what}: {error}"
        );
    };
    check("no room", &|header, _| header.group_slots = 0);
    check("no room", &|header, _| header.drop_slots = 2);
    check("times", &|header, _| header.interval = 0);
    check("times", &|header, _| header.started = u64::MAX);
    check("times", &|header, _| header.jiffy = u64::MAX);
    check("no name", &|header, _| header.programs[0].name = "x".repeat(1000));
    check("no name", &|header, _| header.tables.clear());
    check("no frame", &|_, frames| {
        frames.drain(..frames.len() - 1);
    });
    check("order", &|_, frames| frames[1].at = frames[0].at);
    check("early", &|_, frames| drop(frames.pop()));
    check("places", &|_, frames| frames[0].changes[0].rows[0].by.push(1));
    check("names", &|_, frames| {
        frames[0].changes[0].rows.push(Change {
            row: 1,
            skipped: vec![u32::MAX],
            by: vec![1],
        });
    });
    check("too many names", &|_, frames| {
        frames[0].names = vec!["a".to_owned(); 1 << 15]
    });
    check("too many names", &|_, frames| frames[0].names = vec!["a".repeat(2000)]);
    check("too many rows", &|_, frames| {
        let rows = (0..100_000).map(|row| Change {
            row,
            ..Change::default()
        });
        frames[0].changes.push(Changes {
            table: 0,
            rows: rows.collect(),
            gone: Vec::new(),
        });
    });
    check("too long", &|header, _| header.configuration = "x".repeat(2 << 20));
    // A bomb: small in the file, and endless when it is unpacked.
    let bomb = packed(&[header.encode_length_delimited_to_vec(), vec![0; 100 << 20]]);
    assert!(bomb.len() < MOST_BYTES);
    assert!(Recording::read(&bomb).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever stands in the messages, there is an answer, and what is read can be replayed.
    #[test]
    fn any_bytes_have_an_answer(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..8)) {
        let (header, frames) = unpacked(&file());
        let mut plain = header.encode_length_delimited_to_vec();
        for frame in &frames {
            plain.extend(frame.encode_length_delimited_to_vec());
        }
        let place = at.index(plain.len());
        for (byte, new) in plain[place..].iter_mut().zip(&bytes) {
            *byte = *new;
        }
        if let Ok(recording) = Recording::read(&packed(&[plain])) {
            let (from, length) = (Duration::ZERO, recording.length());
            let mut player = Player::new(recording, Pace { from, speed: 1 }, FIRST).unwrap();
            for now in [FIRST, FIRST + length / 2, FIRST + length * 3] {
                prop_assert!(player.look(now).is_ok());
            }
        }
        let mut damaged = file();
        let place = at.index(damaged.len());
        damaged[place] ^= bytes[0] | 1;
        drop(Recording::read(&damaged));
    }
}
