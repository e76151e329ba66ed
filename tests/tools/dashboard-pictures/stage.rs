//! Traffic worth a picture: a good subnet, one whose loss changes, and one behind a short queue of this host's own.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Result, bail};
use tests::machine::wait::Deadline;
use tests::net::nft;
use tests::net::pair::{Cable, DEVICE, Pair};
use tests::net::subnet::{CLIENT, Family, SERVER, Subnet};
use tests::net::traffic::{Flow, connect, listen, receive, send, send_datagrams, small_udp_receiver};

/// Between two rounds of a sender.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a filter swallows SYNs, in `dc-east`.
const UNANSWERED: u16 = 636;

/// Share of the loss on the way to `branch-7`, in thousandths, in each eighth of the run.
const LOSS: [u32; 8] = [2, 2, 5, 30, 40, 30, 5, 2];

/// Two cables: one that loses packets at the far end, one with a short queue at this end.
#[derive(Debug)]
pub(super) struct Stage {
    lossy: Pair,
    queued: Pair,
}

/// A subnet that the traffic goes to.
struct Line<'stage> {
    pair: &'stage Pair,
    subnet: Subnet,
    port: u16,
    /// Bytes to and from the server in each round.
    load: (usize, usize),
    /// Whether the server reads with a pause.
    slow: bool,
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let cable = Cable {
            subnets: 2,
            one_segment_per_packet: true,
            is_spread: false,
        };
        let (lossy, queued) = (Pair::with(cable)?, Pair::one_segment_per_packet()?);
        queued.client.exec(&format!(
            "tc qdisc add dev {DEVICE} root tbf rate 20mbit burst 5000 limit 30000"
        ))?;
        Ok(Self { lossy, queued })
    }

    /// What the variable of subnets is for the pictures: this machine may have other traffic.
    pub(super) fn chosen(&self) -> String {
        self.subnets().map(|(name, _)| name).join("|")
    }

    fn subnets(&self) -> [(&'static str, Subnet); 3] {
        let Self { lossy, queued } = self;
        [
            ("dc-east", lossy.subnets[0]),
            ("branch-7", lossy.subnets[1]),
            ("office-wifi", queued.subnets[0]),
        ]
    }

    /// A configuration with the names of the subnets.
    pub(super) fn config(&self) -> String {
        let line = |(name, subnet): (&str, Subnet)| format!("  - {{name: {name}, cidrs: [{}/24]}}\n", subnet.v4(0));
        let lines = self.subnets().map(line).concat();
        format!("subnets:\n{lines}collect: {{max_age: 100ms}}\n")
    }

    /// Plays for so many seconds, then goes on until `look` has seen it.
    pub(super) fn play<T>(&self, seconds: u32, look: impl FnOnce() -> Result<T>) -> Result<T> {
        let [east, branch, wifi] = self.subnets().map(|(_, subnet)| subnet);
        let lines = [
            Line {
                pair: &self.lossy,
                subnet: east,
                port: 5432,
                load: (200_000, 60_000),
                slow: false,
            },
            Line {
                pair: &self.lossy,
                subnet: branch,
                port: 443,
                load: (120_000, 30_000),
                slow: false,
            },
            Line {
                pair: &self.queued,
                subnet: wifi,
                port: 443,
                load: (150_000, 10_000),
                slow: false,
            },
            Line {
                pair: &self.queued,
                subnet: wifi,
                port: 8080,
                load: (150_000, 10_000),
                slow: false,
            },
            Line {
                pair: &self.queued,
                subnet: wifi,
                port: 1883,
                load: (60_000, 10_000),
                slow: false,
            },
            Line {
                pair: &self.lossy,
                subnet: branch,
                port: 9092,
                load: (4_000_000, 1_000),
                slow: true,
            },
        ];
        let over = AtomicBool::new(false);
        scope(|scope| {
            let going: Vec<_> = lines.iter().map(|line| scope.spawn(|| line.play(&over))).collect();
            let noise = scope.spawn(|| self.noise(&over));
            let silence = scope.spawn(|| self.silence(&over));
            let seen = self.direct(seconds, branch).and_then(|()| look());
            over.store(true, Ordering::Relaxed);
            for player in going.into_iter().chain([noise, silence]) {
                player.join().unwrap_or_else(|_| bail!("a player panicked"))?;
            }
            seen
        })
    }

    /// Changes the loss as time goes on.
    fn direct(&self, seconds: u32, branch: Subnet) -> Result<()> {
        for loss in LOSS {
            let from = branch.v4(CLIENT);
            nft::load(
                &self.lossy.server,
                &format!(
                    "flush ruleset\n\
                     table inet loss {{\n\
                     \x20 chain lossy {{\n\
                     \x20   type filter hook input priority 0; policy accept;\n\
                     \x20   ip saddr {from} tcp dport {{ 443, 9092 }} meta length > 500 numgen random mod 1000 < {loss} drop\n\
                     \x20   ip saddr {from} tcp dport 443 tcp flags & (syn | ack) == syn numgen random mod 1000 < {loss} drop\n\
                     \x20   udp dport 4001 drop\n\
                     \x20   tcp dport {UNANSWERED} drop\n\
                     \x20 }}\n\
                     }}\n"
                ),
            )?;
            sleep(Duration::from_secs(seconds.into()) / 8);
        }
        Ok(())
    }

    /// Drops that have nothing to do with the connections.
    fn noise(&self, over: &AtomicBool) -> Result<()> {
        let to = |port| self.lossy.to(Family::V4, port);
        for round in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            for (port, datagrams) in [(4001, 6), (9, 3)] {
                send_datagrams(&self.lossy.client, to(port)?, datagrams, 200)?;
            }
            let small = small_udp_receiver(&self.lossy.server, to(4000)?)?;
            send_datagrams(&self.lossy.client, to(4000)?, 15, 1000)?;
            drop(small);
            if round % 16 == 0 {
                // Nobody listens there.
                connect(&self.lossy.client, to(8444)?).map(drop).ok();
            }
            sleep(Duration::from_millis(500));
        }
        Ok(())
    }
}

impl Stage {
    /// Tries to open connections that nobody answers.
    fn silence(&self, over: &AtomicBool) -> Result<()> {
        let to = self.lossy.to(Family::V4, UNANSWERED)?;
        while !over.load(Ordering::Relaxed) {
            // That it fails is what is wanted.
            let open = || Ok(TcpStream::connect_timeout(&to, Duration::from_millis(2500)).is_ok());
            self.lossy.client.run(open)?;
            sleep(PAUSE);
        }
        Ok(())
    }
}

impl Line<'_> {
    /// A connection after the other, each with some rounds.
    fn play(&self, over: &AtomicBool) -> Result<()> {
        let address = (self.subnet.address(Family::V4, SERVER), self.port).into();
        let listener = listen(&self.pair.server, address)?;
        while !over.load(Ordering::Relaxed) {
            let flow = Flow::through(&listener, self.pair, address)?;
            let life = Deadline::after(Duration::from_secs(8));
            while !life.passed() && !over.load(Ordering::Relaxed) {
                self.round(&flow)?;
                sleep(PAUSE);
            }
            flow.finish()?;
        }
        Ok(())
    }

    fn round(&self, flow: &Flow) -> Result<()> {
        let (to_server, to_client) = self.load;
        if !self.slow {
            return flow.exchange(to_server, to_client);
        }
        scope(|scope| {
            let sender = scope.spawn(|| send(&flow.client, to_server));
            for _ in 0..4 {
                sleep(Duration::from_millis(400));
                receive(&flow.server, to_server / 4)?;
            }
            sender.join().unwrap_or_else(|_| bail!("the sender panicked"))
        })
    }
}
