//! Cgroups that come and go by the thousand, while the configuration is reloaded and the source of names goes and comes back.

use std::cell::RefCell;
use std::fs::rename;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};
use tests::exporter::scrape::Scrape;
use tests::kernel::kernel_facts::note;
use tests::kernel::processes::{entries_of, maps_memory_of, status};
use tests::kernel::skipped::Skipped;
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::machine::settings::{is_emulated, scaled};
use tests::machine::turn;
use tests::machine::wait::until;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{Ending, churn};

use super::pods::Logs;
use super::*;

/// Whose a cgroup is, by turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A scope of a job.
    Job,
    /// A pod that the source tells.
    Told,
    /// A pod that it does not tell.
    Strange,
}

fn turn_of(number: u64) -> Turn {
    match number % 4 {
        0 => Turn::Told,
        2 => Turn::Strange,
        _ => Turn::Job,
    }
}

/// What the paths of a pod have in place of its UID.
fn hash(number: u64) -> String {
    format!("{:032x}", number + 1)
}

/// Every second one is a pod's container, the others are scopes of jobs.
fn path(number: u64) -> String {
    match turn_of(number) {
        Turn::Job => format!("system.slice/job-{}.scope", 100_000 + number),
        Turn::Told | Turn::Strange => format!("kubepods/burstable/pod{}/{number:064x}", hash(number)),
    }
}

thread_local! {
    /// The cgroup that this thread is in.
    static OWN: RefCell<Option<(Cgroup, u64)>> = const { RefCell::new(None) };
}

/// Moves this thread to another cgroup and removes the one that it was in.
fn go_on(cgroups: &Cgroups, next: Option<u64>) -> Result<()> {
    // A program that is started in one takes longer to its first socket.
    let start = Duration::from_millis(if is_emulated() { 100 } else { 2 });
    let next = next.map(|number| anyhow::Ok((cgroups.make(&path(number))?, number)));
    let next = next.transpose()?;
    match &next {
        Some((cgroup, _)) => {
            cgroup.enter()?;
            sleep(start);
        }
        None => cgroups.leave()?,
    }
    let Some((last, number)) = OWN.replace(next) else {
        return Ok(());
    };
    last.remove()?;
    if turn_of(number) != Turn::Job {
        cgroups
            .of(&format!("kubepods/burstable/pod{}", hash(number)))
            .remove()?;
    }
    Ok(())
}

/// Reloads the configuration, takes the folder of the source away and brings it back, until it is over; how often.
fn disturb(exporter: &Exporter<'_>, config: &str, logs: &Logs, is_over: &AtomicBool) -> Result<u64> {
    const PAUSE: Duration = Duration::from_millis(200);
    let (folder, away) = (logs.path().to_owned(), logs.path().with_extension("away"));
    let mut times = 0;
    while !is_over.load(Ordering::Relaxed) {
        rename(&folder, &away)?;
        sleep(PAUSE);
        rename(&away, &folder)?;
        // One that moves every flow to other label sets, and back.
        exporter.reload(&config.replace("role, workload,", "workload,"))?;
        exporter.scrape()?;
        exporter.reload(config)?;
        sleep(PAUSE);
        times += 1;
    }
    Ok(times)
}

/// So many cgroups, in each of which a connection is opened and reset.
fn come_and_go(number: u64) -> Result<()> {
    let pair = Pair::new()?;
    let subnet = pair.subnet()?.name();
    let logs = Logs::new()?;
    for of in (0..number).filter(|of| turn_of(*of) == Turn::Told) {
        logs.tell("shop", "web", &hash(of))?;
    }
    let config = config(&pair, &logs.source());
    let exporter = start(&config)?;
    let cgroups = Cgroups::of_threads()?;
    let groups = |scrape: &Scrape| scrape.count("tcpvitals_groups", &[]);
    let entries = || entries_of(exporter.process(), "CGROUPS");
    let before = exporter.scrape()?;
    let memory = || {
        Ok::<_, anyhow::Error>((
            maps_memory_of(exporter.process())?,
            status(exporter.process(), "VmRSS")?,
        ))
    };
    let (entries_before, memory_before) = (entries()?, memory()?);
    let targets = [pair.to(Family::V4, 7001)?, pair.to(Family::V6, 7001)?];
    let is_over = AtomicBool::new(false);
    let (made, times) = thread::scope(|scope| {
        let disturber = scope.spawn(|| disturb(&exporter, &config, &logs, &is_over));
        let made = churn(&pair, &targets, 2, Ending::Reset, |of| {
            let next = Some(of).filter(|of| *of < number);
            go_on(&cgroups, next).expect("a cgroup");
            next.is_some()
        });
        is_over.store(true, Ordering::Relaxed);
        let times = disturber.join().unwrap_or_else(|_| bail!("the disturber panicked"))?;
        Ok::<_, anyhow::Error>((made?, times))
    })?;
    assert_eq!(made, number);
    assert!(times > 0);
    let scrape = until("the last connection to be counted as closed", || {
        let scrape = exporter.scrape()?;
        let closed = scrape.sum("tcpvitals_tcp_connections_closed_total", &[("subnet", &subnet)])?;
        Ok((closed + Skipped::of(&scrape)?.runs() >= 2.0 * made as f64).then_some(scrape))
    })?;
    let clients = [("subnet", &*subnet), ("role", "client")];
    let opened = scrape.by(OPENED, "workload", &clients)?;
    let of = |workload: &str| opened.get(workload).copied().unwrap_or(0.0);
    let known = of("job-*.scope") + of("web");
    Skipped::of(&scrape)?.require(known + of("unresolved"), made as f64, 1.0, &opened);
    assert!(
        of("job-*.scope") > 0.0 && of("web") > 0.0 && of("unresolved") > 0.0,
        "{opened:?}"
    );
    // A cgroup that could not be told at once is met by its socket.
    let untracked = scrape.count("tcpvitals_cgroups_untracked_total", &[])?;
    // Names that are folded take a few label sets, however many bear them.
    let more = groups(&scrape)? - groups(&before)?;
    assert!(more < 100, "{more} label sets more");
    let left = until("cgroups that have gone to be forgotten", || {
        let left = entries()?;
        Ok((left <= entries_before + 20).then_some(left))
    });
    assert!(left.is_ok(), "{} cgroups, and {entries_before} before", entries()?);
    require_sums_equal_totals(&exporter, &config)?;
    let opened: Vec<String> = opened
        .iter()
        .map(|(workload, count)| format!("{workload} {count}"))
        .collect();
    note(&format!(
        "{made} cgroups, {untracked} not told at once, {times} reloads and losses of the source: {}; bytes of maps and VmRSS {memory_before:?}, then {:?}",
        opened.join(", "),
        memory()?
    ));
    Ok(())
}

#[test]
fn cgroups_that_come_and_go_leave_nothing_behind() -> Result<()> {
    let _turn = turn::alone()?;
    come_and_go(scaled(1000).max(100))
}

/// One of the long tests.
#[test]
#[ignore = "takes minutes"]
fn ten_thousand_cgroups_that_come_and_go_leave_nothing_behind() -> Result<()> {
    let _turn = turn::alone()?;
    come_and_go(10_000)
}
