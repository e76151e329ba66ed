//! The host and the far sites of one case, and its three times: ordinary work, the incident, the end.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tests::kernel::counters::Counters;
use tests::machine::wait::moment;
use tests::net::namespace::Namespace;
use tests::net::subnet::{CLIENT, SERVER, Subnet};

use crate::blind::site::{Road, Site};

/// The port of the host's shop, and its name in the configuration.
pub(super) const SHOP: u16 = 18_080;

/// All subnets that the configuration names.
const SITES: [(&str, Road); 14] = [
    ("office", Road::Cable),
    ("database", Road::Cable),
    ("resolver", Road::Cable),
    ("branch", Road::Cable),
    ("broker", Road::Cable),
    ("partner", Road::Way(8_000)),
    ("transfer", Road::Cable),
    ("sensors", Road::Cable),
    ("customers", Road::Cable),
    ("site-b", Road::Way(12_000)),
    ("vpn", Road::Way(10_000)),
    ("dc-west", Road::Way(500)),
    ("cache", Road::Cable),
    ("mobile", Road::Way(25_000)),
];

/// Behind the gateway of `transfer`.
pub(super) const BACKUP: &str = "backup";

const WORK: u8 = 0;
const FAULT: u8 = 1;
const OVER: u8 = 2;

/// How often a thread looks at the time.
const STEP: Duration = Duration::from_millis(20);

/// The stage of one case.
#[derive(Debug)]
pub(super) struct Stage {
    /// The host that the exporter is meant to watch.
    pub(super) host: Namespace,
    /// Of the servers behind the gateway.
    pub(super) backup: Subnet,
    sites: Vec<Site>,
    subnets: Vec<(&'static str, Subnet)>,
    time: AtomicU8,
    fault: OnceLock<Instant>,
}

impl Stage {
    /// The host and these sites.
    pub(super) fn new(wanted: &[&str]) -> Result<Self> {
        let host = Namespace::new()?;
        let (mut sites, mut subnets) = (Vec::new(), Vec::new());
        for (name, road) in SITES {
            let subnet = Subnet::take()?;
            subnets.push((name, subnet));
            if wanted.contains(&name) {
                sites.push(Site::new(name, road, subnet, &host)?);
            }
        }
        Ok(Self {
            host,
            backup: Subnet::take()?,
            sites,
            subnets,
            time: AtomicU8::new(WORK),
            fault: OnceLock::new(),
        })
    }

    /// A configuration with the names of the far ends, and one name for the host as they see it.
    pub(super) fn config(&self) -> String {
        let mut text = String::from("subnets:\n");
        let named = self.subnets.iter().copied().chain([(BACKUP, self.backup)]);
        let mut own = Vec::new();
        for (name, subnet) in named {
            let (v4, v6) = (subnet.v4(SERVER), subnet.v6(SERVER));
            // Writing to a string cannot fail.
            writeln!(text, "  - {{name: {name}, cidrs: [{v4}/32, \"{v6}/128\"]}}").ok();
            own.push(format!("{}/32, \"{}/128\"", subnet.v4(CLIENT), subnet.v6(CLIENT)));
        }
        format!(
            "{text}  - {{name: this-host, cidrs: [{}]}}\napp_protocols: [{{name: shop, ports: [{SHOP}]}}]\n",
            own.join(", ")
        )
    }

    /// A site by its name.
    pub(super) fn site(&self, name: &str) -> Result<&Site> {
        let site = self.sites.iter().find(|site| site.name == name);
        site.with_context(|| format!("the case does not ask for {name}"))
    }

    /// What the host's network stack counted.
    pub(super) fn counters(&self) -> Result<Counters> {
        Counters::read(&self.host)
    }

    /// The incident begins, unless the traffic has ended by an error.
    pub(super) fn begin_fault(&self) {
        if !self.is_over() {
            self.time.store(FAULT, Ordering::Relaxed);
        }
        self.fault.get_or_init(moment);
    }

    /// When the incident began; now, if it has not.
    pub(super) fn fault(&self) -> Instant {
        self.fault.get().copied().unwrap_or_else(moment)
    }

    /// All traffic ends.
    pub(super) fn end(&self) {
        self.time.store(OVER, Ordering::Relaxed);
    }

    /// Whether the incident goes on.
    pub(super) fn is_faulty(&self) -> bool {
        self.time.load(Ordering::Relaxed) == FAULT
    }

    /// Whether all traffic shall end.
    pub(super) fn is_over(&self) -> bool {
        self.time.load(Ordering::Relaxed) == OVER
    }

    /// Waits until the incident begins.
    pub(super) fn until_fault(&self) {
        while self.time.load(Ordering::Relaxed) == WORK {
            sleep(STEP);
        }
    }

    /// Waits until all traffic shall end.
    pub(super) fn until_over(&self) {
        while !self.is_over() {
            sleep(STEP);
        }
    }

    /// Waits for so long, or until all traffic shall end.
    pub(super) fn pause(&self, length: Duration) {
        let mut left = length;
        while !left.is_zero() && !self.is_over() {
            let step = left.min(STEP);
            sleep(step);
            left -= step;
        }
    }
}
