//! The record of a live flow against `TCP_INFO` of its socket: equal wherever the kernel says the same thing.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use common::net::address::SubnetKey;
use common::net::connection::ConnectionType;
use common::tcp::group::Role;
use common::tcp::record::{FlowRecord, Limit};
use common::text::Name;
use tcpvitals::lifecycle::setup;
use tcpvitals_config::Config;
use tcpvitals_config::numbering::Numbering;
use tcpvitals_kernel::Kernel;
use tcpvitals_kernel::load::Setup;
use tcpvitals_kernel::plan;
use tcpvitals_kernel::plan::purpose::Purpose;
use tcpvitals_kernel::probe::features;
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, listen, settle};

/// What both say of a flow: a name, the record's value, the kernel's.
type Row = (&'static str, fn(&FlowRecord) -> u64, fn(&TcpInfo) -> u64);

const ROWS: &[Row] = &[
    ("state", |r| r.state.into(), |i| i.state.into()),
    ("ca_state", |r| r.ca_state.into(), |i| i.ca_state.into()),
    ("rto", |r| u64::from(r.rto_ms) * 1000, |i| i.rto.into()),
    ("mss", |r| r.mss.into(), |i| i.snd_mss.into()),
    ("unacked", |r| r.unacked.into(), |i| i.unacked.into()),
    (
        "in_flight",
        |r| r.in_flight.into(),
        |i| (i.unacked + i.retrans - i.sacked - i.lost).into(),
    ),
    ("srtt", |r| r.srtt_us.into(), |i| i.rtt.into()),
    ("ssthresh", |r| r.ssthresh.into(), |i| i.snd_ssthresh.into()),
    ("cwnd", |r| r.snd_cwnd.into(), |i| i.snd_cwnd.into()),
    ("segs_retrans", |r| r.segs_retrans.into(), |i| i.total_retrans.into()),
    ("octets_retrans", |r| r.octets_retrans, |i| i.bytes_retrans),
    ("pacing_rate", |r| r.pacing_rate, |i| i.pacing_rate),
    ("delivery_rate", |r| r.delivery_rate, |i| i.delivery_rate),
    ("octets_out", |r| r.data_octets_out, |i| i.bytes_sent),
    ("octets_in", |r| r.data_octets_in, |i| i.bytes_received),
    ("segs_out", |r| r.segs_out.into(), |i| i.segs_out.into()),
    ("segs_in", |r| r.segs_in.into(), |i| i.segs_in.into()),
    ("data_segs_out", |r| r.data_segs_out.into(), |i| i.data_segs_out.into()),
    ("data_segs_in", |r| r.data_segs_in.into(), |i| i.data_segs_in.into()),
    ("not_sent", |r| r.not_sent.into(), |i| i.notsent_bytes.into()),
    ("busy", |r| r.busy_us, |i| i.busy_time),
    ("receive window", |r| r.receive_window_us, |i| i.rwnd_limited),
    ("send buffer", |r| r.send_buffer_us, |i| i.sndbuf_limited),
    ("ecn", |r| r.ecn_marks.into(), |i| i.delivered_ce.into()),
    ("dsacks", |r| r.dsacks_in.into(), |i| i.dsack_dups.into()),
    ("reordering", |r| r.reordering.into(), |i| i.reord_seen.into()),
    ("ooo", |r| r.ooo_in.into(), |i| i.rcv_ooopack.into()),
    ("snd_wnd", |r| r.snd_wnd.into(), |i| i.snd_wnd.into()),
];

/// Loads the programs into the kernel from within the test, to call what no command shows alone.
fn load(config: &Config) -> Result<Kernel> {
    let btf = setup::btf_file(None);
    let (features, reasons) = features::read(&btf, &plan::tracepoints(), &plan::iterators())?;
    let plan = plan::plan(setup::selection(config), &features, Purpose::Serve)?;
    let setup::MapContents { memory, lookups } = setup::tables(config, &Numbering::new(config));
    let setup = Setup {
        memory,
        has_one_shard: false,
        lookups,
        reasons,
        btf,
        end_is_asked: || false,
    };
    Ok(Kernel::load(&setup, plan)?)
}

fn check(family: Family) -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let config = Config::from_yaml(&pair.config(), "test.yaml")?;
    let mut kernel = load(&config)?;
    let flows = [(443, 200_000, 1_000), (5432, 10, 700_000), (9, 0, 0)]
        .into_iter()
        .map(|(port, up, down)| {
            let flow = Flow::open(&pair, family, port)?;
            flow.exchange(up, down)?;
            Ok((port, flow))
        })
        .collect::<Result<Vec<_>>>()?;
    let (ports, flows): (Vec<_>, Vec<_>) = flows.into_iter().unzip();
    let idle = settle(&flows)?;
    let records = kernel.dump()?;
    let numbering = Numbering::new(&config);
    for (port, ends) in ports.into_iter().zip(&idle) {
        let server = pair.to(family, port)?;
        for (role, info) in [(Role::Client, &ends.client), (Role::Server, &ends.server)] {
            let is_ours = |record: &&FlowRecord| {
                let (address, its_port) = match role {
                    Role::Server => (record.local_address(), record.local_port),
                    Role::Client | Role::Unknown => (record.remote_address(), record.remote_port),
                };
                record.role() == role && its_port == port && address.ip() == Some(server.ip())
            };
            let mut found = records.iter().filter(is_ours);
            let record = found
                .next()
                .with_context(|| format!("no record of the {role:?} at {port}"))?;
            assert_eq!(found.next(), None, "two records of the {role:?} at {port}");
            for (name, ours, kernels) in ROWS {
                assert_eq!(
                    ours(record),
                    kernels(info),
                    "{name} of the {role:?} at {port}: {record:?}, {info:?}"
                );
            }
            assert_eq!(
                numbering.subnet(record.key().subnet.words[0]),
                Some(&*pair.subnet()?.name())
            );
            let protocol = numbering.protocol(record.key().protocol);
            let expected = match port {
                443 => "https",
                5432 => "postgresql",
                _ => "other",
            };
            assert_eq!(protocol, Some(expected));
            assert_eq!(record.key().connection, ConnectionType::Virtual as u8);
            assert_eq!(record.limit, Limit::Idle as u8);
            assert!(
                record.cookie != 0 && record.started != 0 && record.started <= record.now,
                "{record:?}"
            );
            assert!(!Name(record.algorithm).to_string().is_empty());
            // The hooks take the sample of an acknowledgment when the next segment comes, so a sender of much has some.
            assert!(record.count_rtt > 0 || info.data_segs_out < 10, "{record:?}");
            assert!(record.min_rtt_us <= record.rtt_sample_us && record.rtt_sample_us <= record.max_rtt_us);
            assert!(record.min_rto_ms <= record.max_rto_ms);
        }
    }
    let cookies: HashSet<u64> = records.iter().map(|record| record.cookie).collect();
    assert_eq!(cookies.len(), records.len());
    drop(flows);
    Ok(())
}

#[test]
fn a_record_equals_tcp_info_over_ipv4() -> Result<()> {
    check(Family::V4)
}

#[test]
fn a_record_equals_tcp_info_over_ipv6() -> Result<()> {
    check(Family::V6)
}

/// More records than the kernel gives at once, while nothing opens or closes: each flow once.
#[test]
fn many_flows_are_all_shown_once() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let config = Config::from_yaml(&pair.config(), "test.yaml")?;
    let mut kernel = load(&config)?;
    let to = pair.to(Family::V4, 80)?;
    let listener = listen(&pair.server, to)?;
    let flows = (0..300)
        .map(|_| Flow::through(&listener, &pair, to))
        .collect::<Result<Vec<_>>>()?;
    settle(&flows)?;
    let records = kernel.dump()?;
    let of = |role| {
        let ours = |record: &&FlowRecord| record.role() == role && record.key().subnet == SubnetKey::named(0);
        records.iter().filter(ours).count()
    };
    assert_eq!((of(Role::Client), of(Role::Server)), (flows.len(), flows.len()));
    Ok(())
}
