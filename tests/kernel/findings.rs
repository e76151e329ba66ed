//! Findings of real incidents, one beside the other, and none on hosts that work.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use tests::exporter::{Exporter, run, start};
use tests::machine::turn;
use tests::machine::wait::Deadline;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::peer::{Offer, Peer};
use tests::net::subnet::{Family, Subnet, config};
use tests::net::traffic::{Flow, connect, listen, receive, send, small_udp_receiver};

use crate::listeners::{begin, listen_for};

/// How long an incident goes on: longer than a judgement takes.
const LENGTH: Duration = Duration::from_secs(13);
/// How often something is tried in vain.
const PAUSE: Duration = Duration::from_millis(100);
const PORT: u16 = 443;

/// Something that goes wrong between two hosts for some time, and what is found then.
struct Incident {
    found: &'static [&'static str],
    happen: fn(&Pair, Deadline) -> Result<()>,
}

const INCIDENTS: &[Incident] = &[
    // A shaper with a short queue, and more than it lets through.
    Incident {
        found: &["own_queue"],
        happen: |pair, end| {
            pair.client.exec(&format!(
                "tc qdisc add dev {DEVICE} root tbf rate 8mbit burst 5000 limit 12000"
            ))?;
            bulk(pair, end)
        },
    },
    Incident {
        found: &["own_filter"],
        happen: |pair, end| {
            nft::drop_matching(
                &pair.client,
                "output",
                "tcp dport 443 meta length > 1000 numgen inc mod 9 == 0",
            )?;
            bulk(pair, end)
        },
    },
    // Here the other end sees who asks in vain, too.
    Incident {
        found: &["no_listener", "refused"],
        happen: |pair, end| try_to_open(pair, end),
    },
    Incident {
        found: &["unanswered"],
        happen: |pair, end| {
            nft::drop_matching(&pair.server, "prerouting", "tcp flags syn")?;
            thread::scope(|scope| {
                let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| try_to_open(pair, end))).collect();
                tries.into_iter().try_for_each(joined)
            })
        },
    },
    // A reader that takes 20 kB a second.
    Incident {
        found: &["peer_reads_slowly"],
        happen: |pair, end| {
            let flow = Flow::open(pair, Family::V4, PORT)?;
            flow.fill()?;
            while !end.passed() {
                receive(&flow.server, 2000)?;
                flow.fill()?;
                sleep(PAUSE);
            }
            Ok(())
        },
    },
    // A program that reads no datagrams.
    Incident {
        found: &["socket_buffer_full"],
        happen: |pair, end| {
            let to = pair.to(Family::V4, 5353)?;
            let _unread = small_udp_receiver(&pair.server, to)?;
            datagrams(pair, to, end)
        },
    },
];

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

/// Tries to open connections until the end, and gives up after two seconds.
fn try_to_open(pair: &Pair, end: Deadline) -> Result<()> {
    let to = pair.to(Family::V4, PORT)?;
    while !end.passed() {
        let _given_up = pair
            .client
            .run(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(2)).is_err()))?;
        sleep(PAUSE);
    }
    Ok(())
}

fn datagrams(pair: &Pair, to: std::net::SocketAddr, end: Deadline) -> Result<()> {
    let socket = pair.client.run(|| Ok(UdpSocket::bind(("0.0.0.0", 0))?))?;
    while !end.passed() {
        for _ in 0..20 {
            socket.send_to(&[1; 1000], to)?;
        }
        sleep(PAUSE);
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
    let pairs: Vec<Pair> = INCIDENTS.iter().map(|_| Pair::new()).collect::<Result<_>>()?;
    let far = Subnet::take()?;
    let namespace = Namespace::new()?;
    let peer = Peer::new(&namespace, far)?;
    let busy = Pair::new()?;
    let mut subnets = pairs.iter().map(Pair::subnet).collect::<Result<Vec<_>>>()?;
    subnets.extend([far, busy.subnet()?]);
    let service = "app_protocols: [{name: busy, ports: [7443]}]\n";
    let exporter = start(config(&subnets) + service)?;
    report(&exporter)?;
    let end = Deadline::after(LENGTH);
    let report = thread::scope(|scope| {
        let mut running = Vec::new();
        for (incident, pair) in INCIDENTS.iter().zip(&pairs) {
            running.push(scope.spawn(move || (incident.happen)(pair, end)));
        }
        running.push(scope.spawn(|| lose(&namespace, &peer, end)));
        running.push(scope.spawn(|| overflow(&busy, 7443, end)));
        sleep(Duration::from_secs(12));
        let report = report(&exporter);
        running.into_iter().try_for_each(joined)?;
        report
    })?;
    for (incident, subnet) in INCIDENTS.iter().zip(&subnets) {
        assert_eq!(found(&report, &subnet.name()), incident.found, "{report:#}");
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
