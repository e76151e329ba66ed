//! Accept queues: each listener's is of the workload of who listens, and the sum over workloads stays.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tests::exporter::scrape::Scrape;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family, SERVER};

use super::*;
use crate::accept_queues::{FULLNESS, LIMIT, LISTENERS, WAITING, millionths, queues, runs, served};
use crate::listeners::{begin, listen_for};

/// Labels by which listeners are told apart, and a view that has the application protocol alone.
const OF_LISTENERS: &str = "\
labels: {tcp: [app_protocol, role, workload, workload_kind, workload_namespace], drops: [reason]}
views: [{name: together, labels: {tcp: [app_protocol], drops: []}}]
workloads: {source: cgroup}
";

/// The gauges of a protocol and a workload: listeners, connections that wait, most of them, and the fullness.
fn gauges(scrape: &Scrape, name: &str, workload: &str) -> Result<[f64; 4]> {
    let labels = [
        ("app_protocol", name),
        ("workload", workload),
        ("workload_kind", "unit"),
        ("workload_namespace", ""),
    ];
    Ok([
        scrape.value(LISTENERS, &labels)?,
        scrape.value(WAITING, &labels)?,
        scrape.value(LIMIT, &labels)?,
        scrape.value(FULLNESS, &labels)?,
    ])
}

/// What `ss` shows of the listeners of a port: their number, and the sums of what waits and of what may.
fn shown(namespace: &Namespace, port: u16, waiting: u32) -> Result<[f64; 3]> {
    let queues = queues(namespace, port, waiting)?;
    let sum = |of: fn(&(u32, u32)) -> u32| f64::from(queues.iter().map(of).sum::<u32>());
    Ok([queues.len() as f64, sum(|queue| queue.0), sum(|queue| queue.1)])
}

#[test]
fn the_accept_queues_of_one_protocol_are_apart_by_who_listens() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (port, name, config) = served(&pair.config(), 5)?;
    let cgroups = Cgroups::of_threads()?;
    // It listens before the exporter runs, and where nothing of it was seen.
    let early = cgroups.make("early.service")?;
    let subnet = pair.subnet()?;
    let [to_early, to_late] = [CLIENT, SERVER].map(|host| SocketAddr::from((subnet.address(Family::V6, host), port)));
    let at_early = early.run(|| listen_for(&pair.client, to_early, 9))?;
    let exporter = start(&format!("{config}{OF_LISTENERS}"))?;
    if !runs(&exporter, "find_listeners")? {
        return Ok(());
    }
    let late = make_for_program(&cgroups, "late.service")?;
    let at_late = late.run(|| {
        Ok([
            listen_for(&pair.server, to_late, 4)?,
            listen_for(&pair.server, pair.to(Family::V4, port)?, 6)?,
        ])
    })?;
    let to_early = begin(&pair.server, to_early, 3)?;
    let to_late = (
        begin(&pair.client, to_late, 2)?,
        begin(&pair.client, pair.to(Family::V4, port)?, 6)?,
    );
    let (of_early, of_late) = (shown(&pair.client, port, 3)?, shown(&pair.server, port, 8)?);
    assert_eq!((of_early, of_late), ([1.0, 3.0, 9.0], [2.0, 8.0, 10.0]));
    let is_known = |scrape: &Scrape| scrape.by(LISTENERS, "workload", &[("app_protocol", &*name)]);
    let scrape = until("the listeners", || {
        let scrape = exporter.scrape()?;
        Ok((is_known(&scrape)?.values().sum::<f64>() == 3.0).then_some(scrape))
    })?;
    let of = |[listeners, waiting, limit]: [f64; 3], fullness| [listeners, waiting, limit, fullness];
    assert_eq!(gauges(&scrape, &name, "early.service")?, of(of_early, millionths(3, 9)));
    assert_eq!(gauges(&scrape, &name, "late.service")?, of(of_late, millionths(6, 6)));

    // Without workloads they are one.
    let page = exporter.get("/metrics/together", PROMETHEUS_TEXT)?;
    let together = Scrape::new(parse(&page.body, Format::Prometheus)?);
    let labels = [("app_protocol", &*name)];
    assert_eq!(together.value(LISTENERS, &labels)?, 3.0);
    assert_eq!(together.value(WAITING, &labels)?, 11.0);
    assert_eq!(together.value(LIMIT, &labels)?, 19.0);

    // What came and went between two collections is of the listener's workload, wherever it is accepted.
    let accepted: Vec<_> = at_late
        .iter()
        .map(|listener| listener.accept())
        .collect::<Result<_, _>>()?;
    shown(&pair.server, port, 6)?;
    exporter.scrape()?;
    let burst = begin(&pair.client, pair.to(Family::V4, port)?, 1)?;
    shown(&pair.server, port, 7)?;
    let [_, over_v4] = &at_late;
    let more: Vec<_> = (0..3).map(|_| over_v4.accept()).collect::<Result<_, _>>()?;
    let left = shown(&pair.server, port, 4)?;
    let scrape = exporter.scrape()?;
    assert_eq!(gauges(&scrape, &name, "late.service")?, of(left, millionths(6, 6)));
    assert_eq!(gauges(&scrape, &name, "early.service")?, of(of_early, millionths(3, 9)));

    // Who is gone has no queue.
    drop((at_late, accepted, more, to_late, burst));
    let scrape = exporter.scrape()?;
    ensure!(
        gauges(&scrape, &name, "late.service").is_err(),
        "a listener that is gone has a queue"
    );
    assert_eq!(gauges(&scrape, &name, "early.service")?, of(of_early, millionths(3, 9)));
    drop((at_early, to_early));
    Ok(())
}
