//! Totals of a group against `TCP_INFO` of both sockets of every flow, and against what was sent.

use anyhow::{Result, bail};
use tests::exporter::{Exporter, start};
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family};
use tests::net::traffic::{Ends, Flow, dual_stack, listen, settle};

use crate::account::{End, require_equal};

/// Bytes to the server and to the client, flow by flow.
const LOADS: [(usize, usize); 5] = [
    (0, 0),
    (1, 1),
    (100_000, 1_000),
    (1_000, 2_000_000),
    (3_000_000, 3_000_000),
];

/// Sends the loads, and requires equality while the flows are idle, when they are closed and when they are gone.
fn check_flows(exporter: &Exporter<'_>, subnet: &str, flows: Vec<Flow>) -> Result<()> {
    for (flow, (to_server, to_client)) in flows.iter().zip(LOADS) {
        flow.exchange(to_server, to_client)?;
    }
    let sent = LOADS
        .iter()
        .fold((0, 0), |(up, down), load| (up + load.0, down + load.1));

    let idle = settle(&flows)?;
    check_moment(exporter, subnet, &idle, flows.len(), 0)?;
    // On a machine under load a timer may send a segment again.
    let total = |end: fn(&Ends) -> &TcpInfo| {
        let sent = |ends: &Ends| end(ends).bytes_sent - end(ends).bytes_retrans;
        idle.iter().map(sent).sum::<u64>()
    };
    assert_eq!(total(|ends| &ends.client), u64::try_from(sent.0)?);
    assert_eq!(total(|ends| &ends.server), u64::try_from(sent.1)?);

    let finished: Vec<Ends> = flows.iter().map(Flow::finish).collect::<Result<_>>()?;
    check_moment(exporter, subnet, &finished, 0, flows.len())?;
    let made = flows.len();
    drop(flows);
    check_moment(exporter, subnet, &finished, 0, made)
}

fn check_moment(exporter: &Exporter<'_>, subnet: &str, ends: &[Ends], open: usize, closed: usize) -> Result<()> {
    let scrape = exporter.scrape()?;
    for end in End::BOTH {
        let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
        require_equal(&scrape, subnet, end, &sockets)?;
        let labels = [("subnet", subnet), ("role", end.role())];
        assert_eq!(scrape.sum("tcpvitals_tcp_connections", &labels)?, open as f64);
        assert_eq!(
            scrape.sum("tcpvitals_tcp_connections_opened_total", &labels)?,
            ends.len() as f64
        );
        assert_eq!(
            scrape.sum("tcpvitals_tcp_connections_closed_total", &labels)?,
            closed as f64
        );
        // None, unless the machine is so busy that an acknowledgment comes late.
        let resent: u32 = sockets.iter().map(|info| info.total_retrans).sum();
        assert_eq!(
            scrape.sum("tcpvitals_tcp_retransmitted_segments_total", &labels)?,
            f64::from(resent)
        );
        assert_eq!(
            scrape.histogram("tcpvitals_tcp_handshake_seconds", &labels)?.count,
            ends.len() as f64
        );
        assert_eq!(
            scrape
                .histogram("tcpvitals_tcp_connection_duration_seconds", &labels)?
                .count,
            closed as f64
        );
    }
    Ok(())
}

fn check_family(family: Family) -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    let to = pair.to(family, 443)?;
    let listener = listen(&pair.server, to)?;
    let flows = LOADS
        .iter()
        .map(|_| Flow::through(&listener, &pair, to))
        .collect::<Result<_>>()?;
    check_flows(&exporter, &pair.subnet()?.name(), flows)
}

#[test]
fn totals_over_ipv4_equal_the_kernels() -> Result<()> {
    check_family(Family::V4)
}

#[test]
fn totals_over_ipv6_equal_the_kernels() -> Result<()> {
    check_family(Family::V6)
}

#[test]
fn ipv4_clients_of_a_dual_stack_listener_belong_to_their_ipv4_subnet() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?;
    let exporter = start(format!(
        "subnets:\n  - {{name: four, cidrs: [{}/32]}}\n  - {{name: back, cidrs: [{}/24]}}\n  - {{name: six, cidrs: [\"::/0\"]}}\ncollect: {{max_age: 1ms}}\n",
        subnet.v4(CLIENT),
        subnet.v4(0)
    ))?;
    let listener = listen(&pair.server, dual_stack(443))?;
    let to = pair.to(Family::V4, 443)?;
    let flows = vec![Flow::through(&listener, &pair, to)?];
    flows[0].exchange(500_000, 100_000)?;
    let [idle] = settle(&flows)?[..] else {
        bail!("one flow has one account")
    };
    let scrape = exporter.scrape()?;
    // The server sees the client's address, the client the server's: two subnets.
    require_equal(&scrape, "four", End::Server, &[idle.server])?;
    require_equal(&scrape, "back", End::Client, &[idle.client])?;
    Ok(())
}

#[test]
fn a_flow_is_labelled_by_its_device_its_port_and_its_side() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let config = pair.config() + "app_protocols: [{name: orders, ports: [7443]}]\n";
    let exporter = start(config)?;
    let flows = [(443, "https"), (5432, "postgresql"), (7443, "orders"), (7444, "other")]
        .into_iter()
        .map(|(port, protocol)| Ok((Flow::open(&pair, Family::V4, port)?, protocol)))
        .collect::<Result<Vec<_>>>()?;
    let scrape = exporter.scrape()?;
    for (_, protocol) in &flows {
        for role in ["client", "server"] {
            let labels = [
                ("subnet", &*subnet),
                ("connection_type", "virtual"),
                ("app_protocol", protocol),
                ("role", role),
            ];
            assert_eq!(scrape.value("tcpvitals_tcp_connections", &labels)?, 1.0, "{labels:?}");
        }
    }
    Ok(())
}

#[test]
fn the_configuration_names_the_connection_type_of_a_device() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let patterns =
        "connection_types:\n  - {type: wifi, interfaces: [wlan*, veth]}\n  - {type: cell, interfaces: [\"veth?\"]}\n";
    let exporter = start(pair.config() + patterns)?;
    let _flow = Flow::open(&pair, Family::V4, 443)?;
    let by_type = exporter
        .scrape()?
        .by("tcpvitals_tcp_connections", "connection_type", &[("subnet", &subnet)])?;
    assert_eq!(by_type, [("cell".to_owned(), 2.0)].into());
    Ok(())
}

#[test]
fn labels_that_are_switched_off_merge_their_series() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(pair.config() + "labels: {tcp: [subnet]}\n")?;
    let flow = Flow::open(&pair, Family::V4, 443)?;
    let scrape = exporter.scrape()?;
    assert_eq!(scrape.value("tcpvitals_tcp_connections", &[("subnet", &subnet)])?, 2.0);
    drop(flow);
    Ok(())
}

#[test]
fn addresses_without_a_name_are_cut_when_asked_to() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?;
    let exporter = start("subnets: []\nsubnets_fallback: {auto: {ipv4: 24, ipv6: 64}}\ncollect: {max_age: 1ms}\n")?;
    let flows = [Flow::open(&pair, Family::V4, 443)?, Flow::open(&pair, Family::V6, 443)?];
    let scrape = exporter.scrape()?;
    for name in [format!("{}/24", subnet.v4(0)), format!("{}/64", subnet.v6(0))] {
        assert_eq!(
            scrape.sum("tcpvitals_tcp_connections", &[("subnet", &name)])?,
            2.0,
            "{name}"
        );
    }
    drop(flows);
    Ok(())
}
