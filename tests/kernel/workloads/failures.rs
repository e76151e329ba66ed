//! What fails before there is a connection: handshakes that a listener turns away, and attempts without a route.

use std::net::TcpStream;

use anyhow::{Context as _, Result};
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;

use super::*;
use crate::listeners::{TURNED_AWAY, at_rest, begin, is_told, listen_for};

#[test]
fn handshakes_that_are_turned_away_are_of_the_listener() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let exporter = start(&config(&pair, "{source: cgroup}"))?;
    if !is_told(&exporter)? {
        return Ok(());
    }
    let mut before = 0;
    for (stem, port, clients) in [("small", 8001, 6), ("large", 8002, 11)] {
        let name = own_name(stem);
        let unit = make_for_program(&cgroups, &format!("system.slice/{name}"))?;
        let to = pair.to(Family::V4, port)?;
        let listener = unit.run(|| listen_for(&pair.server, to, 1))?;
        let clients = begin(&pair.client, to, clients)?;
        // The first repetition of those SYNs that were turned away.
        sleep(Duration::from_millis(1_200));
        let (counters, _) = at_rest(&pair.server, &exporter)?;
        // With the listener ends what it turns away.
        drop((listener, clients));
        let (after, scrape) = at_rest(&pair.server, &exporter)?;
        let turned_away = after.get("TcpExtListenDrops")?;
        assert!(counters.get("TcpExtListenDrops")? >= before + 4, "{turned_away}");
        let of_unit = scrape.sum(TURNED_AWAY, &[("workload", &name), ("role", "server")])?;
        assert_eq!(of_unit, (turned_away - before) as f64, "{name}");
        before = turned_away;
    }
    Ok(())
}

#[test]
fn attempts_without_a_route_are_of_who_makes_them() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let cgroups = Cgroups::of_threads()?;
    let exporter = start(&config(&pair, "{source: cgroup}"))?;
    let to = pair.to(Family::V4, 443)?;
    pair.client
        .exec(&format!("ip route replace unreachable {}/32", to.ip()))?;
    for (name, attempts) in [("first.service", 3), ("second.service", 5)] {
        let unit = make_for_program(&cgroups, &format!("system.slice/{name}"))?;
        for _ in 0..attempts {
            let failed = unit.run(|| pair.client.run(|| Ok(TcpStream::connect(to).err())))?;
            failed.context("a connection without a route")?;
        }
    }
    let failed = exporter.scrape()?.by(
        "tcpvitals_tcp_connections_failed_total",
        "workload",
        &[("subnet", &subnet), ("reason", "no_route")],
    )?;
    let expected = [("first.service".to_owned(), 3.0), ("second.service".to_owned(), 5.0)];
    assert_eq!(failed, expected.into());
    Ok(())
}
