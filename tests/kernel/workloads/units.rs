//! Connections of units of systemd.

use anyhow::{Context as _, Result};
use tests::kernel::btf;
use tests::machine::cgroups::Cgroups;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, listen, settle};

use super::*;
use crate::account::{End, require_equal, require_equal_where};
use crate::degraded::require_off;

/// Everything of a subnet and a unit.
fn of_unit<'a>(subnet: &'a str, unit: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("subnet", subnet),
        ("workload", unit),
        ("workload_kind", "unit"),
        ("workload_namespace", ""),
    ]
}

#[test]
fn all_connections_of_a_unit_that_is_started_are_its_own_and_the_sum_stays() -> Result<()> {
    const LATER: usize = 20;
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let cgroups = Cgroups::of_threads()?;
    // It runs before the exporter does.
    let early = cgroups.make("system.slice/early.service")?;
    let listener = early.run(|| listen(&pair.server, pair.to(Family::V4, 443)?))?;
    let config = config(&pair, "{source: cgroup}");
    let exporter = start(&config)?;
    let late = make_for_program(&cgroups, "system.slice/late.service")?;
    let mut flows = late.run(|| {
        let open = || Flow::through(&listener, &pair, pair.to(Family::V4, 443)?);
        (0..LATER).map(|_| open()).collect::<Result<Vec<_>>>()
    })?;
    for flow in &flows {
        flow.exchange(30_000, 20_000)?;
    }
    // The first of the listener's was met before it had a name. It has one now, and so has what follows.
    until_open(&exporter, &subnet, "early.service", LATER as u64)?;
    let before = exporter.scrape()?;
    flows.push(late.run(|| Flow::through(&listener, &pair, pair.to(Family::V4, 443)?))?);
    flows.push(early.run(|| Flow::open(&pair, Family::V6, 8443))?);
    for flow in &flows {
        flow.exchange(20_000, 30_000)?;
    }
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let (late, early) = (of_unit(&subnet, "late.service"), of_unit(&subnet, "early.service"));

    let clients: Vec<_> = ends.iter().map(|ends| End::Client.of(ends)).collect();
    require_equal_where(&scrape, &late, End::Client, &clients[..=LATER])?;
    require_equal_where(&scrape, &early, End::Client, &clients[LATER + 1..])?;
    assert_eq!(scrape.count(OPENED, &late)?, LATER as u64 + 1);
    let since = scrape.since(&before);
    assert_eq!(since.count(OPENED, &early)?, 3);
    assert_eq!(since.count(OPENED, &[("subnet", &subnet)])?, 4);
    for end in End::BOTH {
        let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
        require_equal(&scrape, &subnet, end, &sockets)?;
    }
    for flow in &flows {
        flow.finish()?;
    }
    require_sums_equal_totals(&exporter, &config)
}

#[test]
fn connections_are_of_the_listener_that_accepted_them_wherever_its_process_goes() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let exporter = start(&config(&pair, "{source: cgroup}"))?;
    let cgroups = Cgroups::of_threads()?;
    let web = make_for_program(&cgroups, "web.service")?;
    let other = make_for_program(&cgroups, "other.service")?;
    let address = pair.to(Family::V6, 443)?;
    let (listener, mut flows) = web.run(|| {
        let listener = listen(&pair.server, address)?;
        let mut flows = vec![Flow::through(&listener, &pair, address)?];
        // What was opened stays, what is accepted is the listener's, and what is opened is of who opens it.
        other.enter()?;
        for _ in 0..4 {
            flows.push(Flow::through(&listener, &pair, address)?);
        }
        Ok((listener, flows))
    })?;
    // Nobody is in the listener's cgroup any more.
    web.remove()?;
    for _ in 0..3 {
        flows.push(other.run(|| Flow::through(&listener, &pair, address))?);
    }
    for flow in &flows {
        flow.exchange(50_000, 10_000)?;
    }
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let servers: Vec<_> = ends.iter().map(|ends| End::Server.of(ends)).collect();
    let clients: Vec<_> = ends.iter().map(|ends| End::Client.of(ends)).collect();
    let (web, other) = (of_unit(&subnet, "web.service"), of_unit(&subnet, "other.service"));
    require_equal_where(&scrape, &web, End::Server, &servers)?;
    require_equal_where(&scrape, &web, End::Client, &clients[..1])?;
    require_equal_where(&scrape, &other, End::Client, &clients[1..])?;
    assert_eq!(scrape.count(OPENED, &web)?, 9);
    assert_eq!(scrape.count(OPENED, &other)?, 7);
    assert_eq!(scrape.count(OPENED, &[("subnet", &subnet)])?, 16);
    Ok(())
}

/// A real process: the exporter itself, which listens on the loopback device like any other service.
#[test]
fn a_process_that_is_started_in_a_unit_serves_as_that_unit() -> Result<()> {
    const CONFIG: &str = "\
subnets: [{name: loopback, cidrs: [127.0.0.0/8]}]
collect: {max_age: 1ms}
workloads: {source: cgroup}
";
    let _turn = turn::shared()?;
    let cgroups = Cgroups::of_processes()?;
    let name = own_name("exporter");
    let unit = cgroups.make(&format!("system.slice/{name}"))?;
    let wrapper = unit.wrapper()?;
    let wrapper = wrapper.each_ref().map(String::as_str);
    let exporter = Launch::new(format!("{CONFIG}{LABELS}")).wrapped_in(&wrapper).start()?;
    let served = |scrape: &Scrape| {
        let labels = [("subnet", "loopback"), ("workload", &*name), ("role", "server")];
        scrape.count(OPENED, &labels)
    };
    let is_known = || {
        let scrape = exporter.scrape()?;
        Ok((served(&scrape)? > 0).then_some(scrape))
    };
    let first = until("the exporter to be known", is_known)?;
    for made in 1..=5 {
        assert_eq!(served(&exporter.scrape()?)?, served(&first)? + made);
    }
    Ok(())
}

#[test]
fn where_a_kernel_does_not_tell_cgroups_it_says_so_and_every_connection_counts() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let btf = btf::renamed(&[("sk_cgrp_data", "sk_cgrp_gone")])?;
    let path = btf.path().to_str().context("a path that is text")?;
    let cgroups = Cgroups::of_threads()?;
    let exporter = Launch::new(config(&pair, "{source: cgroup}"))
        .arguments(&["--btf", path])
        .start()?;
    require_off(&exporter, "cgroup_mkdir", "SOCK_CGROUP")?;
    let unit = make_for_program(&cgroups, "web.service")?;
    let flows = [unit.run(|| Flow::open(&pair, Family::V4, 443))?];
    flows[0].exchange(100_000, 100_000)?;
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    for end in End::BOTH {
        require_equal(&scrape, &subnet, end, &[end.of(&ends[0])])?;
    }
    assert_eq!(scrape.count(OPENED, &[("subnet", &subnet)])?, 2);
    assert_eq!(scrape.count(OPENED, &[("workload", "web.service")])?, 0);
    Ok(())
}

/// Workloads are told apart only where that is asked for: otherwise no program of theirs runs.
#[test]
fn without_a_source_nobody_is_told_apart() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let exporter = start(&pair.config())?;
    require_off(&exporter, "cgroup_mkdir", "workloads.source is none")
}
