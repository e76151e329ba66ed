//! Five healthy hosts with work of which nothing is wrong.

use std::io::{self, ErrorKind, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, ensure};
use socket2::{SockRef, TcpKeepalive};
use tests::net::namespace::{Namespace, enter};
use tests::net::subnet::Family;

use crate::blind::Case;
use crate::blind::stage::Stage;
use crate::blind::talk::{
    Habit, Server, Tally, answer, answer_datagrams, ask, begin_to_ask, clients, inside, look_up, open, question, reset,
};

/// Each works for both in all, in seconds; to the exporter they are one.
const LEAD: u64 = 15;
const LENGTH: u64 = 50;

pub(super) const HOSTS: &[Case] = &[
    Case {
        title: "a web server with short connections, near and far, of which some visitors leave before the page is whole",
        expected: None,
        sites: &["office", "customers", "mobile"],
        lead: LEAD,
        length: LENGTH,
        play: web_server,
    },
    Case {
        title: "bulk transfers in both directions, near and far",
        expected: None,
        sites: &["branch", "site-b"],
        lead: LEAD,
        length: LENGTH,
        play: bulk,
    },
    Case {
        title: "a resolver of names, some of whose questions are answered after the client has left",
        expected: None,
        sites: &["office", "resolver", "dc-west"],
        lead: LEAD,
        length: LENGTH,
        play: resolver,
    },
    Case {
        title: "a database with connections that live long, idle with keep-alive probes, or half-closed",
        expected: None,
        sites: &["office", "dc-west"],
        lead: LEAD,
        length: LENGTH,
        play: database,
    },
    Case {
        title: "a busy proxy whose idle pooled connections are reset, whose clients cancel, and whose health is checked",
        expected: None,
        sites: &["office", "customers", "cache"],
        lead: LEAD,
        length: LENGTH,
        play: proxy,
    },
];

/// Works in a namespace again and again, with a pause after each time, until the stage is over.
fn again(stage: &Stage, from: &Namespace, pause: u64, mut work: impl FnMut(u64) + Send) {
    inside(from, || {
        let mut number = 0;
        while !stage.is_over() {
            number += 1;
            work(number);
            stage.pause(Duration::from_millis(pause));
        }
    });
}

/// Asks for much, reads a part of it, and leaves.
fn cancel(to: SocketAddr) -> io::Result<()> {
    let mut stream = open(to, Duration::from_secs(10))?;
    begin_to_ask(&mut stream, 300, 60_000)?;
    sleep(Duration::from_millis(30));
    reset(stream)
}

fn web_server(stage: &Stage) -> Result<String> {
    let (office, customers, mobile) = (stage.site("office")?, stage.site("customers")?, stage.site("mobile")?);
    let any = (Ipv6Addr::UNSPECIFIED, 443).into();
    let _server = Server::start(&stage.host, any, answer)?;
    let (near, far, left) = (Tally::default(), Tally::default(), Tally::default());
    let visit = Habit::new(500, 12_000, 2, 50);
    scope(|scope| {
        clients(
            scope,
            stage,
            &office.far,
            (3, office.to_host(Family::V4, 443), visit),
            &near,
        );
        clients(
            scope,
            stage,
            &customers.far,
            (3, customers.to_host(Family::V6, 443), visit),
            &near,
        );
        clients(
            scope,
            stage,
            &mobile.far,
            (4, mobile.to_host(Family::V4, 443), visit),
            &far,
        );
        scope.spawn(|| {
            again(stage, &mobile.far, 1_500, |_| {
                left.note(cancel(mobile.to_host(Family::V4, 443)));
            });
        });
        stage.until_over();
    });
    near.require("visits from near", 200)?;
    far.require("visits from afar", 50)?;
    left.require("visitors that left", 5)?;
    Ok(format!(
        "{} visits from near, {} from afar, {} visitors left early",
        near.done(),
        far.done(),
        left.done()
    ))
}

fn bulk(stage: &Stage) -> Result<String> {
    let (branch, site) = (stage.site("branch")?, stage.site("site-b")?);
    let (to_branch, to_site) = (branch.at(Family::V4, 873), site.at(Family::V4, 873));
    let _servers = [
        Server::start(&branch.far, to_branch, answer)?,
        Server::start(&site.far, to_site, answer)?,
    ];
    let copies = [(); 4].map(|()| Tally::default());
    let [up, down, far_up, far_down] = &copies;
    scope(|scope| {
        let near = |length, answer| (1, to_branch, Habit::new(length, answer, 10, 300));
        clients(scope, stage, &stage.host, near(8_000_000, 100), up);
        clients(scope, stage, &stage.host, near(100, 8_000_000), down);
        let far = |length, answer| (1, to_site, Habit::new(length, answer, 10, 100));
        clients(scope, stage, &stage.host, far(400_000, 100), far_up);
        clients(scope, stage, &stage.host, far(100, 400_000), far_down);
        stage.until_over();
    });
    for tally in &copies {
        tally.require("copies", 15)?;
    }
    let done = copies.each_ref().map(Tally::done);
    Ok(format!("copies near up and down, far up and down: {done:?}"))
}

fn resolver(stage: &Stage) -> Result<String> {
    let (office, near, far) = (stage.site("office")?, stage.site("resolver")?, stage.site("dc-west")?);
    let of_host = office.to_host(Family::V4, 53);
    let (first, second) = (near.at(Family::V4, 53), far.at(Family::V6, 53));
    let own = stage.host.run(|| Ok(UdpSocket::bind(of_host)?))?;
    let upstream = [
        near.far.run(|| Ok(UdpSocket::bind(first)?))?,
        far.far.run(|| Ok(UdpSocket::bind(second)?))?,
    ];
    let (asked, forwarded, late) = (Tally::default(), Tally::default(), Tally::default());
    scope(|scope| {
        scope.spawn(|| answer_datagrams(stage, &own, 200, 0));
        scope.spawn(|| answer_datagrams(stage, &upstream[0], 200, 60));
        scope.spawn(|| answer_datagrams(stage, &upstream[1], 400, 0));
        for _ in 0..2 {
            scope.spawn(|| {
                again(stage, &office.far, 15, |_| {
                    asked.note(look_up(of_host, Duration::from_secs(5)));
                });
            });
        }
        scope.spawn(|| {
            again(stage, &stage.host, 25, |_| {
                match look_up(first, Duration::from_millis(300)) {
                    // The resolver asks another one, and the answer comes to a socket that is gone.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => late.note(Ok(())),
                    other => forwarded.note(other),
                };
                forwarded.note(look_up(second, Duration::from_secs(5)));
            });
        });
        stage.until_over();
    });
    asked.require("questions of the office", 300)?;
    forwarded.require("questions to others", 200)?;
    late.require("late answers", 2)?;
    Ok(format!(
        "{} questions of the office, {} to others, {} answered too late",
        asked.done(),
        forwarded.done(),
        late.done()
    ))
}

fn database(stage: &Stage) -> Result<String> {
    /// Connections of pools that nobody uses at the moment.
    const IDLE: usize = 20;
    let (office, west) = (stage.site("office")?, stage.site("dc-west")?);
    let (near, far) = (office.to_host(Family::V4, 5432), west.to_host(Family::V4, 5432));
    let _servers = [
        Server::start(&stage.host, near, answer)?,
        Server::start(&stage.host, far, answer)?,
    ];
    let (queries, remote, dumps) = (Tally::default(), Tally::default(), Tally::default());
    let idle: Vec<TcpStream> = office.far.run(|| {
        let open_idle = |_| {
            let stream = open(near, Duration::from_secs(10))?;
            let probes = TcpKeepalive::new()
                .with_time(Duration::from_secs(4))
                .with_interval(Duration::from_secs(1));
            SockRef::from(&stream).set_tcp_keepalive(&probes)?;
            Ok(stream)
        };
        (0..IDLE).map(open_idle).collect()
    })?;
    scope(|scope| {
        let talk = Habit::new(300, 4_000, 100_000, 25);
        clients(scope, stage, &office.far, (4, near, talk), &queries);
        clients(scope, stage, &west.far, (3, far, talk), &remote);
        scope.spawn(|| {
            again(stage, &west.far, 700, |_| {
                dumps.note(dump(far));
            });
        });
        stage.until_over();
    });
    queries.require("queries", 500)?;
    remote.require("queries from afar", 300)?;
    dumps.require("dumps", 10)?;
    for stream in &idle {
        let error = stream.take_error()?;
        ensure!(error.is_none(), "an idle connection ended: {error:?}");
    }
    Ok(format!(
        "{IDLE} idle connections stayed, {} queries, {} from afar, {} half-closed dumps",
        queries.done(),
        remote.done(),
        dumps.done()
    ))
}

/// Asks, says that it will ask no more, and reads a large answer.
fn dump(to: SocketAddr) -> io::Result<()> {
    let mut stream = open(to, Duration::from_secs(10))?;
    begin_to_ask(&mut stream, 100, 300_000)?;
    stream.shutdown(Shutdown::Write)?;
    let length = io::copy(&mut stream, &mut io::sink())?;
    if length == 300_000 {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

fn proxy(stage: &Stage) -> Result<String> {
    let (office, customers, upstream) = (stage.site("office")?, stage.site("customers")?, stage.site("cache")?);
    let to = upstream.at(Family::V4, 8080);
    let _upstream = Server::start(&upstream.far, to, close_idle)?;
    let pool = Arc::new(Pool::new(stage.host.name(), to));
    let (of_office, of_customers) = (office.to_host(Family::V4, 443), customers.to_host(Family::V4, 443));
    let front = |at| {
        let pool = Arc::clone(&pool);
        Server::start(&stage.host, at, move |stream| pass_on(stream, &pool))
    };
    let _fronts = [front(of_office)?, front(of_customers)?];
    let (requests, bursts, cancelled, checks) =
        (Tally::default(), Tally::default(), Tally::default(), Tally::default());
    scope(|scope| {
        clients(
            scope,
            stage,
            &office.far,
            (3, of_office, Habit::new(400, 6_000, 5, 60)),
            &requests,
        );
        // Many at once need many connections to the upstream, which idle afterwards.
        for _ in 0..10 {
            scope.spawn(|| {
                again(stage, &customers.far, 4_000, |_| {
                    let request = || ask(&mut open(of_customers, Duration::from_secs(10))?, 300, 3_000);
                    bursts.note(request());
                });
            });
        }
        scope.spawn(|| {
            again(stage, &customers.far, 1_000, |_| {
                cancelled.note(cancel(of_customers));
            });
        });
        scope.spawn(|| {
            again(stage, &office.far, 500, |_| {
                checks.note(open(of_office, Duration::from_secs(5)).and_then(reset));
            });
        });
        stage.until_over();
    });
    requests.require("requests", 300)?;
    bursts.require("requests at once", 30)?;
    cancelled.require("cancelled requests", 10)?;
    checks.require("health checks", 20)?;
    let found_reset = pool.found_reset();
    ensure!(found_reset >= 3, "{found_reset} pooled connections had been reset");
    Ok(format!(
        "{} requests and {} at once, {} cancelled, {} health checks, {found_reset} pooled connections found reset",
        requests.done(),
        bursts.done(),
        cancelled.done(),
        checks.done()
    ))
}

/// Answers, and resets a connection on which nobody has asked for two seconds.
fn close_idle(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    loop {
        match question(&mut stream) {
            Ok(Some(length)) => stream.write_all(&vec![7; length])?,
            Ok(None) => return Ok(()),
            Err(_) => return reset(stream),
        }
    }
}

/// Connections to the upstream that are open and free.
struct Pool {
    host: String,
    to: SocketAddr,
    free: Mutex<(Vec<TcpStream>, u64)>,
}

impl Pool {
    fn new(host: &str, to: SocketAddr) -> Self {
        Self {
            host: host.to_owned(),
            to,
            free: Mutex::default(),
        }
    }

    fn found_reset(&self) -> u64 {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Asks over a free connection; over the next one if that was reset meanwhile, and over a new one if none is free.
    fn ask(&self, length: usize, answer: usize) -> io::Result<()> {
        loop {
            let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).0.pop();
            let is_new = free.is_none();
            let mut stream = match free {
                Some(stream) => stream,
                None => open(self.to, Duration::from_secs(10))?,
            };
            let asked = ask(&mut stream, length, answer);
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            match asked {
                Ok(()) => {
                    free.0.push(stream);
                    return Ok(());
                }
                Err(error) if is_new => return Err(error),
                Err(_) => free.1 += 1,
            }
        }
    }
}

/// Passes each question of a client on, and answers with what the upstream said.
fn pass_on(mut stream: TcpStream, pool: &Pool) -> io::Result<()> {
    // The thread lives as long as the client.
    enter(&pool.host).map_err(io::Error::other)?;
    while let Some(length) = question(&mut stream)? {
        pool.ask(200, length)?;
        stream.write_all(&vec![7; length])?;
    }
    Ok(())
}
