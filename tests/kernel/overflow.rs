//! What does not fit: it is counted, it goes to `other`, and the sums stay exact.

use std::io::Write as _;

use anyhow::{Result, bail};
use tests::exporter::{Exporter, start};
use tests::kernel::kernel_facts::skip;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::pair::{Cable, Pair};
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, SERVER, Subnet, config};
use tests::net::traffic::{Flow, listen, settle};

use crate::account::{End, require_equal};

/// An exporter with so many group slots, besides the one for `other`.
fn start_with_groups(config: &str, groups: u64) -> Result<Exporter<'static>> {
    let sized = |kibibytes: u64| format!("{config}limits: {{memory: {kibibytes}KiB}}\n");
    let capacity = |exporter: &Exporter<'_>| exporter.scrape()?.sum("tcpvitals_groups_capacity", &[]);
    // How much one takes depends on the number of processors; half a slot is to spare.
    let large = capacity(&start(sized(4096))?)?;
    let fitting = 4096.0 * (groups as f64 + 1.5) / (large + 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let exporter = start(sized(fitting.round() as u64))?;
    assert_eq!(capacity(&exporter)?, groups as f64);
    Ok(exporter)
}

/// Nothing else on this machine comes out of order, since all else goes through the loopback device: its sum over all groups
/// is known. SACKs are not only the peer's: on a busy machine a segment is sent twice and reported by one.
#[test]
fn with_four_groups_and_ten_subnets_the_sums_stay_exact() -> Result<()> {
    let _turn = turn::alone()?;
    let subnets = (0..10).map(|_| Subnet::take()).collect::<Result<Vec<_>>>()?;
    let exporter = start_with_groups(&config(&subnets), 4)?;
    let before = exporter.scrape()?;
    let mut expected = 0;
    for (number, subnet) in (1..).zip(&subnets) {
        let namespace = Namespace::new()?;
        let peer = Peer::new(&namespace, *subnet)?;
        let (mut client, mut connection) = peer.accept(&namespace, 80, Offer::default())?;
        client.write_all(&[1; 10_000])?;
        connection.take(10_000)?;
        for _ in 0..number {
            connection.acknowledge_selectively(3)?;
        }
        connection.send_out_of_order(number)?;
        expected += number;
    }
    let scrape = exporter.scrape()?;
    scrape.require_no_fall_since(&before)?;
    let out_of_order = "tcpvitals_tcp_out_of_order_segments_total";
    assert_eq!(scrape.sum(out_of_order, &[])?, f64::from(expected));
    assert!(scrape.sum("tcpvitals_tcp_sack_blocks_total", &[])? >= 3.0 * f64::from(expected));
    let by_subnet = scrape.by(out_of_order, "subnet", &[])?;
    assert!(
        by_subnet.get("other").is_some_and(|&other| other > 0.0),
        "{by_subnet:?}"
    );
    // Four groups, the host's own among them, and `other`.
    assert!(by_subnet.len() <= 5, "{by_subnet:?}");
    assert!(scrape.sum("tcpvitals_group_overflow_total", &[])? >= 6.0);
    assert_eq!(
        scrape.sum("tcpvitals_groups", &[])?,
        scrape.sum("tcpvitals_groups_capacity", &[])?
    );
    Ok(())
}

#[test]
fn series_beyond_the_cap_fold_into_other_without_changing_the_sum() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::with(Cable {
        subnets: 40,
        ..Cable::default()
    })?;
    let exporter = start(pair.config() + "limits: {series: 100}\n")?;
    let mut flows = Vec::new();
    for subnet in &pair.subnets {
        let to = (subnet.address(Family::V4, SERVER), 443).into();
        let flow = Flow::through(&listen(&pair.server, to)?, &pair, to)?;
        flow.exchange(10_000, 20_000)?;
        flows.push(flow);
    }
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let bytes = "tcpvitals_tcp_data_bytes_total";
    let mut ours = scrape.sum(bytes, &[("subnet", "other"), ("direction", "transmit")])?;
    assert!(ours > 0.0);
    for subnet in &pair.subnets {
        ours += scrape.sum(bytes, &[("subnet", &subnet.name()), ("direction", "transmit")])?;
    }
    let sent: u64 = ends.iter().map(|ends| ends.both(|info| info.bytes_sent)).sum();
    // `other` may also hold what else this host sends.
    assert!(ours >= sent as f64, "{ours} of {sent}");
    assert!(scrape.sum("tcpvitals_series_overflow_total", &[])? > 0.0);
    exporter.scrape()?.require_no_fall_since(&scrape)
}

#[test]
fn a_flow_without_storage_is_counted_as_untracked() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config())?;
    let in_table = [("program", "fold_flows"), ("hook", "bpf_map")];
    if exporter
        .scrape()?
        .matching("tcpvitals_program_attached", &in_table)
        .next()
        .is_some()
    {
        skip("this kernel does not let storage be walked, so that flows are kept in a table");
        return Ok(());
    }
    // Storage is charged to the socket's option memory, of which there is none now.
    let setting = "net.core.optmem_max=1";
    if !pair.client.has(setting)? {
        skip("this kernel has one net.core.optmem_max for all namespaces, those of the exporter's own sockets too");
        return Ok(());
    }
    pair.client.set(setting)?;
    let before = exporter.scrape()?;
    let mut flows = Vec::new();
    for port in 0..7 {
        flows.push(Flow::open(&pair, Family::V4, 6000 + port)?);
    }
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?.since(&before);
    assert_eq!(scrape.sum("tcpvitals_flows_untracked_total", &[])?, 7.0);
    // The connection itself is known, and the other end is tracked as ever.
    assert_eq!(
        scrape.sum(
            "tcpvitals_tcp_connections_opened_total",
            &[("subnet", &subnet), ("role", "client")]
        )?,
        7.0
    );
    let servers: Vec<_> = ends.iter().map(|ends| ends.server).collect();
    require_equal(&scrape, &subnet, End::Server, &servers)
}

#[test]
fn drops_beyond_the_table_are_counted() -> Result<()> {
    let _turn = turn::alone()?;
    let subnets = (0..20).map(|_| Subnet::take()).collect::<Result<Vec<_>>>()?;
    // The least that may be configured.
    let exporter = start(config(&subnets) + "limits: {memory: 16KiB}\n")?;
    let before = exporter.scrape()?;
    for subnet in &subnets {
        let namespace = Namespace::new()?;
        let peer = Peer::new(&namespace, *subnet)?;
        for port in 0..3 {
            peer.inject(&tests::net::packet::datagram(
                peer.at(1000 + port),
                peer.kernel_at(9),
                b"lost",
            ))?;
        }
    }
    let scrape = exporter.scrape()?.since(&before);
    let packets = "tcpvitals_dropped_packets_total";
    let mut ours = 0.0;
    for subnet in &subnets {
        ours += scrape.sum(packets, &[("subnet", &subnet.name()), ("reason", "NO_SOCKET")])?;
    }
    let other = scrape.sum(packets, &[("location", "other")])?;
    if ours < 60.0 {
        assert!(ours + other >= 60.0, "{ours} and {other}");
        assert!(scrape.sum("tcpvitals_drop_overflow_total", &[])? >= 60.0 - ours);
        return Ok(());
    }
    bail!("the smallest table held everything: {scrape:?}")
}
