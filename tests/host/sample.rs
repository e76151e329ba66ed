//! Kernels, configurations and snapshots that nobody has: values for the tests beside.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::drops::{Direction, DropCount, DropSource, Protocol};
use common::histogram::{Histogram, TIME_BUCKETS, rate_bucket, rtt_bucket, size_bucket, time_bucket};
use common::kernel::fields::{FIELDS, FieldOffset};
use common::map::capacity::Capacity;
use common::map::lost::{Lost, Misses};
use common::net::address::SubnetKey;
use common::net::connection::ConnectionType;
use common::tcp::accept_queue::{AcceptQueues, ListenerKey};
use common::tcp::group::{GroupKey, Role};
use tcpvitals::lifecycle::setup;
use tcpvitals_config::{ClassicBuckets, Config, Histograms, NetworksOfFiles};
use tcpvitals_kernel::plan;
use tcpvitals_kernel::plan::plan;
use tcpvitals_kernel::plan::purpose::Purpose;
use tcpvitals_kernel::probe::casts::Casts;
use tcpvitals_kernel::probe::features::Features;
use tcpvitals_metrics::coverage::Coverage;
use tcpvitals_metrics::families::{Kind, METRICS};
use tcpvitals_metrics::findings::report::{Report, State};
use tcpvitals_metrics::host::Host;
use tcpvitals_metrics::host::causes::{Allowance, Cause};
use tcpvitals_metrics::host::files::{Conntrack, Events, Failures, TcpMemory};
use tcpvitals_metrics::snapshot::{
    CpuTime, DropOrigin, DropSite, Exporter, Fill, Group, LastReload, NameSource, Pushes, Row, Served, Snapshot,
};
use tcpvitals_metrics::workloads::numbers::Names;

/// A subnet with everything in its name that a text format has to escape.
pub(crate) const QUOTED: &str = "lab \"B\" \\ east";

/// A jiffy of 256 Hz, which no kernel has: a power of two, so that sums of seconds are exact.
pub(crate) const JIFFY: Duration = Duration::from_nanos(1_000_000_000 / 256);

/// What a kernel with everything has but these hooks and fields.
pub(crate) fn features(lacking: &[&str]) -> Features {
    let has = |name: &str| !lacking.contains(&name);
    let offset = FieldOffset {
        offset: 8,
        shift: 0,
        width: 0,
    };
    let field = |global| match has(global) {
        true => (global, Ok(offset)),
        false => (global, Err("this kernel has no such member".to_owned())),
    };
    Features {
        frees_storage_under_iterators: false,
        hides_storage: false,
        preemptible_tracepoints: false,
        drop_reasons: [].into(),
        fields: FIELDS.iter().map(|known| field(known.global)).collect(),
        tracepoints: plan::tracepoints()
            .into_iter()
            .filter(|hook| has(hook))
            .map(|hook| (hook.to_owned(), 4))
            .collect(),
        iterators: plan::iterators()
            .into_iter()
            .filter(|target| has(target))
            .map(str::to_owned)
            .collect(),
        socket_storage: true,
        one_run_per_cpu: true,
        casts: Some(Casts {
            function: 70_000,
            types: Vec::new(),
        }),
        preempt_count: None,
    }
}

/// What runs there by a configuration.
pub(crate) fn coverage(config: &Config, lacking: &[&str]) -> Result<Coverage> {
    let plan = plan(setup::selection(config), &features(lacking), Purpose::Serve)?;
    Ok(setup::coverage(&plan, setup::host_off(config, None)))
}

/// A snapshot in which nothing has happened yet.
pub(crate) fn empty(coverage: Coverage) -> Snapshot {
    Snapshot {
        at: Duration::from_secs(1_700_000_100),
        groups: Vec::new(),
        drops: Vec::new(),
        algorithms: [].into(),
        listeners: [].into(),
        workloads: Names::default(),
        lost: [0; Lost::COUNT],
        misses: [].into(),
        coverage,
        capacity: Capacity { groups: 64, drops: 32 },
        jiffy: JIFFY,
        host: Host::default(),
        findings: None,
        exporter: Exporter::default(),
    }
}

/// A snapshot that has a value for every metric, each another one, in the subnets `office` and [`QUOTED`].
pub(crate) fn full(config: &Config, lacking: &[&str]) -> Result<Snapshot> {
    let subnet = |name: &str| {
        let number = config.subnets.names().iter().position(|known| known == name);
        let number = number.with_context(|| format!("the configuration has no subnet {name}"))?;
        anyhow::Ok(SubnetKey::named(u32::try_from(number)?))
    };
    let protocol = |name: &str| {
        let number = config.app_protocols.names().iter().position(|known| known == name);
        let number = number.with_context(|| format!("the configuration has no protocol {name}"))?;
        anyhow::Ok(u16::try_from(number)?)
    };
    let office = GroupKey {
        subnet: subnet("office")?,
        protocol: protocol("https")?,
        connection: ConnectionType::Wired as u8,
        role: Role::Client as u8,
        ..GroupKey::default()
    };
    let quoted = GroupKey {
        subnet: subnet(QUOTED)?,
        protocol: protocol("orders")?,
        connection: ConnectionType::Wifi as u8,
        role: Role::Server as u8,
        ..GroupKey::default()
    };
    let mut snapshot = empty(coverage(config, lacking)?);
    snapshot.groups = vec![
        row(1, Some(office), sampled(counted(1000))),
        row(2, Some(quoted), counted(2000)),
        row(0, None, counted(3000)),
    ];
    snapshot.drops = drops(subnet("office")?);
    snapshot.algorithms = [("bbr".to_owned(), 2), ("cubic".to_owned(), 5)].into();
    let listener = |protocol| Some(ListenerKey { protocol, workload: 0 });
    let orders = AcceptQueues {
        listeners: 2,
        waiting: 65,
        limit: 256,
        fullness: 500_000,
        ..AcceptQueues::default()
    };
    snapshot.listeners = [
        (listener(protocol("orders")?), orders),
        (listener(0), AcceptQueues { listeners: 1, ..orders }),
    ]
    .into();
    snapshot.lost = [1, 2, 3, 4, 5, 6, 7];
    let missed = |skipped, taken_over| Misses { skipped, taken_over };
    snapshot.misses = [("kfree_skb", missed(9, 3)), ("tcp_retransmit_skb", missed(4, 4))].into();
    snapshot.findings = Some(Arc::new(Report {
        state: State::Judged,
        ..Report::default()
    }));
    if config.devices.enabled && config.tcp.memory {
        snapshot.host = host();
    } else if config.listeners.enabled {
        snapshot.host.cookies_sent = Some(518);
    }
    snapshot.exporter = Exporter {
        collections: 7,
        collect_duration: Duration::from_micros(1500),
        cpu_time: Some(CpuTime {
            user: 150_000_000,
            system: 100_000_000,
        }),
        resident_bytes: Some(8_388_608.0),
        virtual_bytes: Some(1e9),
        open_descriptors: Some(33.0),
        most_descriptors: Some(1024.0),
        started: Some(1_700_000_000.5),
        last_reload: LastReload {
            successful: true,
            succeeded: Duration::from_millis(1_700_000_001_250),
            error: None,
        },
        networks_of_files: Some(NetworksOfFiles {
            files: 3,
            networks: 70_000,
        }),
        pushes: Some(Pushes {
            counts: [21, 22, 23, 24, 25, 26, 27],
            last_taken: Some(1_700_000_100.25),
        }),
        workloads: Some(Fill {
            used: 5,
            capacity: 1024,
            refused: 1,
        }),
        name_source: Some(NameSource {
            name: "kubernetes",
            off: Some("forbidden".to_owned()),
            note: None,
            since: Duration::from_secs(1_700_000_010),
            last_update: Some(Duration::from_millis(1_700_000_005_500)),
        }),
        served: Some(Served {
            connections: 3,
            answers: [(200, 31), (503, 32)].into(),
            refused: [41, 42, 43, 44, 45, 46, 47, 48, 49, 50],
        }),
    };
    Ok(snapshot)
}

/// A host with two devices that lost something in both directions.
fn host() -> Host {
    let lost = |device: &str, direction, cause, count| ((device.to_owned(), (direction, cause)), count);
    Host {
        lost: [
            lost("eth0", Direction::Receive, Cause::Missed, 501),
            lost("eth0", Direction::Receive, Cause::Crc, 502),
            lost("eth0", Direction::Transmit, Cause::Carrier, 503),
            lost("eth1", Direction::Receive, Cause::NoBuffer, 504),
        ]
        .into(),
        over_allowance: [(("eth1".to_owned(), Allowance::PacketRate), 505)].into(),
        squeezed: Some(506),
        conntrack: Some(Conntrack {
            entries: 507,
            limit: 262_144,
            failures: Some(Failures {
                insert_failed: 508,
                drop: 509,
                early_drop: 510,
            }),
        }),
        memory: Some(TcpMemory {
            held: 511 * 4096,
            limits: [1000 * 4096, 1500 * 4096, 2000 * 4096],
            is_under_pressure: Some(true),
            orphans: Some(512),
            orphans_limit: Some(65_536),
            events: Events {
                pressures: Some(513),
                collapsed: Some(514),
                pruned: Some(515),
                out_of_order_pruned: Some(516),
                prunes_failed: Some(517),
                zero_windows: Some(518),
                window_probes: Some(519),
            },
        }),
        cookies_sent: Some(518),
        failed: Some(2),
    }
}

/// Each row is some seconds younger than the exporter.
const fn row<K, T>(id: u64, key: K, total: T) -> Row<K, T> {
    let born = Duration::from_secs(1_700_000_000 + id);
    Row { id, key, born, total }
}

/// A group whose counters count up from `first`.
fn counted(first: u64) -> Group {
    let mut group = Group::default();
    for (counter, value) in group.counters.counters.iter_mut().zip(first..) {
        *counter = value;
    }
    group
}

/// The group with something in every histogram and every gauge.
fn sampled(mut group: Group) -> Group {
    let counters = &mut group.counters;
    // The last of them is longer than every bound.
    for micros in [180, 2_500, 2_600, 40_000, 200_000_000] {
        observe(&mut counters.rtt, micros.into(), rtt_bucket(micros));
    }
    observe_time(&mut counters.handshake, 1_000);
    observe_time(&mut counters.duration, 90_000_000);
    let samples = &mut group.samples;
    (samples.epoch, samples.live) = (9, 7);
    (samples.rtt_min, samples.rtt_max) = (180, 200_000_000);
    (samples.rto_min, samples.rto_max) = (51, 204);
    (samples.peer_zero_windows, samples.own_zero_windows) = (3, 2);
    (samples.path_mtu_min, samples.peer_mss_min) = (1280, 1220);
    observe(&mut samples.delivery_rate, 12_500_000, rate_bucket(12_500_000));
    observe_time(&mut samples.smoothed_rtt, 2_500);
    for window in [10, 10, 120] {
        observe(&mut samples.congestion_window, window.into(), size_bucket(window));
    }
    observe(&mut samples.slow_start_threshold, 60, size_bucket(60));
    observe(&mut samples.mss, 1448, size_bucket(1448));
    // The value is in jiffies, its bucket that of the time.
    observe(&mut samples.rto, 51, time_bucket(199_218, TIME_BUCKETS));
    group
}

fn observe_time<const N: usize>(histogram: &mut Histogram<N>, micros: u64) {
    observe(histogram, micros, time_bucket(micros, N));
}

/// Adds a value to a histogram as the kernel programs do.
pub(crate) fn observe<const N: usize>(histogram: &mut Histogram<N>, value: u64, bucket: usize) {
    histogram.sum += value;
    histogram.buckets[bucket] += 1;
}

fn drops(office: SubnetKey) -> Vec<Row<DropOrigin, DropCount>> {
    let site = |location: &str, reason: &str, subnet, protocol, direction, connection| {
        let site = DropSite {
            location: location.to_owned(),
            reason: reason.to_owned(),
            subnet: Some(subnet),
            protocol: Some(protocol),
            direction,
            connection: Some(connection),
            ..DropSite::default()
        };
        (DropSource::Software, Some(site))
    };
    let of = |source, (_, site): DropOrigin| (source, site);
    let count = |packets| DropCount {
        packets,
        bytes: 100 * packets,
        repeated: packets / 3,
    };
    vec![
        row(
            1,
            site(
                "nf_hook_slow",
                "NETFILTER_DROP",
                office,
                Protocol::Tcp,
                Direction::Transmit,
                ConnectionType::Wired,
            ),
            count(11),
        ),
        row(
            2,
            site(
                "udp_queue_rcv_one_skb",
                "SOCKET_RCVBUFF",
                SubnetKey::FALLBACK,
                Protocol::Udp,
                Direction::Receive,
                ConnectionType::Wired,
            ),
            count(12),
        ),
        // A kernel that hides its symbols, and a reason that it does not name.
        row(
            3,
            site(
                "0xffffffff81234567",
                "458753",
                SubnetKey::NONE,
                Protocol::Other,
                Direction::Receive,
                ConnectionType::Unknown,
            ),
            count(13),
        ),
        row(0, (DropSource::Software, None), count(14)),
        row(
            4,
            of(
                DropSource::Hardware,
                site(
                    "blackhole_route",
                    "l3_drops",
                    office,
                    Protocol::Udp,
                    Direction::Receive,
                    ConnectionType::Wired,
                ),
            ),
            count(15),
        ),
        row(
            5,
            of(
                DropSource::Xdp,
                site(
                    "balance",
                    "ENETDOWN",
                    SubnetKey::NONE,
                    Protocol::Other,
                    Direction::Receive,
                    ConnectionType::Wired,
                ),
            ),
            DropCount {
                packets: 16,
                bytes: 0,
                repeated: 0,
            },
        ),
    ]
}

/// Native buckets, and all classic ones.
pub(crate) fn all_buckets() -> Histograms {
    let histograms = METRICS.iter().filter(|metric| metric.kind == Kind::Histogram);
    Histograms {
        classic: histograms
            .map(|metric| (metric.full_name(), ClassicBuckets::All))
            .collect(),
        ..Histograms::default()
    }
}
