//! Cgroups that come and go by the thousand.

use std::cell::RefCell;

use anyhow::{Context as _, Result};
use tests::exporter::scrape::Scrape;
use tests::kernel::processes::{maps_of, programs_of};
use tests::kernel::skipped::Skipped;
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Ending, churn};

use super::*;

/// Every second one is a pod's container, the others are scopes of jobs.
fn path(number: u64) -> String {
    match number % 2 {
        0 => format!("kubepods/burstable/pod{:032x}/{number:064x}", number + 1),
        _ => format!("system.slice/job-{}.scope", 100_000 + number),
    }
}

thread_local! {
    /// The cgroup that this thread is in.
    static OWN: RefCell<Option<(Cgroup, u64)>> = const { RefCell::new(None) };
}

/// Moves this thread to another cgroup and removes the one that it was in.
fn go_on(cgroups: &Cgroups, next: Option<u64>) -> Result<()> {
    let next = next.map(|number| anyhow::Ok((cgroups.make(&path(number))?, number)));
    let next = next.transpose()?;
    match &next {
        Some((cgroup, _)) => cgroup.enter()?,
        None => cgroups.leave()?,
    }
    let Some((last, number)) = OWN.replace(next) else {
        return Ok(());
    };
    last.remove()?;
    if number.is_multiple_of(2) {
        cgroups
            .of(&format!("kubepods/burstable/pod{:032x}", number + 1))
            .remove()?;
    }
    Ok(())
}

#[test]
fn cgroups_that_come_and_go_leave_nothing_behind() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let config = config(&pair, "{source: cgroup}");
    let exporter = start(&config)?;
    let cgroups = Cgroups::of_threads()?;
    let number = scaled(2000);
    let groups = |scrape: &Scrape| scrape.count("tcpvitals_groups", &[]);
    let entries = || {
        let maps = maps_of(&programs_of(exporter.process())?)?;
        let map = maps.into_values().find(|map| map.name == "CGROUPS");
        map.and_then(|map| map.keys).context("no map of cgroups")
    };
    let before = exporter.scrape()?;
    let (entries_before, targets) = (entries()?, [pair.to(Family::V4, 7001)?, pair.to(Family::V6, 7001)?]);
    let made = churn(&pair, &targets, 2, Ending::Reset, |of| {
        let next = Some(of).filter(|of| *of < number);
        go_on(&cgroups, next).expect("a cgroup");
        next.is_some()
    })?;
    assert_eq!(made, number);
    let scrape = until("the last connection to be counted as closed", || {
        let scrape = exporter.scrape()?;
        let closed = scrape.sum("tcpvitals_tcp_connections_closed_total", &[("subnet", &subnet)])?;
        Ok((closed + Skipped::of(&scrape)?.runs() >= 2.0 * made as f64).then_some(scrape))
    })?;
    let clients = [("subnet", &*subnet), ("role", "client")];
    let opened = scrape.by(OPENED, "workload", &clients)?;
    let of = |workload: &str| opened.get(workload).copied().unwrap_or(0.0);
    let known = of("job-*.scope") + of("kubepods");
    Skipped::of(&scrape)?.require(known + of("unresolved"), made as f64, 1.0, &opened);
    assert!(of("job-*.scope") > 0.0 && of("kubepods") > 0.0, "{opened:?}");
    assert_eq!(scrape.count("tcpvitals_cgroups_untracked_total", &[])?, 0);
    // Names that are folded take a few label sets, however many bear them.
    let more = groups(&scrape)? - groups(&before)?;
    assert!(more < 50, "{more} label sets more");
    let left = until("cgroups that have gone to be forgotten", || {
        let left = entries()?;
        Ok((left <= entries_before + 20).then_some(left))
    });
    assert!(left.is_ok(), "{} cgroups, and {entries_before} before", entries()?);
    require_sums_equal_totals(&exporter, &config)
}
