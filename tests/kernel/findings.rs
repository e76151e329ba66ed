//! Findings of real incidents, one beside the other, and none on hosts that work.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use tests::exporter::{Exporter, run, start};
use tests::incidents::{Course, INCIDENTS, Incident, Place, all_at_once};
use tests::machine::turn;
use tests::machine::wait::Deadline;
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::{Flow, connect, listen, receive, send};

use crate::listeners::{begin, listen_for};

/// How long an incident goes on: longer than a judgement takes.
const LENGTH: Duration = Duration::from_secs(13);
/// How often something is tried in vain.
const PAUSE: Duration = Duration::from_millis(100);
const PORT: u16 = 443;

/// A program that accepts nothing, and clients that try: whose their SYNs are nobody can tell.
fn overflow(pair: &Pair, port: u16, end: Deadline) -> Result<()> {
    let to = pair.to(Family::V4, port)?;
    let _full = listen_for(&pair.server, to, 1)?;
    let mut clients = Vec::new();
    while !end.passed() {
        clients.extend(begin(&pair.client, to, 2)?);
        sleep(PAUSE);
    }
    Ok(())
}

/// Sends as fast as it goes, and reads as fast.
fn bulk(pair: &Pair, end: Deadline) -> Result<()> {
    let flow = Flow::open(pair, Family::V4, PORT)?;
    while !end.passed() {
        thread::scope(|scope| {
            let sender = scope.spawn(|| send(&flow.client, 200_000));
            receive(&flow.server, 200_000)?;
            joined(sender)
        })?;
    }
    Ok(())
}

/// A peer behind a device of user space that does not get every second segment at first.
fn lose(namespace: &Namespace, peer: &Peer, end: Deadline) -> Result<()> {
    let (mut client, mut connection) = peer.accept(namespace, 80, Offer::default())?;
    while !end.passed() {
        client.write_all(&[1; 500])?;
        connection.take(500)?;
        connection.take_again()?;
        connection.acknowledge()?;
    }
    Ok(())
}

fn joined(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().map_err(|_panic| anyhow!("a thread panicked"))?
}

fn report(exporter: &Exporter<'_>) -> Result<Value> {
    let page = exporter.get("/api/v1/findings", "application/json")?;
    tests::readers::openapi::require(&serde_json::from_str(&page.body)?, "Findings")?;
    Ok(serde_json::from_str(&page.body)?)
}

/// What is found for a subnet, sorted.
fn found<'a>(report: &'a Value, subnet: &str) -> Vec<&'a str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let mine = findings.filter(|finding| finding["subnet"] == subnet);
    let mut names: Vec<&str> = mine.filter_map(|finding| finding["finding"].as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn incidents_beside_each_other_give_their_findings_and_no_others() -> Result<()> {
    let _turn = turn::alone()?;
    let incidents: Vec<Incident> = INCIDENTS.iter().filter(|one| one.is_everywhere).copied().collect();
    let places = incidents.iter().map(Incident::place).collect::<Result<Vec<_>>>()?;
    let far = Subnet::take()?;
    let namespace = Namespace::new()?;
    let peer = Peer::new(&namespace, far)?;
    let busy = Pair::new()?;
    let mut subnets = places.iter().map(Place::subnet).collect::<Result<Vec<_>>>()?;
    subnets.extend([far, busy.subnet()?]);
    let service = "app_protocols: [{name: busy, ports: [7443]}]\n";
    let exporter = start(config(&subnets) + service)?;
    report(&exporter)?;
    let end = Deadline::after(LENGTH);
    let report = all_at_once(&incidents, &places, &Course::new(Duration::ZERO), || {
        thread::scope(|scope| {
            let running = [
                scope.spawn(|| lose(&namespace, &peer, end)),
                scope.spawn(|| overflow(&busy, 7443, end)),
            ];
            sleep(Duration::from_secs(12));
            let report = report(&exporter);
            running.into_iter().try_for_each(joined)?;
            report
        })
    })?;
    for (incident, subnet) in incidents.iter().zip(&subnets) {
        assert_eq!(
            found(&report, &subnet.name()),
            incident.found,
            "{}: {report:#}",
            incident.name
        );
    }
    assert_eq!(found(&report, &far.name()), ["network_loss"], "{report:#}");
    let full = report["findings"].as_array().into_iter().flatten();
    let full: Vec<&Value> = full
        .filter(|finding| finding["finding"] == "accept_queue_full")
        .collect();
    let services = full.first().map(|finding| finding["services"].clone());
    assert_eq!(
        (full.len(), services),
        (1, Some(serde_json::json!(["busy"]))),
        "{report:#}"
    );

    // What people and rules read is the same.
    let scrape = exporter.scrape()?;
    let of_metric = scrape.sum("tcpvitals_findings", &[("finding", "refused"), ("whose", "peer")])?;
    assert!(of_metric >= 1.0);
    let from = format!("http://{}", exporter.address());
    let told = run(&["explain", "--from", &from, "subnet", &far.name()])?;
    assert_eq!(told.code, Some(10), "{}", told.stderr);
    assert!(
        told.stdout.contains("NETWORK") && told.stdout.contains("lost beyond this host"),
        "{}",
        told.stdout
    );
    let unknown = run(&["explain", "subnet", "no-such-subnet"])?;
    assert_eq!(unknown.code, Some(2), "{}", unknown.stdout);
    assert!(
        unknown.stderr.contains("no subnet \"no-such-subnet\""),
        "{}",
        unknown.stderr
    );
    let page = exporter.get("/", "text/html")?.body;
    assert!(page.contains("data-whose=\"network\""), "{page}");
    Ok(())
}

/// What ordinary hosts do: many short connections, a large transfer, a few that fail, datagrams that are read.
#[test]
fn a_host_that_works_has_no_findings() -> Result<()> {
    let _turn = turn::alone()?;
    let pair = Pair::new()?;
    let exporter = start(pair.config())?;
    report(&exporter)?;
    let end = Deadline::after(LENGTH);
    let to = pair.to(Family::V4, 80)?;
    let listener = listen(&pair.server, to)?;
    thread::scope(|scope| {
        let transfer = scope.spawn(|| bulk(&pair, end));
        let short = scope.spawn(|| {
            while !end.passed() {
                let client = connect(&pair.client, to)?;
                let (server, _) = listener.accept().context("accept")?;
                send(&client, 300)?;
                receive(&server, 300)?;
                send(&server, 20_000)?;
                receive(&client, 20_000)?;
            }
            anyhow::Ok(())
        });
        joined(transfer)?;
        joined(short)
    })?;
    // One service that was down for a moment.
    assert!(
        pair.client
            .run(|| Ok(TcpStream::connect(pair.to(Family::V4, 8080)?).is_err()))?
    );
    let report = report(&exporter)?;
    assert_eq!(report["state"], "judged");
    assert_eq!(found(&report, &pair.subnet()?.name()), Vec::<&str>::new(), "{report:#}");
    Ok(())
}
