//! Ten incidents as people on call know them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use socket2::SockRef;
use tests::kernel::tcp_info::TcpInfo;
use tests::net::namespace::Namespace;
use tests::net::nft;
use tests::net::subnet::{Family, SERVER};

use crate::blind::stage::{SHOP, Stage};
use crate::blind::talk::{
    Habit, Server, Tally, answer, answer_datagrams, ask, clients, inside, look_up, open, question, reset,
};
use crate::blind::way::{get, set};
use crate::blind::{Case, Expected};

/// Ordinary work before an incident begins, in seconds.
const LEAD: u64 = 20;
/// How long it lasts before the exporter is asked.
const LENGTH: u64 = 50;

pub(super) const INCIDENTS: &[Case] = &[
    Case {
        title: "a policer in the host's own packet filter lets two megabytes a second out to a branch, and more is sent",
        expected: Some(Expected {
            whose: "OURS",
            subnet: "branch",
            cause: "this host drops what it sends itself, at its own packet filter",
        }),
        sites: &["office", "database", "resolver", "branch"],
        lead: LEAD,
        length: LENGTH,
        play: policer,
    },
    Case {
        title: "the consumers of a message broker hang and read nothing any more",
        expected: Some(Expected {
            whose: "PEER",
            subnet: "broker",
            cause: "the application at the other end does not read: the senders of this host wait for its window",
        }),
        sites: &["office", "database", "resolver", "broker"],
        lead: LEAD,
        length: LENGTH,
        play: hanging_consumers,
    },
    Case {
        title: "a partner's firewall swallows the SYNs to one port",
        expected: Some(Expected {
            whose: "SILENT",
            subnet: "partner",
            cause: "opens of this host get no answer at all",
        }),
        sites: &["office", "database", "resolver", "partner"],
        lead: LEAD,
        length: LENGTH,
        play: swallowed_syns,
    },
    Case {
        title: "a wrong route sends what is for the backup servers to a gateway that is not there",
        expected: Some(Expected {
            whose: "HERE",
            subnet: "backup",
            cause: "the next hop of this host's own route does not answer: host unreachable, no neighbour",
        }),
        sites: &["office", "database", "resolver", "transfer"],
        lead: LEAD,
        length: LENGTH,
        play: wrong_route,
    },
    Case {
        title: "the receive buffer of a statistics daemon on the host is too small for the bursts of the sensors",
        expected: Some(Expected {
            whose: "HERE",
            subnet: "sensors",
            cause: "a UDP socket of this host has no room: datagrams are lost at its receive buffer",
        }),
        sites: &["office", "database", "resolver", "sensors"],
        lead: LEAD,
        length: LENGTH,
        play: small_buffer,
    },
    Case {
        title: "the host's shop accepts six connections a second, customers open many more, and its accept queue of eight is full",
        expected: Some(Expected {
            whose: "HERE",
            // Who was turned away the kernel does not tell; the service must be named.
            subnet: "",
            cause: "the accept queue of this host's own shop is full: connections are turned away",
        }),
        sites: &["office", "database", "resolver", "customers"],
        lead: LEAD,
        length: LENGTH,
        play: full_accept_queue,
    },
    Case {
        title: "the network to another site loses two packets in a hundred and reorders three",
        expected: Some(Expected {
            whose: "NETWORK",
            subnet: "site-b",
            cause: "segments are lost beyond this host, and none is dropped here",
        }),
        sites: &["office", "database", "resolver", "site-b"],
        lead: LEAD,
        length: LENGTH,
        play: lossy_network,
    },
    Case {
        title: "a tunnel swallows packets of more than 1400 bytes without a word, so that uploads hang and small requests pass",
        expected: Some(Expected {
            whose: "NETWORK",
            subnet: "vpn",
            cause: "data of this host is lost on the way again and again until connections are given up: large packets do not pass",
        }),
        sites: &["office", "database", "resolver", "vpn"],
        lead: LEAD,
        length: LENGTH,
        play: black_hole,
    },
    Case {
        title: "a detour makes the round trip to another data center 80 ms long, which was 1 ms",
        expected: Some(Expected {
            whose: "NETWORK",
            subnet: "dc-west",
            cause: "the round-trip time is far above what it was before",
        }),
        sites: &["office", "database", "resolver", "dc-west"],
        // There must be a before.
        lead: 70,
        length: LENGTH,
        play: detour,
    },
    Case {
        title: "a cache server crashes every two seconds and resets its connections in the middle of answers",
        expected: Some(Expected {
            whose: "PEER",
            subnet: "cache",
            cause: "the other end resets connections that were in use",
        }),
        sites: &["office", "database", "resolver", "cache"],
        lead: LEAD,
        length: LENGTH,
        play: crashing_cache,
    },
];

/// Clients of an incident: where they are, how many, whom they ask, how, and what becomes of it.
type Load<'a> = (&'a Namespace, (u32, SocketAddr, Habit), &'a Tally);

/// Plays ordinary work, which must not be disturbed, and the clients of an incident. `fault` waits for the beginning of the incident, makes it
/// happen until the stage is over, and gives the proof.
fn beside(stage: &Stage, loads: &[Load<'_>], fault: impl FnOnce() -> Result<String>) -> Result<String> {
    let (visits, queries, names) = (Tally::default(), Tally::default(), Tally::default());
    let (office, database, resolver) = (stage.site("office")?, stage.site("database")?, stage.site("resolver")?);
    let to_web = office.to_host(Family::V4, 443);
    let to_database = database.at(Family::V6, 5432);
    let to_names = resolver.at(Family::V4, 53);
    let _web = Server::start(&stage.host, to_web, answer)?;
    let _database = Server::start(&database.far, to_database, answer)?;
    let socket = resolver.far.run(|| Ok(UdpSocket::bind(to_names)?))?;
    let proof = scope(|scope| {
        let of_web = (3, to_web, Habit::new(400, 15_000, 3, 60));
        clients(scope, stage, &office.far, of_web, &visits);
        let of_database = (4, to_database, Habit::new(300, 3_000, 2_000, 40));
        clients(scope, stage, &stage.host, of_database, &queries);
        scope.spawn(|| answer_datagrams(stage, &socket, 120, 0));
        scope.spawn(|| {
            inside(&stage.host, || {
                while !stage.is_over() {
                    names.note(look_up(to_names, Duration::from_secs(5)));
                    stage.pause(Duration::from_millis(60));
                }
            });
        });
        for (from, load, tally) in loads {
            clients(scope, stage, from, *load, tally);
        }
        let proof = fault();
        // Only an error ends it earlier.
        stage.end();
        proof
    })?;
    visits.require("visits of the web server", 100)?;
    queries.require("queries of the database", 100)?;
    names.require("questions for names", 50)?;
    Ok(format!(
        "{proof}; beside it {} visits, {} queries and {} names, none failed",
        visits.done(),
        queries.done(),
        names.done()
    ))
}

fn policer(stage: &Stage) -> Result<String> {
    let branch = stage.site("branch")?;
    let to = branch.at(Family::V4, 873);
    let _server = Server::start(&branch.far, to, answer)?;
    let copies = Tally::default();
    let load = (&stage.host, (3, to, Habit::new(300_000, 100, 50, 100)), &copies);
    beside(stage, &[load], || {
        stage.until_fault();
        let too_much = "limit rate over 2 mbytes/second burst 200 kbytes";
        let address = branch.subnet.v4(SERVER);
        nft::drop_matching(&stage.host, "output", &format!("ip daddr {address} {too_much}"))?;
        stage.until_over();
        let dropped = nft::dropped(&stage.host)?;
        ensure!(dropped.packets >= 50, "the policer dropped {dropped:?}");
        Ok(format!(
            "the policer dropped {} packets; copies: {}",
            dropped.packets,
            copies.text()
        ))
    })
}

fn hanging_consumers(stage: &Stage) -> Result<String> {
    const PRODUCERS: usize = 3;
    let broker = stage.site("broker")?;
    let to = broker.at(Family::V4, 9092);
    let hang = Arc::new(AtomicBool::new(false));
    let _server = Server::start(&broker.far, to, {
        let hang = Arc::clone(&hang);
        move |stream| consume(stream, &hang)
    })?;
    beside(stage, &[], || {
        scope(|scope| {
            let producers = [(); PRODUCERS].map(|()| scope.spawn(|| stage.host.run(|| produce(stage, to))));
            stage.until_fault();
            hang.store(true, Ordering::Relaxed);
            stage.until_over();
            let mut text = String::from("producers waited for the window for");
            for producer in producers {
                let info = producer.join().unwrap_or_else(|_| bail!("a producer panicked"))?;
                ensure!(
                    info.rwnd_limited > 5_000_000,
                    "a producer waited {} µs",
                    info.rwnd_limited
                );
                text += &format!(" {} ms of {},", info.rwnd_limited / 1000, info.busy_time / 1000);
            }
            Ok(text)
        })
    })
}

/// Reads until it hangs; a test that is over takes the connection away.
fn consume(mut stream: TcpStream, hang: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut chunk = vec![0; 1 << 16];
    while !hang.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    sleep(Duration::from_secs(100));
    Ok(())
}

/// Sends messages as long as there is room, and gives the kernel's account.
fn produce(stage: &Stage, to: SocketAddr) -> Result<TcpInfo> {
    let mut stream = open(to, Duration::from_secs(5))?;
    stream.set_write_timeout(Some(Duration::from_millis(300)))?;
    while !stage.is_over() {
        match stream.write(&[7; 20_000]) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error).context("send a message"),
            _ => stage.pause(Duration::from_millis(20)),
        }
    }
    TcpInfo::of(&stream)
}

fn swallowed_syns(stage: &Stage) -> Result<String> {
    let partner = stage.site("partner")?;
    let (open_port, closed_port) = (partner.at(Family::V4, 443), partner.at(Family::V4, 8443));
    let _servers = [
        Server::start(&partner.far, open_port, answer)?,
        Server::start(&partner.far, closed_port, answer)?,
    ];
    let (kept, opened) = (Tally::default(), Tally::default());
    let loads = [
        (&stage.host, (2, open_port, Habit::new(500, 2_000, 2_000, 200)), &kept),
        (
            &stage.host,
            (3, closed_port, Habit::new(500, 2_000, 1, 400).patience(3_000)),
            &opened,
        ),
    ];
    beside(stage, &loads, || {
        stage.until_fault();
        let rules = partner.rules()?;
        rules.swallows.store(8443, Ordering::Relaxed);
        stage.until_over();
        kept.require("the other port of the partner", 20)?;
        let (swallowed, given_up) = (get(&rules.swallowed), opened.failed(ErrorKind::TimedOut));
        ensure!(
            swallowed >= 10 && given_up >= 5,
            "{swallowed} SYNs were swallowed: {}",
            opened.text()
        );
        Ok(format!("{swallowed} SYNs were swallowed; opens: {}", opened.text()))
    })
}

fn wrong_route(stage: &Stage) -> Result<String> {
    let transfer = stage.site("transfer")?;
    let (servers, gateway) = (stage.backup.v4(SERVER), transfer.subnet.v4(SERVER));
    transfer.far.ip(&[format!("address add {servers}/32 dev lo")])?;
    stage
        .host
        .ip(&[format!("route add {}/24 via {gateway}", stage.backup.v4(0))])?;
    let to = (servers, 873).into();
    let _server = Server::start(&transfer.far, to, answer)?;
    let (copies, kept) = (Tally::default(), Tally::default());
    let loads = [
        (&stage.host, (3, to, Habit::new(50_000, 100, 1, 300)), &copies),
        (&stage.host, (1, to, Habit::new(500, 500, 2_000, 200)), &kept),
    ];
    beside(stage, &loads, || {
        stage.until_fault();
        let nobody = transfer.subnet.v4(99);
        stage
            .host
            .ip(&[format!("route replace {}/24 via {nobody}", stage.backup.v4(0))])?;
        stage.until_over();
        let unreachable = copies.failed(ErrorKind::HostUnreachable);
        ensure!(unreachable >= 5, "copies: {}", copies.text());
        let neighbour = stage.host.exec(&format!("ip neigh show {nobody}"))?;
        ensure!(!neighbour.contains("lladdr"), "{nobody} is there: {neighbour}");
        Ok(format!(
            "{nobody} answers nobody; copies: {}; the open connection: {}",
            copies.text(),
            kept.text()
        ))
    })
}

fn small_buffer(stage: &Stage) -> Result<String> {
    let sensors = stage.site("sensors")?;
    let to = sensors.to_host(Family::V4, 8125);
    let socket = stage.host.run(|| Ok(UdpSocket::bind(to)?))?;
    SockRef::from(&socket).set_recv_buffer_size(8192)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let read = AtomicU64::new(0);
    let before = stage.counters()?;
    beside(stage, &[], || {
        scope(|scope| {
            scope.spawn(|| {
                while !stage.is_over() {
                    if socket.recv(&mut [0; 2048]).is_ok() {
                        read.fetch_add(1, Ordering::Relaxed);
                        // It does something with it.
                        sleep(Duration::from_micros(100));
                    }
                }
            });
            scope.spawn(|| inside(&sensors.far, || send_bursts(stage, to)));
            stage.until_fault();
            stage.until_over();
        });
        let lost = stage.counters()?.since(&before, "UdpRcvbufErrors")?;
        ensure!(lost >= 100, "the receive buffer had room for all but {lost}");
        Ok(format!("{} datagrams were read, and {lost} found no room", get(&read)))
    })
}

/// A few datagrams at a time, and in the incident many.
fn send_bursts(stage: &Stage, to: SocketAddr) {
    let Ok(socket) = UdpSocket::bind(("0.0.0.0", 0)) else {
        return;
    };
    while !stage.is_over() {
        let size = if stage.is_faulty() { 60 } else { 4 };
        for _ in 0..size {
            socket.send_to(&[7; 300], to).ok();
        }
        stage.pause(Duration::from_millis(100));
    }
}

fn full_accept_queue(stage: &Stage) -> Result<String> {
    let customers = stage.site("customers")?;
    let to = customers.to_host(Family::V4, SHOP);
    let stuck = Arc::new(AtomicBool::new(false));
    let before_each = {
        let stuck = Arc::clone(&stuck);
        move || {
            if stuck.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(160));
            }
        }
    };
    let _shop = Server::slow(&stage.host, to, 8, before_each, answer)?;
    let orders = Tally::default();
    let load = (
        &customers.far,
        (12, to, Habit::new(300, 2_000, 1, 250).patience(2_000)),
        &orders,
    );
    beside(stage, &[load], || {
        stage.until_fault();
        let before = stage.counters()?;
        stuck.store(true, Ordering::Relaxed);
        stage.until_over();
        let full = stage.counters()?.since(&before, "TcpExtListenOverflows")?;
        ensure!(full >= 20, "the queue was full {full} times");
        stuck.store(false, Ordering::Relaxed);
        Ok(format!("the queue was full {full} times; orders: {}", orders.text()))
    })
}

fn lossy_network(stage: &Stage) -> Result<String> {
    let site = stage.site("site-b")?;
    let to = site.at(Family::V4, 3306);
    let _server = Server::start(&site.far, to, answer)?;
    let (copies, queries) = (Tally::default(), Tally::default());
    let loads = [
        (&stage.host, (2, to, Habit::new(120_000, 200, 100, 50)), &copies),
        (&stage.host, (2, to, Habit::new(300, 5_000, 2_000, 30)), &queries),
    ];
    beside(stage, &loads, || {
        stage.until_fault();
        let (rules, before) = (site.rules()?, stage.counters()?);
        set(&rules.loses, 200);
        set(&rules.holds, 300);
        stage.until_over();
        let again = stage.counters()?.since(&before, "TcpRetransSegs")?;
        let (lost, held) = (get(&rules.lost), get(&rules.held));
        ensure!(
            lost >= 20 && held >= 20 && again >= 20,
            "lost {lost}, held back {held}, sent again {again}"
        );
        Ok(format!(
            "{lost} packets were lost and {held} held back, the host sent {again} segments again; copies: {}, queries: {}",
            copies.text(),
            queries.text()
        ))
    })
}

fn black_hole(stage: &Stage) -> Result<String> {
    let vpn = stage.site("vpn")?;
    let to = vpn.at(Family::V4, 443);
    let _server = Server::start(&vpn.far, to, answer)?;
    let (uploads, requests) = (Tally::default(), Tally::default());
    let loads = [
        (
            &stage.host,
            (3, to, Habit::new(60_000, 100, 1, 500).patience(4_000)),
            &uploads,
        ),
        (&stage.host, (2, to, Habit::new(200, 500, 20, 100)), &requests),
    ];
    beside(stage, &loads, || {
        stage.until_fault();
        let rules = vpn.rules()?;
        rules.longest.store(1400, Ordering::Relaxed);
        stage.until_over();
        requests.require("small requests", 50)?;
        let (lost, hung) = (get(&rules.too_long), uploads.failed(ErrorKind::WouldBlock));
        ensure!(
            lost >= 20 && hung >= 3,
            "{lost} packets were too long; uploads: {}",
            uploads.text()
        );
        Ok(format!(
            "{lost} packets were too long; uploads: {}, small requests: {}",
            uploads.text(),
            requests.text()
        ))
    })
}

fn detour(stage: &Stage) -> Result<String> {
    let west = stage.site("dc-west")?;
    let to = west.at(Family::V4, 9000);
    let _server = Server::start(&west.far, to, answer)?;
    let calls = Tally::default();
    let load = (&stage.host, (4, to, Habit::new(300, 1_000, 100_000, 20)), &calls);
    beside(stage, &[load], || {
        stage.until_fault();
        let mut one = stage.host.run(|| Ok(open(to, Duration::from_secs(5))?))?;
        let before = account(&mut one)?;
        set(&west.rules()?.delay, 40_000);
        stage.until_over();
        let after = account(&mut one)?;
        ensure!(
            before.rtt < 20_000 && after.rtt > 70_000,
            "{} µs before, {} µs after",
            before.rtt,
            after.rtt
        );
        calls.require("calls", 100)?;
        Ok(format!(
            "round trips of {} µs before and {} µs after; calls: {}",
            before.rtt,
            after.rtt,
            calls.text()
        ))
    })
}

/// What the kernel says of a connection after some round trips.
fn account(stream: &mut TcpStream) -> Result<TcpInfo> {
    for _ in 0..40 {
        ask(stream, 300, 1_000)?;
    }
    TcpInfo::of(stream)
}

fn crashing_cache(stage: &Stage) -> Result<String> {
    let cache = stage.site("cache")?;
    let to = cache.at(Family::V4, 6379);
    let life = Arc::new(AtomicU64::new(0));
    let _server = Server::start(&cache.far, to, {
        let life = Arc::clone(&life);
        move |stream| answer_until_the_crash(stream, &life)
    })?;
    let reads = Tally::default();
    let load = (&stage.host, (6, to, Habit::new(100, 4_000, 100_000, 20)), &reads);
    beside(stage, &[load], || {
        stage.until_fault();
        while !stage.is_over() {
            life.fetch_add(1, Ordering::Relaxed);
            stage.pause(Duration::from_secs(2));
        }
        let resets = reads.failed(ErrorKind::ConnectionReset);
        ensure!(resets >= 15, "reads: {}", reads.text());
        Ok(format!("{resets} connections were reset; reads: {}", reads.text()))
    })
}

/// Answers until the server has begun another life, and then resets in the middle of an answer.
fn answer_until_the_crash(mut stream: TcpStream, life: &AtomicU64) -> io::Result<()> {
    let born = get(life);
    while let Some(length) = question(&mut stream)? {
        if get(life) != born {
            stream.write_all(&vec![7; length / 2])?;
            return reset(stream);
        }
        stream.write_all(&vec![7; length])?;
    }
    Ok(())
}
