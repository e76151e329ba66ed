//! A golden trace: a file of version 1 that stays readable for ever, and what it looks like as text and as JSON.

use std::collections::HashMap;
use std::fs::{read, write};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use common::net::address::{Address, SubnetKey};
use common::net::connection::ConnectionType;
use common::tcp::event::EventKind;
use common::tcp::flow::{ADOPTED, CLOSED, ESTABLISHED};
use common::tcp::group::{GroupKey, Role};
use common::tcp::record::{FlowRecord, Limit};
use common::tcp::{congestion, state};
use tcpvitals::commands::trace::binary;
use tcpvitals::commands::trace::binary::Reader;
use tcpvitals::commands::trace::item::{Item, LostEvents, Setting};
use tcpvitals::commands::trace::names::TraceNames;
use tcpvitals::commands::trace::{json, seed};
use tcpvitals_config::Config;
use tcpvitals_config::numbering::Numbering;
use tcpvitals_metrics::workloads::{Instance, Workload};
use tests::exporter::trace::{objects, require_same};

use crate::golden::{require_golden, wants_update};
use crate::sample::QUOTED;

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "golden", name].iter().collect()
}

/// TraceNames and a time that never change.
fn setting() -> Result<Setting> {
    let config = format!(
        "subnets: [{{name: office, cidrs: [10.20.0.0/16]}}, {{name: {QUOTED:?}, cidrs: [\"fd00:20::/32\"]}}]\n\
         app_protocols: [{{name: orders, ports: [7443]}}]\n"
    );
    let config = Config::from_yaml(&config, "golden.yaml")?;
    let mut names = TraceNames::new(&config, &Numbering::new(&config));
    // The built-in table of ports may grow.
    names.protocols.truncate(3);
    Ok(Setting {
        names,
        clock_base: 1_700_000_000_123_456_789,
    })
}

/// A record in which no two numbers are the same.
fn record() -> FlowRecord {
    FlowRecord {
        now: 5_000_000_001,
        started: 1_000_000_000,
        cookie: 101,
        data_octets_out: 1 << 33,
        data_octets_in: (1 << 34) + 1,
        octets_retrans: 5 << 32,
        sum_rtt_us: 102_000_000_000,
        pacing_rate: u64::MAX,
        delivery_rate: 104_000_000_000,
        busy_us: 105_000_000_000,
        receive_window_us: 106_000_000,
        send_buffer_us: 107_000_000,
        algorithm: [u64::from_le_bytes(*b"cubic\0\0\0"), 0],
        local: [u32::from_ne_bytes([10, 1, 2, 3]), 0, 0, 0],
        remote: [u32::from_ne_bytes([10, 20, 0, 9]), 0, 0, 0],
        labels: GroupKey {
            subnet: SubnetKey::named(0),
            protocol: 1,
            connection: ConnectionType::Wifi as u8,
            role: Role::Client as u8,
            ..GroupKey::default()
        }
        .words(),
        slot: 108,
        snd_cwnd: 10,
        mss: 1448,
        ssthresh: 0x7fff_ffff,
        srtt_us: 109,
        rto_ms: 204,
        segs_out: 110,
        data_segs_out: 111,
        segs_retrans: 112,
        other_segs_retrans: 113,
        timeout_segs_retrans: 114,
        probe_segs_retrans: 135,
        fast_segs_retrans: 136,
        segs_in: 115,
        data_segs_in: 116,
        max_rtt_us: 117,
        min_rtt_us: 118,
        count_rtt: 119,
        rtt_sample_us: 120,
        max_rto_ms: 121,
        min_rto_ms: 122,
        dup_acks_in: 123,
        sacks_in: 124,
        sack_blks_in: 125,
        ooo_in: 126,
        locally_dropped: 127,
        dsacks_in: 128,
        reordering: 129,
        ecn_marks: 130,
        unacked: 131,
        in_flight: 132,
        not_sent: 133,
        snd_wnd: 134,
        local_port: 40_000,
        remote_port: 7443,
        family: 4,
        state: 1,
        ca_state: congestion::RECOVERY,
        limit: Limit::ReceiveWindow as u8,
        flags: 1,
        ..FlowRecord::default()
    }
}

fn items() -> Vec<Item> {
    let words = |address: [u16; 8]| {
        let octets: Vec<u8> = address.iter().flat_map(|part| part.to_be_bytes()).collect();
        std::array::from_fn(|i| {
            u32::from_ne_bytes([octets[4 * i], octets[4 * i + 1], octets[4 * i + 2], octets[4 * i + 3]])
        })
    };
    let over_ipv6 = FlowRecord {
        now: 6_000_000_000,
        started: 0,
        family: u8::try_from(Address::V6).unwrap_or_default(),
        local: words([0xfd00, 0x10, 0, 0, 0, 0, 0, 1]),
        remote: words([0xfd00, 0x20, 0, 0, 0, 0, 0, 2]),
        labels: GroupKey {
            subnet: SubnetKey::named(1),
            protocol: 0,
            connection: ConnectionType::Wired as u8,
            role: Role::Server as u8,
            ..GroupKey::default()
        }
        .words(),
        ca_state: congestion::LOSS,
        limit: Limit::Network as u8,
        flags: u8::try_from(ESTABLISHED | ADOPTED).unwrap_or_default(),
        ..record()
    };
    let closed = FlowRecord {
        state: u8::try_from(state::LAST_ACK).unwrap_or_default(),
        flags: u8::try_from(CLOSED).unwrap_or_default(),
        ca_state: 0,
        limit: Limit::Idle as u8,
        labels: GroupKey {
            subnet: SubnetKey::FALLBACK,
            ..record().key()
        }
        .words(),
        ..record()
    };
    vec![
        Item::Event(EventKind::Established, record()),
        Item::Event(EventKind::Periodic, record()),
        Item::Event(EventKind::Retrans, record()),
        Item::Event(EventKind::RetransLoss, over_ipv6),
        Item::Lost(LostEvents {
            now: 6_000_000_001,
            count: 17,
        }),
        Item::Event(EventKind::Close, closed),
    ]
}

#[test]
fn a_file_of_version_1_is_read_as_ever() -> Result<()> {
    let (setting, items) = (setting()?, items());
    let mut bytes = binary::header(&setting);
    bytes.extend(items.iter().flat_map(binary::record));
    let file = golden("trace.v1.bin");
    // It is written once; a later version gets a file of its own.
    if wants_update() && !file.exists() {
        write(&file, &bytes)?;
    }
    let golden_bytes = read(&file).with_context(|| format!("read {}", file.display()))?;
    assert_eq!(golden_bytes, bytes, "version 1 is written in another way");

    let mut reader = Reader::new(golden_bytes.as_slice())?;
    assert_eq!(reader.setting(), &setting);
    let mut read = Vec::new();
    while let Some(item) = reader.read()? {
        read.push(item);
    }
    assert_eq!(read, items);
    let as_text: String = read.iter().map(|item| seed::line(item, reader.setting())).collect();
    let as_json: String = read
        .iter()
        .map(|item| json::line(item, reader.setting()))
        .collect::<Result<_, _>>()?;
    require_golden(&golden("trace.txt"), &as_text)?;
    require_golden(&golden("trace.jsonl"), &as_json)
}

#[test]
fn a_file_of_version_2_is_read_as_ever() -> Result<()> {
    const CART: u16 = 4;
    let mut setting = setting()?;
    // Those of before pods and containers were told.
    setting.names.workloads = Some(Vec::new());
    let special = [
        Workload::unresolved(),
        Workload::host(),
        Workload::shared(),
        Workload::other(),
    ];
    let cart = Workload::in_kubernetes("shop", "Deployment", "cart");
    let labels = GroupKey {
        workload: CART,
        ..record().key()
    };
    let event = FlowRecord {
        labels: labels.words(),
        ..record()
    };
    let items: Vec<Item> = special
        .into_iter()
        .chain([cart])
        .map(Item::Workload)
        .chain([Item::Event(EventKind::Close, event)])
        .collect();
    let mut bytes = binary::header(&setting);
    bytes.extend(items.iter().flat_map(binary::record));
    let file = golden("trace.v2.bin");
    if wants_update() && !file.exists() {
        write(&file, &bytes)?;
    }
    let golden_bytes = read(&file).with_context(|| format!("read {}", file.display()))?;
    assert_eq!(golden_bytes, bytes, "version 2 is written in another way");
    let mut reader = Reader::new(golden_bytes.as_slice())?;
    let mut read = Vec::new();
    while let Some(item) = reader.read()? {
        read.push(item);
    }
    assert_eq!(read, items);
    // Whoever prints it has learned the names by then.
    let names = items.iter().filter_map(|item| match item {
        Item::Workload(workload) => Some(workload.clone()),
        Item::Event(..) | Item::Lost(_) | Item::Instance(_) => None,
    });
    setting.names.workloads = Some(names.collect());
    let line = seed::line(&items[items.len() - 1], &setting);
    assert!(
        line.ends_with(" workload=cart workload_kind=Deployment workload_namespace=shop\n"),
        "{line}"
    );
    let objects = objects(&json::line(&items[items.len() - 1], &setting)?)?;
    require_same(line.trim_end(), &objects[0])
}

#[test]
fn a_file_of_version_3_is_read_as_ever() -> Result<()> {
    let mut setting = setting()?;
    setting.names.workloads = Some(Vec::new());
    setting.names.instances = Some(HashMap::new());
    let instance = Instance::new("cart-0", &"4f2c9a0b1d3e5f60".repeat(4));
    let event = |cgroup| {
        let record = FlowRecord { cgroup, ..record() };
        Item::Event(EventKind::Close, record)
    };
    let items = [
        Item::Workload(Workload::unresolved()),
        event(0),
        Item::Instance(instance.clone()),
        event(1),
    ];
    let mut bytes = binary::header(&setting);
    bytes.extend(items.iter().flat_map(binary::record));
    let file = golden("trace.v3.bin");
    if wants_update() && !file.exists() {
        write(&file, &bytes)?;
    }
    let golden_bytes = read(&file).with_context(|| format!("read {}", file.display()))?;
    assert_eq!(golden_bytes, bytes, "version 3 is written in another way");
    let mut reader = Reader::new(golden_bytes.as_slice())?;
    let mut read = Vec::new();
    while let Some(item) = reader.read()? {
        read.push(item);
    }
    assert_eq!(read, items);
    // Whoever prints it has learned the names by then.
    setting.names.instances = Some([(1, instance.clone())].into());
    for (item, end) in [
        (&items[1], " pod=\"\" container_id=\"\"\n".to_owned()),
        (
            &items[3],
            format!(" pod=cart-0 container_id={}\n", instance.container_id),
        ),
    ] {
        let line = seed::line(item, &setting);
        assert!(line.ends_with(&end), "{line}");
        let objects = objects(&json::line(item, &setting)?)?;
        assert_eq!(objects.len(), 1, "{objects:?}");
    }
    Ok(())
}

#[test]
fn text_and_json_say_the_same() -> Result<()> {
    let setting = setting()?;
    for item in items() {
        // A quoted name is not one word.
        if matches!(item, Item::Event(kind, _) if kind != EventKind::RetransLoss) {
            let objects = objects(&json::line(&item, &setting)?)?;
            require_same(seed::line(&item, &setting).trim_end(), &objects[0])?;
        }
    }
    Ok(())
}
