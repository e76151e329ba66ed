//! Where one entry of a table happens: two namespaces on a cable, their kernel's counters, and the exporter's series of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::exporter::Exporter;
use tests::exporter::scrape::{Labels, Scrape};
use tests::kernel::counters::Counters;
use tests::machine::wait::until_stable;
use tests::net::namespace::Namespace;
use tests::net::pair::Pair;
use tests::net::subnet::{Family, SERVER, Subnet};

const PACKETS: &str = "tcpvitals_dropped_packets_total";
const OPENED: &str = "tcpvitals_tcp_connections_opened_total";
const BYTES: &str = "tcpvitals_dropped_bytes_total";

/// What tables look at.
const FAMILIES: [&str; 8] = [
    "tcpvitals_dropped_",
    "tcpvitals_tcp_connections_failed",
    "tcpvitals_tcp_connections_opened",
    "tcpvitals_tcp_handshake_retransmits",
    "tcpvitals_tcp_listen_drops",
    "tcpvitals_tcp_locally_dropped_segments",
    "tcpvitals_tcp_resets",
    "tcpvitals_tcp_retransmitted_segments",
];

/// The name of addresses that no namespace has to itself.
const LINK: &str = "link";

/// What packets without an address are labelled with.
const NO_ADDRESS: &str = "none";

/// The name of the application protocol of [`served_port`].
pub(crate) const SERVED: &str = "served-by-the-table";

/// A port of one listener of all that run on this machine: of what a listener turns away nobody knows whose it was, so the subnet
/// cannot tell entries apart.
pub(crate) fn served_port() -> u16 {
    28_000 + u16::try_from(process::id() % 2000).unwrap_or_default()
}

/// Longer than packets wait for a processor that is busy with something else.
const QUIET: Duration = Duration::from_millis(120);

/// Two namespaces on a cable, with addresses that nobody else has.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The cable, with the first subnet on it.
    pub(crate) pair: Pair,
    /// All that are this entry's; the exporter knows them by name.
    pub(crate) subnets: Vec<Subnet>,
}

/// A row of drops: its labels, and what was added to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// By name.
    pub(crate) labels: BTreeMap<String, String>,
    /// Packets.
    pub(crate) packets: f64,
    /// Bytes.
    pub(crate) bytes: f64,
}

impl Row {
    /// A label's value; "" for none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let labels = [
            "location",
            "reason",
            "class",
            "protocol",
            "direction",
            "subnet",
            "connection_type",
        ];
        let labels: Vec<&str> = labels.iter().map(|label| self.label(label)).collect();
        format!("{} = {} packets, {} bytes", labels.join(" "), self.packets, self.bytes)
    }
}

/// A configuration that tells the two ends of each subnet apart, and in which addresses of nobody have their name, too.
pub(super) fn config(subnets: &[Subnet]) -> String {
    let mut lines = format!(
        "subnets:\n  - {{name: {LINK}, cidrs: [169.254.0.0/16, 224.0.0.0/4, 255.255.255.255/32, \"fe80::/10\", \"ff00::/8\"]}}\n"
    );
    for subnet in subnets {
        let (v4, v6) = (subnet.v4(SERVER), subnet.v6(SERVER));
        lines += &format!("  - {{name: {}, cidrs: [{v4}/32, \"{v6}/128\"]}}\n", far(*subnet));
    }
    let subnets = tests::net::subnet::config(subnets).replacen("subnets:\n", &lines, 1);
    format!(
        "{subnets}app_protocols: [{{name: {SERVED}, ports: [{}]}}]\n",
        served_port()
    )
}

/// The name of the server's addresses in a subnet; the client's have that of the subnet.
pub(crate) fn far(subnet: Subnet) -> String {
    format!("{}-far", subnet.name())
}

impl Stage {
    /// Sets it up.
    pub(crate) fn new(subnets: Vec<Subnet>) -> Result<Self> {
        let first = *subnets.first().context("a stage without a subnet")?;
        Ok(Self {
            pair: Pair::on(vec![first], false)?,
            subnets,
        })
    }

    /// The namespace that asks.
    pub(crate) fn client(&self) -> &Namespace {
        &self.pair.client
    }

    /// The namespace that answers.
    pub(crate) fn server(&self) -> &Namespace {
        &self.pair.server
    }

    /// The subnet on the cable.
    pub(crate) fn subnet(&self) -> Subnet {
        self.subnets[0]
    }

    /// The subnet for another device.
    pub(crate) fn second(&self) -> Subnet {
        self.subnets[1]
    }

    /// The server's address on the cable.
    pub(crate) fn to(&self, family: Family, port: u16) -> SocketAddr {
        (self.subnet().address(family, SERVER), port).into()
    }

    /// Waits until the stacks of both namespaces count nothing more, and gives what they have counted.
    pub(crate) fn at_rest(&self) -> Result<[Counters; 2]> {
        until_stable("both network stacks", QUIET, || {
            Ok([Counters::read(self.client())?, Counters::read(self.server())?])
        })
    }

    /// Does something between two scrapes, and gives what was added.
    pub(crate) fn watch<T>(
        &self,
        exporter: &Exporter<'_>,
        act: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<(Scrape, T)> {
        self.at_rest()?;
        let before = exporter.scrape_only(&FAMILIES)?;
        let done = act(self)?;
        self.at_rest()?;
        Ok((exporter.scrape_only(&FAMILIES)?.since(&before), done))
    }

    /// The rows of drops that are this entry's: of its subnets, and of packets that have no address of anybody's.
    pub(crate) fn rows(&self, scrape: &Scrape) -> Vec<Row> {
        let own = self.names();
        let is_own = |subnet: &str| subnet == NO_ADDRESS || subnet == LINK || own.iter().any(|own| own == subnet);
        let rows = scrape.matching(PACKETS, &[]).filter(|(series, packets)| {
            *packets != 0.0 && series.labels.get("subnet").is_some_and(|subnet| is_own(subnet))
        });
        rows.map(|(series, packets)| {
            let labels = series.labels.clone();
            let same: Vec<(&str, &str)> = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let bytes = scrape.value(BYTES, &same).unwrap_or(0.0);
            Row { labels, packets, bytes }
        })
        .collect()
    }

    /// Whether a row is of this entry's subnets, and so of nobody else.
    pub(crate) fn owns(&self, row: &Row) -> bool {
        self.names().iter().any(|own| own == row.label("subnet"))
    }

    /// The names of this entry's addresses.
    fn names(&self) -> Vec<String> {
        let both = |subnet: &Subnet| [subnet.name(), far(*subnet)];
        self.subnets.iter().flat_map(both).collect()
    }

    /// Connections that were opened between hosts of the second subnet, by connection type.
    pub(crate) fn opened_by_type(&self, scrape: &Scrape) -> BTreeMap<String, f64> {
        let names = [self.second().name(), far(self.second())];
        let mut types = BTreeMap::new();
        for (series, opened) in scrape.matching(OPENED, &[]).filter(|(_, opened)| *opened != 0.0) {
            let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
            if names.contains(&label("subnet")) {
                *types.entry(label("connection_type")).or_default() += opened;
            }
        }
        types
    }

    /// The sum of a family over this entry's subnets; zero where there is no such family.
    pub(crate) fn sum(&self, scrape: &Scrape, name: &str) -> f64 {
        self.sum_of(scrape, name, &[])
    }

    /// The same over those with these labels, whatever their subnet if they name the port of one listener.
    pub(crate) fn sum_of(&self, scrape: &Scrape, name: &str, labels: &Labels<'_>) -> f64 {
        let own = self.names();
        let is_ours = |label: &str| labels.contains(&("app_protocol", SERVED)) || own.iter().any(|own| own == label);
        let is_own = |labels: &BTreeMap<String, String>| labels.get("subnet").is_some_and(|subnet| is_ours(subnet));
        let series = scrape
            .matching(name, labels)
            .filter(|(series, _)| is_own(&series.labels));
        series.fold(0.0, |sum, (_, value)| sum + value)
    }
}
