//! The host that is recorded, and who it talks to. It is one end of each cable: the other ends have no name in the configuration, and
//! what they see is left out. So what is dropped there is what the network loses.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tests::machine::cgroups::{Cgroup, Cgroups};
use tests::machine::wait::Deadline;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::{CLIENT, Family, SERVER, Subnet};
use tests::net::traffic::{Flow, listen};
use tests::net::way::Way;

use crate::incident;

/// How long a connection lives.
const LIFE: Duration = Duration::from_secs(40);

/// Which end of a line the recorded host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// A line as [`LINES`] has it.
type Line = (&'static str, End, u16, Family, (usize, usize), u64, &'static str);

/// Who it talks to: subnet, which end the recorded host is, port, family, bytes to and from the server in each round, pause between
/// rounds in milliseconds, and the program.
const LINES: [Line; 11] = [
    (
        "office-wifi",
        End::Server,
        443,
        Family::V4,
        (2_000, 60_000),
        300,
        "storefront",
    ),
    (
        "office-wifi",
        End::Server,
        443,
        Family::V6,
        (1_000, 20_000),
        500,
        "storefront",
    ),
    (
        "customers",
        End::Server,
        443,
        Family::V4,
        (3_000, 90_000),
        150,
        "storefront",
    ),
    (
        "customers",
        End::Server,
        80,
        Family::V4,
        (500, 3_000),
        400,
        "storefront",
    ),
    (
        "branch-7",
        End::Client,
        9092,
        Family::V4,
        (120_000, 2_000),
        200,
        "order-events",
    ),
    (
        "branch-7",
        End::Client,
        443,
        Family::V4,
        (20_000, 5_000),
        300,
        "order-events",
    ),
    ("dc-west", End::Client, 5432, Family::V4, (4_000, 40_000), 100, "orders"),
    ("dc-west", End::Client, 6379, Family::V4, (600, 2_000), 50, "orders"),
    (
        "warehouse",
        End::Client,
        8080,
        Family::V4,
        (30_000, 3_000),
        250,
        "stock-sync",
    ),
    (
        "partner-api",
        End::Client,
        443,
        Family::V4,
        (3_000, 12_000),
        400,
        "payments",
    ),
    (
        "billing",
        End::Client,
        8080,
        Family::V4,
        (2_000, 6_000),
        500,
        "payments",
    ),
];

/// Subnets behind a cable of their own, and what the shapers of both its ends let through.
const CABLES: [(&str, &str); 4] = [
    ("office-wifi", "60mbit"),
    ("branch-7", "50mbit"),
    ("warehouse", "40mbit"),
    ("billing", "40mbit"),
];

/// Subnets that are farther away, and how many milliseconds a packet takes there.
const WAYS: [(&str, u64); 3] = [("customers", 18), ("dc-west", 6), ("partner-api", 31)];

/// All who are there.
pub(crate) struct Scene {
    cables: Vec<Pair>,
    ways: Vec<Way>,
    cgroups: Cgroups,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let cables = CABLES.map(|(_, rate)| {
            let pair = Pair::one_segment_per_packet()?;
            // Round trips of milliseconds; a cable alone has some microseconds.
            for end in [&pair.client, &pair.server] {
                end.exec(&format!(
                    "tc qdisc add dev {DEVICE} root tbf rate {rate} burst 6000 limit 900000"
                ))?;
            }
            Ok(pair)
        });
        Ok(Self {
            cables: cables.into_iter().collect::<Result<_>>()?,
            ways: WAYS
                .iter()
                .map(|(_, delay)| Way::new(Duration::from_millis(*delay)))
                .collect::<Result<_>>()?,
            cgroups: Cgroups::of_threads()?,
        })
    }

    /// The namespaces of a subnet, and its addresses.
    pub(crate) fn cable(&self, name: &str) -> Result<(&Pair, Subnet)> {
        let place = CABLES.iter().position(|(own, _)| *own == name);
        let cable = place.and_then(|place| self.cables.get(place));
        let pair = match cable {
            Some(pair) => pair,
            None => &self.way(name)?.pair,
        };
        Ok((pair, pair.subnet()?))
    }

    /// The way to a subnet that is farther away.
    pub(crate) fn way(&self, name: &str) -> Result<&Way> {
        let place = WAYS.iter().position(|(own, _)| *own == name);
        let way = place.and_then(|place| self.ways.get(place));
        way.with_context(|| format!("no subnet is called {name}"))
    }

    /// A server's address in a subnet.
    pub(crate) fn server(&self, name: &str, port: u16) -> Result<SocketAddr> {
        let (_, subnet) = self.cable(name)?;
        Ok((subnet.address(Family::V4, SERVER), port).into())
    }

    /// The cgroup of a program of the recorded host.
    pub(crate) fn program(&self, name: &str) -> Result<Cgroup> {
        self.cgroups.make(&format!("{name}.service"))
    }

    /// A configuration with the names of the far ends.
    pub(crate) fn config(&self) -> String {
        let mut subnets = String::new();
        let cables = CABLES.iter().map(|(name, _)| *name);
        for name in cables.chain(WAYS.iter().map(|(name, _)| *name)) {
            let serves = LINES.iter().any(|(own, end, ..)| *own == name && *end == End::Server);
            let far = if serves { CLIENT } else { SERVER };
            if let Ok((_, subnet)) = self.cable(name) {
                let (v4, v6) = (subnet.v4(far), subnet.v6(far));
                subnets += &format!("  - {{name: {name}, cidrs: [{v4}/32, \"{v6}/128\"]}}\n");
            }
        }
        format!(
            "subnets:\n{subnets}\
             workloads: {{source: cgroup}}\n\
             tcp: {{memory: true}}\n\
             labels:\n\
             \x20 tcp: [subnet, app_protocol, role, workload]\n\
             \x20 drops: [location, reason, class, protocol, direction, subnet, app_protocol, workload]\n"
        )
    }

    /// Plays for this long, and then until `is_over`.
    pub(crate) fn play(&self, length: Duration, mut is_over: impl FnMut() -> Result<bool>) -> Result<()> {
        let over = AtomicBool::new(false);
        scope(|scope| {
            for line in 0..LINES.len() {
                let over = &over;
                scope.spawn(move || {
                    if let Err(error) = self.line(line, over) {
                        eprintln!("a line ended: {error:#}");
                    }
                });
            }
            let of_incident = scope.spawn(|| incident::happen(self, length, &over));
            let mut waited = Ok(());
            loop {
                match is_over() {
                    Ok(false) => sleep(Duration::from_millis(500)),
                    Ok(true) => break,
                    Err(error) => {
                        waited = Err(error);
                        break;
                    }
                }
            }
            over.store(true, Ordering::Relaxed);
            of_incident.join().unwrap_or_else(|_| bail!("the incident panicked"))?;
            waited
        })
    }

    /// A connection after the other, each with many rounds.
    fn line(&self, place: usize, over: &AtomicBool) -> Result<()> {
        let (name, _, port, family, (to_server, to_client), pause, program) = LINES[place];
        let (pair, subnet) = self.cable(name)?;
        let to = (subnet.address(family, SERVER), port).into();
        self.program(program)?.run(|| {
            let listener = listen(&pair.server, to)?;
            let mut round = place as u64;
            while !over.load(Ordering::Relaxed) {
                // Nobody answers for a while in an incident.
                let Ok(flow) = Flow::through(&listener, pair, to) else {
                    sleep(Duration::from_secs(1));
                    continue;
                };
                let life = Deadline::after(LIFE / 2 + LIFE / 10 * u32::try_from(place % 6)?);
                while !life.passed() && !over.load(Ordering::Relaxed) {
                    // Some rounds are larger, and some pauses longer, than others; the same in each run.
                    round += 1;
                    let part = usize::try_from(round * 7 % 11)?;
                    if flow
                        .exchange(to_server * (part + 3) / 8, to_client * (part + 3) / 8)
                        .is_err()
                    {
                        break;
                    }
                    sleep(Duration::from_millis(pause * (round * 5 % 7 + 2) / 5));
                }
                flow.finish().ok();
            }
            Ok(())
        })
    }
}
