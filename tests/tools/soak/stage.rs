//! A cable for each kind of traffic, so that the counters of its namespaces are those of that kind, and the configurations that
//! name what lies on them. Where there are many events, packets are spread over processors, so that interrupts land in programs.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::Result;
use tests::net::nft;
use tests::net::pair::{Cable, Pair};
use tests::net::subnet::Family;

pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Port of the first process that holds flows; the next has the next.
pub(crate) const HOLD: u16 = 20_000;
/// As many processes can hold flows.
pub(crate) const HOLDERS: u16 = 400;
const FIRST_AFTER_HOLD: u16 = HOLD + HOLDERS;
pub(crate) const LOSSY: [u16; 4] = [7001, 7002, 7003, 7004];
pub(crate) const SHORT: [u16; 4] = [7101, 7102, 7103, 7104];
pub(crate) const RESET: [u16; 2] = [7201, 7202];
/// Nobody listens on the first, a filter swallows what comes to the second and turns away what comes to the third.
pub(crate) const CLOSED: u16 = 7301;
pub(crate) const SILENT: u16 = 7302;
pub(crate) const AWAY: u16 = 7303;
/// Datagrams: nobody there, filtered, more than the buffer takes, filtered by the sender.
pub(crate) const NOBODY: u16 = 9;
pub(crate) const FILTERED: u16 = 4000;
pub(crate) const NARROW: u16 = 4001;
pub(crate) const OWN: u16 = 4002;

/// How many configurations there are.
pub(crate) const VARIANTS: usize = 4;

/// All cables.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Flows that stay open.
    pub(crate) live: Pair,
    /// Long and short transfers, of which packets get lost both ways.
    pub(crate) lossy: Pair,
    /// Connections that end in order.
    pub(crate) short: Pair,
    /// Connections that are reset.
    pub(crate) reset: Pair,
    /// Connections that never come about.
    pub(crate) failing: Pair,
    /// Datagrams that are dropped.
    pub(crate) storm: Pair,
}

impl Stage {
    pub(crate) fn new() -> Result<Self> {
        // A packet is a segment there, so that the filter counts segments.
        let lossy = Pair::with(Cable {
            one_segment_per_packet: true,
            is_spread: true,
            ..Cable::default()
        })?;
        for namespace in [&lossy.client, &lossy.server] {
            nft::drop_matching(namespace, "prerouting", "meta l4proto tcp numgen random mod 1000 < 15")?;
        }
        let failing = Pair::new()?;
        failing.client.set("net.ipv4.tcp_syn_retries=1")?;
        nft::load(&failing.server, &refusals())?;
        let storm = Pair::spread()?;
        nft::drop_matching(&storm.server, "input", &format!("udp dport {FILTERED}"))?;
        nft::drop_matching(&storm.client, "output", &format!("udp dport {OWN}"))?;
        Ok(Self {
            live: Pair::new()?,
            lossy,
            short: Pair::spread()?,
            reset: Pair::spread()?,
            failing,
            storm,
        })
    }

    /// Every cable with its name, which is the application protocol of its ports.
    pub(crate) fn pairs(&self) -> [(&'static str, &Pair); 6] {
        [
            ("soak-live", &self.live),
            ("soak-lossy", &self.lossy),
            ("soak-short", &self.short),
            ("soak-reset", &self.reset),
            ("soak-failing", &self.failing),
            ("soak-storm", &self.storm),
        ]
    }

    /// One of [`VARIANTS`] configurations that differ in what a reload may change, but for the names of the ports: by these the
    /// flows are found, whatever their subnet is called.
    pub(crate) fn config(&self, variant: usize, receiver: SocketAddr) -> Result<String> {
        let mut text = String::from("subnets:\n");
        for (name, pair) in self.pairs() {
            let [four, six] = match variant % VARIANTS {
                0 => ["", ""],
                1 => ["-moved", ""],
                2 => ["-moved", "-moved"],
                _ => ["-again", "-moved"],
            };
            let subnet = pair.subnet()?;
            let (v4, v6) = (subnet.v4(0), subnet.v6(0));
            if four == six {
                writeln!(text, "  - {{name: {name}{four}, cidrs: [{v4}/24, \"{v6}/64\"]}}")?;
            } else {
                writeln!(text, "  - {{name: {name}{four}, cidrs: [{v4}/24]}}")?;
                writeln!(text, "  - {{name: {name}{six}, cidrs: [\"{v6}/64\"]}}")?;
            }
        }
        let rest = match variant % VARIANTS {
            0 => "limits: {series: 100000}\n",
            1 => "limits: {series: 120000}\ndrops: {classes: [{class: benign, reason: NETFILTER_DROP}]}\n",
            2 => "limits: {series: 100000}\nconnection_types: [{type: wired, interfaces: [\"veth*\"]}]\n",
            _ => "limits: {series: 110000}\n",
        };
        let held: Vec<u16> = (HOLD..FIRST_AFTER_HOLD).collect();
        writeln!(
            text,
            "subnets_fallback: elsewhere\n\
             app_protocols:\n\
             \x20 - {{name: soak-live, ports: {held:?}}}\n\
             \x20 - {{name: soak-lossy, ports: {LOSSY:?}}}\n\
             \x20 - {{name: soak-short, ports: {SHORT:?}}}\n\
             \x20 - {{name: soak-reset, ports: {RESET:?}}}\n\
             \x20 - {{name: soak-failing, ports: [{CLOSED}, {SILENT}, {AWAY}]}}\n\
             collect: {{max_age: 100ms}}\n\
             otlp: {{endpoint: \"http://{receiver}\", interval: 2s, timeout: 1s}}"
        )?;
        Ok(text + rest)
    }
}

/// The cable with this port of a server. No port of a client is among them.
pub(crate) fn cable_of(port: u16) -> Option<&'static str> {
    match port {
        HOLD..FIRST_AFTER_HOLD => Some("soak-live"),
        _ if LOSSY.contains(&port) => Some("soak-lossy"),
        _ if SHORT.contains(&port) => Some("soak-short"),
        _ if RESET.contains(&port) => Some("soak-reset"),
        CLOSED | SILENT | AWAY => Some("soak-failing"),
        _ => None,
    }
}

/// Every name that a subnet of this cable has in some configuration.
pub(crate) fn names(pair: &str) -> [String; 3] {
    ["", "-moved", "-again"].map(|suffix| format!("{pair}{suffix}"))
}

fn refusals() -> String {
    format!(
        "table inet refusals {{\n\
         \x20 counter dropped {{ }}\n\
         \x20 chain early {{\n\
         \x20   type filter hook prerouting priority 0; policy accept;\n\
         \x20   tcp dport {SILENT} counter name dropped drop\n\
         \x20 }}\n\
         \x20 chain late {{\n\
         \x20   type filter hook input priority 0; policy accept;\n\
         \x20   tcp dport {AWAY} counter name dropped reject with icmpx type host-unreachable\n\
         \x20 }}\n\
         }}\n"
    )
}
