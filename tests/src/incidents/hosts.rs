//! Hosts that work: what they do all day, which no rule may find fault with.

use std::net::UdpSocket;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::actions::page;
use super::{Ground, Place, joined};
use crate::machine::wait::Deadline;
use crate::net::pair::DEVICE;
use crate::net::subnet::Family;
use crate::net::traffic::{Flow, connect, listen, receive, send};

/// A host that works.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// What it is, in words.
    pub name: &'static str,
    ground: Ground,
    work: fn(&Place, Deadline) -> Result<()>,
}

impl Host {
    /// Makes the place where it works.
    pub fn place(&self) -> Result<Place> {
        self.ground.place()
    }

    /// Works until then.
    pub fn work(&self, place: &Place, end: Deadline) -> Result<()> {
        (self.work)(place, end).with_context(|| self.name)
    }
}

/// The hosts.
pub static HOSTS: [Host; 5] = [
    // Short connections, some kept; now and then somebody asks for a port that nobody has.
    Host {
        name: "a web server",
        ground: Ground::Cable,
        work: |place, end| {
            let pair = place.pair()?;
            let to = pair.to(Family::V4, 80)?;
            let listener = listen(&pair.server, to)?;
            let kept = Flow::open(pair, Family::V6, 443)?;
            for round in 0_u32.. {
                if end.passed() {
                    break;
                }
                page(pair, &listener, to)?;
                kept.exchange(500, 30_000)?;
                if round % 400 == 399 {
                    let closed = pair.to(Family::V4, 8080)?;
                    let _refused = pair.client.run(|| Ok(std::net::TcpStream::connect(closed).is_err()))?;
                }
                sleep(Duration::from_millis(20));
            }
            kept.finish().map(drop)
        },
    },
    // Many connections that stay open, of which each asks and waits.
    Host {
        name: "a database",
        ground: Ground::Way(1),
        work: |place, end| {
            let pair = place.pair()?;
            let to = pair.to(Family::V4, 5432)?;
            let listener = listen(&pair.server, to)?;
            let flows = (0..20)
                .map(|_| Flow::through(&listener, pair, to))
                .collect::<Result<Vec<_>>>()?;
            while !end.passed() {
                for flow in &flows {
                    flow.exchange(200, 3_000)?;
                }
                sleep(Duration::from_millis(100));
            }
            flows.iter().try_for_each(|flow| flow.finish().map(drop))
        },
    },
    // A shaper with room enough, which delays much, and a transfer that fills it.
    Host {
        name: "a backup",
        ground: Ground::Cable,
        work: |place, end| {
            let pair = place.pair()?;
            pair.client.exec(&format!(
                "tc qdisc add dev {DEVICE} root tbf rate 40mbit burst 30000 limit 8000000"
            ))?;
            let flow = Flow::open(pair, Family::V4, 873)?;
            while !end.passed() {
                flow.exchange(1_000_000, 1_000)?;
            }
            flow.finish().map(drop)
        },
    },
    // Questions and answers in datagrams, and a log that is written.
    Host {
        name: "a resolver",
        ground: Ground::Cable,
        work: |place, end| {
            let pair = place.pair()?;
            let to = pair.to(Family::V4, 53)?;
            let server = pair.server.run(|| Ok(UdpSocket::bind(to)?))?;
            let client = pair.client.run(|| Ok(UdpSocket::bind(("0.0.0.0", 0))?))?;
            for socket in [&server, &client] {
                socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            }
            let log = Flow::open(pair, Family::V4, 514)?;
            while !end.passed() {
                for _ in 0..10 {
                    client.send_to(&[1; 40], to)?;
                    let (_, from) = server.recv_from(&mut [0; 512]).context("a question")?;
                    server.send_to(&[2; 300], from)?;
                    client.recv_from(&mut [0; 512]).context("an answer")?;
                }
                log.exchange(1_500, 0)?;
                sleep(Duration::from_millis(30));
            }
            log.finish().map(drop)
        },
    },
    // Phones, far away: a long way that loses a little, and connections that come and go.
    Host {
        name: "a server of phones",
        ground: Ground::Way(40),
        work: |place, end| {
            let pair = place.pair()?;
            place.way()?.lose_one_in(1_500);
            thread::scope(|scope| {
                let phones: Vec<_> = (0..6)
                    .map(|number| {
                        scope.spawn(move || {
                            let to = pair.to(Family::V4, 8443 + number)?;
                            let listener = listen(&pair.server, to)?;
                            while !end.passed() {
                                let client = connect(&pair.client, to)?;
                                let (server, _) = listener.accept().context("accept")?;
                                for _ in 0..10 {
                                    send(&client, 4_000)?;
                                    receive(&server, 4_000)?;
                                    send(&server, 1_000)?;
                                    receive(&client, 1_000)?;
                                    sleep(Duration::from_millis(150));
                                }
                            }
                            Ok(())
                        })
                    })
                    .collect();
                phones.into_iter().try_for_each(joined)
            })
        },
    },
];
