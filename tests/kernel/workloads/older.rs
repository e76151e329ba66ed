//! Cgroups that are older than the exporter: it finds them at its start, so that their first connection is theirs.

use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;
use tests::exporter::trace::{To, Trace, objects};
use tests::kernel::kernel_facts::note;
use tests::kernel::processes::entries_of;
use tests::machine::cgroups::Cgroups;
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::Flow;

use super::pods::{Logs, of_cgroupfs};
use super::*;

/// Requires that a connection of each cgroup counts for its workload, and none is unresolved. Both ends are of the cgroup.
fn require_first_connections(exporter: &Exporter<'_>, pair: &Pair, cgroups: &[(Cgroup, &str)]) -> Result<()> {
    let subnet = pair.subnet()?.name();
    for (cgroup, workload) in cgroups {
        let flow = cgroup.run(|| Flow::open(pair, Family::V4, 443))?;
        let opened = exporter.scrape()?.by(OPENED, "workload", &[("subnet", &subnet)])?;
        assert_eq!(opened.get(*workload), Some(&2.0), "{opened:?}");
        assert_eq!(opened.get("unresolved"), None, "{opened:?}");
        flow.finish()?;
    }
    Ok(())
}

#[test]
fn the_first_connection_of_what_was_there_before_is_its_own() -> Result<()> {
    const UID: &str = "7d7c9be5-ba71-4ac5-81cd-7ed37ae56b88";
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (logs, cgroups) = (Logs::new()?, Cgroups::of_threads()?);
    logs.tell("shop", "web-7d4b9c6f5-x2x9z", UID)?;
    let older = [
        (cgroups.make("system.slice/early.service")?, "early.service"),
        // A deep one, with others beside and above it.
        (cgroups.make("system.slice/deep.service/a/b/c/d/e/f")?, "deep.service"),
        (cgroups.make(&of_cgroupfs(UID))?, "web"),
    ];
    let exporter = start(&config(&pair, &logs.source()))?;
    require_first_connections(&exporter, &pair, &older)
}

#[test]
fn more_cgroups_than_can_be_told_at_once_are_all_found() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let number = scaled(1500).max(100);
    for of in 0..number {
        cgroups.make(&format!("system.slice/job-{}.scope", 100_000 + of))?;
    }
    // The last of the tree, and one in a place that is visited early.
    let last = cgroups.make("z.slice/last.service")?;
    let first = cgroups.make("a.slice/first.service")?;
    let exporter = start(&config(&pair, "{source: cgroup}"))?;
    assert!(entries_of(exporter.process(), "CGROUPS")? > number);
    assert_eq!(exporter.scrape()?.count("tcpvitals_cgroups_untracked_total", &[])?, 0);
    require_first_connections(&exporter, &pair, &[(last, "last.service"), (first, "first.service")])
}

#[test]
fn an_exporter_in_a_container_finds_what_is_outside_of_it() -> Result<()> {
    // By its path: a shell of busybox takes its own of that name, which makes none of cgroups.
    const UNSHARE: &str = "/usr/bin/unshare";
    let made = Command::new(UNSHARE).args(["--cgroup", "true"]).output();
    if !made.is_ok_and(|made| made.status.success()) {
        note("there is no /usr/bin/unshare that makes namespaces of cgroups");
        return Ok(());
    }
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let (own, cgroups) = (Cgroups::of_processes()?, Cgroups::of_threads()?);
    let older = cgroups.make("system.slice/early.service")?;
    let name = own_name("exporter");
    let mut wrapper: Vec<String> = own.make(&format!("system.slice/{name}"))?.wrapper()?.into();
    // Its own cgroup is the root of all that it sees.
    wrapper.extend([UNSHARE, "--cgroup"].map(str::to_owned));
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let config = config(&pair, "{source: cgroup}");
    let exporter = Launch::new(&config)
        .arguments(&["--web.enable-lifecycle"])
        .wrapped_in(&wrapper)
        .start()?;
    require_first_connections(&exporter, &pair, &[(older, "early.service")])
}

#[test]
fn a_trace_names_what_was_there_before_it_from_the_first_event_on() -> Result<()> {
    let _turn = turn::shared()?;
    let pair = Pair::new()?;
    let cgroups = Cgroups::of_threads()?;
    let older = cgroups.make("system.slice/early.service")?;
    let config = format!("{}workloads: {{source: cgroup}}\n", pair.config());
    let subnet = pair.subnet()?.name();
    let trace = Trace::start(
        &config,
        &["--output=json", "--interval=0", "--subnet", &subnet],
        To::File,
    )?;
    older.run(|| Flow::open(&pair, Family::V4, 443))?.finish()?;
    let events = objects(&String::from_utf8(trace.stop(Signal::SIGINT)?.bytes()?)?)?;
    assert!(events.len() >= 4, "{events:#?}");
    for event in &events {
        assert_eq!(event["workload"], "early.service", "{event:#?}");
    }
    Ok(())
}
