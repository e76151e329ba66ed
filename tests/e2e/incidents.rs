//! Incidents with real traffic: what every surface finds of them, and what Prometheus alerts; and hosts on which nothing goes wrong.
//!
//! The table is [`tests::incidents::INCIDENTS`].

mod alerts;
mod surfaces;

use std::collections::BTreeSet;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::exporter::{Exporter, run, start};
use tests::incidents::{Course, HOSTS, INCIDENTS, Incident, Place, all_at_once, configuration};
use tests::machine::turn;
use tests::machine::wait::{Deadline, until_within};

use alerts::{Alerts, Watch};
use surfaces::{Findings, judged, report};

/// Longer than a judgement takes.
const JUDGEMENT: Duration = Duration::from_secs(13);
/// How long all is well before, where somebody has to know what is usual.
const HISTORY: Duration = Duration::from_secs(50);
/// Longer than an alert takes, with the rules as [`alerts`] has them.
const ALERT: Duration = Duration::from_secs(30);
/// A window, and some more.
const WINDOW: Duration = Duration::from_secs(65);

/// What has to be found of these; `knows_history` of somebody who was there before.
fn expected(incidents: &[Incident], places: &[Place], knows_history: bool) -> Result<Findings> {
    let mut all = Findings::new();
    let each = incidents.iter().zip(places);
    for (incident, place) in each.filter(|(incident, _)| knows_history || !incident.needs_history) {
        let each = incident.expected(&place.subnet()?.name());
        all.extend(each.into_iter().map(|(found, subnet)| (found.to_owned(), subnet)));
    }
    Ok(all)
}

/// What has to be alerted of these.
fn expected_alerts(incidents: &[Incident], places: &[Place]) -> Result<Alerts> {
    let mut all = Alerts::new();
    for (incident, place) in incidents.iter().zip(places) {
        let each = incident.expected_alerts(&place.subnet()?.name());
        all.extend(each.into_iter().map(|(alert, of)| (alert.to_owned(), of)));
    }
    Ok(all)
}

fn places(incidents: &[Incident]) -> Result<Vec<Place>> {
    incidents.iter().map(Incident::place).collect()
}

/// Requires that two sets are equal, and names what is too much and too little.
fn require(what: &str, seen: &BTreeSet<(String, String)>, expected: &BTreeSet<(String, String)>) -> Result<()> {
    let more: Vec<_> = seen.difference(expected).collect();
    let less: Vec<_> = expected.difference(seen).collect();
    ensure!(
        more.is_empty() && less.is_empty(),
        "{what}: not expected {more:?}, missing {less:?}"
    );
    Ok(())
}

/// Has incidents happen on a host of their own, and requires the same right findings of every surface, and the right alerts if asked for.
fn happen(incidents: &[Incident], well: Duration, ill: Duration, has_alerts: bool) -> Result<()> {
    let places = places(incidents)?;
    let config = configuration(&places)?;
    let exporter = start(config.clone())?;
    report(&exporter)?;
    let watch = has_alerts.then(|| Watch::start(&exporter)).transpose()?;
    let course = Course::new(well);
    all_at_once(incidents, &places, &course, || {
        // Only what counts from now on is known to those who look for themselves.
        course.wait();
        let seen = surfaces::all(&exporter, &config, ill)?;
        for (surface, found) in &seen {
            let knows_history = !surfaces::LOOK_FOR_THEMSELVES.contains(surface);
            require(surface, found, &expected(incidents, &places, knows_history)?)?;
        }
        if let Some(watch) = &watch {
            require("alerts", &watch.fired()?, &expected_alerts(incidents, &places)?)?;
        }
        Ok(())
    })
}

fn without_history() -> Vec<Incident> {
    INCIDENTS.iter().filter(|one| !one.needs_history).copied().collect()
}

#[test]
fn every_surface_finds_what_is_wrong_of_all_incidents_at_once() -> Result<()> {
    let _turn = turn::alone()?;
    happen(&without_history(), Duration::ZERO, JUDGEMENT, false)
}

#[test]
#[ignore = "long: make test-long"]
fn all_incidents_at_once_are_found_and_alerted() -> Result<()> {
    let _turn = turn::alone()?;
    happen(INCIDENTS, HISTORY, WINDOW, true)
}

#[test]
#[ignore = "long: make test-long"]
fn each_incident_alone_is_found_and_alerted() -> Result<()> {
    let mut wrong = Vec::new();
    let only = tests::machine::settings::only();
    let chosen = INCIDENTS
        .iter()
        .filter(|one| only.as_ref().is_none_or(|only| one.name.contains(only)));
    for incident in chosen {
        // Others may run between two of them.
        let _turn = turn::alone()?;
        let needs_history = incident.needs_history || incident.alerts.iter().any(|alert| alert.contains("Baseline"));
        let (well, ill) = match needs_history {
            true => (HISTORY, HISTORY),
            false => (Duration::from_secs(3), ALERT),
        };
        if let Err(error) = happen(&[*incident], well, ill, true) {
            wrong.push(format!("{}: {error:#}", incident.name));
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// Whoever asks as often as this.
fn ask_every(exporter: &Exporter<'_>, interval: Duration, end: Deadline) -> Result<()> {
    while !end.passed() {
        report(exporter)?;
        sleep(interval.min(end.left()));
    }
    Ok(())
}

/// What lasts, so that it is the same in every window.
fn steady() -> Vec<Incident> {
    without_history().into_iter().filter(|one| one.is_everywhere).collect()
}

#[test]
#[ignore = "long: make test-long"]
fn who_asks_seldom_or_often_or_beside_others_finds_the_same() -> Result<()> {
    let _turn = turn::alone()?;
    let incidents = steady();
    let places = places(&incidents)?;
    let config = configuration(&places)?;
    // Seconds between questions of each who asks.
    let exporters: Vec<(&[u64], Exporter<'_>)> = [&[5][..], &[15], &[60], &[5, 7]]
        .into_iter()
        .map(|intervals| Ok((intervals, start(config.clone())?)))
        .collect::<Result<_>>()?;
    let expected = expected(&incidents, &places, true)?;
    let length = Duration::from_secs(125);
    all_at_once(&incidents, &places, &Course::new(Duration::ZERO), || {
        let end = Deadline::after(length);
        thread::scope(|scope| {
            let asking: Vec<_> = exporters
                .iter()
                .flat_map(|(intervals, exporter)| intervals.iter().map(move |seconds| (exporter, *seconds)))
                .map(|(exporter, seconds)| scope.spawn(move || ask_every(exporter, Duration::from_secs(seconds), end)))
                .collect();
            asking
                .into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
        })?;
        for (intervals, exporter) in &exporters {
            let found = surfaces::of_api(exporter, &report(exporter)?)?;
            require(&format!("every {intervals:?} s"), &found, &expected)?;
        }
        Ok(())
    })
}

#[test]
#[ignore = "long: make test-long"]
fn an_exporter_that_starts_in_the_middle_finds_the_same_and_what_ends_is_gone_within_two_windows() -> Result<()> {
    let _turn = turn::alone()?;
    let incidents = steady();
    let places = places(&incidents)?;
    let config = configuration(&places)?;
    let expected = expected(&incidents, &places, true)?;
    let course = Course::new(Duration::ZERO);
    let first = start(config.clone())?;
    report(&first)?;
    let second = all_at_once(&incidents, &places, &course, || {
        sleep(JUDGEMENT);
        require("before", &surfaces::of_api(&first, &report(&first)?)?, &expected)?;
        first.stop(Signal::SIGTERM)?;
        let second = start(config)?;
        report(&second)?;
        sleep(JUDGEMENT);
        let seen = report(&second)?;
        require("after", &surfaces::of_api(&second, &seen)?, &expected)?;
        let findings = seen["findings"].as_array().context("no findings")?;
        // It cannot know when that began.
        ensure!(
            findings.iter().all(|finding| finding["since"]["or_before"] == true),
            "{seen:#}"
        );
        Ok(second)
    })?;
    until_within(2 * WINDOW, "all findings to be gone", || {
        sleep(Duration::from_secs(5));
        Ok(surfaces::of_api(&second, &report(&second)?)?.is_empty().then_some(()))
    })
}

/// Hosts beside each other, each with an exporter of its own that knows its subnet alone.
fn hosts_work(length: Duration) -> Result<()> {
    let _turn = turn::alone()?;
    let mut hosts = Vec::new();
    for host in &HOSTS {
        let place = host.place()?;
        let exporter = start(configuration(std::slice::from_ref(&place))?)?;
        hosts.push((host, place, exporter));
    }
    let end = Deadline::after(length);
    thread::scope(|scope| {
        let working: Vec<_> = hosts
            .iter()
            .map(|(host, place, _)| scope.spawn(move || host.work(place, end)))
            .collect();
        let mut judgements = 0;
        while end.left() > Duration::from_secs(5) {
            for (host, _, exporter) in &hosts {
                let seen = report(exporter)?;
                let found = surfaces::of_api(exporter, &seen)?;
                ensure!(found.is_empty(), "{}: {seen:#}", host.name);
                judgements += u32::from(judged(&seen));
            }
            sleep(Duration::from_secs(5));
        }
        // Not one host was left out.
        ensure!(
            u64::from(judgements) >= length.as_secs() / 10 * HOSTS.len() as u64,
            "only {judgements} judgements"
        );
        for (host, place, exporter) in &hosts {
            let from = format!("http://{}", exporter.address());
            let said = run(&["explain", "--from", &from, "subnet", &place.subnet()?.name()])?;
            ensure!(said.code == Some(0), "{}: {said:?}", host.name);
        }
        working
            .into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| anyhow::bail!("a host panicked")))
    })
}

#[test]
fn hosts_that_work_have_no_findings_in_two_minutes() -> Result<()> {
    hosts_work(Duration::from_mins(2))
}

#[test]
#[ignore = "long: make test-long"]
fn hosts_that_work_have_no_findings_in_ten_minutes() -> Result<()> {
    hosts_work(Duration::from_mins(10))
}
