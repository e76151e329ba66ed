//! Connections between pods, an account of them, and its comparison with the exporter's metrics: by workload, and by equality.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::exporter::scrape::Scrape;
use tests::machine::wait::until;

use crate::exporter::Pod;
use crate::node::{Node, in_network_of};
use crate::truth::{Talker, Workload};

const OPENED: &str = "tcpvitals_tcp_connections_opened_total";
const CLOSED: &str = "tcpvitals_tcp_connections_closed_total";
const OPEN: &str = "tcpvitals_tcp_connections";
const DATA: &str = "tcpvitals_tcp_data_bytes_total";
const SEGMENTS: &str = "tcpvitals_tcp_segments_total";
const RESENT: &str = "tcpvitals_tcp_retransmitted_segments_total";
const RESENT_BYTES: &str = "tcpvitals_tcp_retransmitted_bytes_total";
const PACKETS: &str = "tcpvitals_dropped_packets_total";

/// What the pods of a workload have done, by what they were told and have said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Connections as a client.
    pub(crate) opened: u64,
    /// Connections as a server.
    pub(crate) accepted: u64,
    /// Payload in each direction: what a client sends comes back.
    pub(crate) bytes: u64,
    /// Connections that were counted for another workload when they were opened.
    pub(crate) moved_here: u64,
    /// Connections that count for another workload since.
    pub(crate) moved_away: u64,
}

/// All that was made so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    by_workload: BTreeMap<Workload, Made>,
    /// What was told of workloads before this account began.
    before: BTreeMap<Workload, Told>,
    /// Pods that keep a connection.
    holders: Vec<Talker>,
    /// Figures that were compared.
    pub(crate) compared: usize,
}

impl Account {
    /// Has every pod talk to the next one: so many connections of so many bytes. Gives the number of all connections.
    pub(crate) fn round(&mut self, talkers: &[Talker], connections: u64, bytes: u64) -> Result<u64> {
        for (from, to) in pairs(talkers) {
            from.order(&format!(
                "i=0; while [ $i -lt {connections} ]; do i=$((i+1)); \
                 $b head -c {bytes} /dev/zero | $b nc {} {} | $b wc -c; done\n",
                to.address, to.port
            ))?;
        }
        for (from, to) in pairs(talkers) {
            let said = from.done()?;
            let whole = format!("{bytes}\n").repeat(usize::try_from(connections)?);
            ensure!(said == whole, "{} got of {}: {said:?}", from.pod, to.pod);
            let made = self.of(&from.workload);
            made.opened += connections;
            made.bytes += connections * bytes;
            let made = self.of(&to.workload);
            made.accepted += connections;
            made.bytes += connections * bytes;
        }
        Ok(connections * talkers.len() as u64)
    }

    /// Each pod that loses packets asks for names, in vain.
    pub(crate) fn ask_for_names(&self, talkers: &[Talker]) -> Result<()> {
        let losing = || talkers.iter().filter(|talker| !talker.is_on_host());
        for talker in losing() {
            let server = &talkers[0].address;
            talker.order(&format!(
                "i=0; while [ $i -lt 3 ]; do i=$((i+1)); $b timeout 1 $b nslookup a.example {server}; done\n"
            ))?;
        }
        losing().try_for_each(|talker| talker.done().map(drop))
    }

    /// One pod opens a connection to another one, sends nothing, and keeps it.
    pub(crate) fn hold(&mut self, from: &Talker, as_whom: &Workload, to: &Talker) -> Result<()> {
        from.order(&format!(
            "$b sleep 100000 | $b nc {} {} >/held &\n",
            to.address, to.port
        ))?;
        from.done()?;
        self.holders.push(from.clone());
        self.of(as_whom).opened += 1;
        self.of(&to.workload).accepted += 1;
        Ok(())
    }

    /// Every connection that is kept ends.
    pub(crate) fn release(&mut self) -> Result<()> {
        for holder in self.holders.drain(..) {
            holder.order("kill $!\n")?;
            holder.done()?;
        }
        Ok(())
    }

    fn of(&mut self, workload: &Workload) -> &mut Made {
        self.by_workload.entry(workload.clone()).or_default()
    }

    /// A connection that was unresolved has this name now, and its end will be counted there.
    pub(crate) fn moved(&mut self, workload: &Workload) {
        self.of(workload).moved_here += 1;
        self.of(&Workload::unresolved()).moved_away += 1;
    }

    /// Whether the exporter has counted a connection of clients of a workload.
    pub(crate) fn has_opened(scrape: &Scrape, workload: &Workload) -> Result<bool> {
        Ok(Told::of(scrape, workload)?.opened > 0)
    }

    /// Connections of a workload that are open.
    pub(crate) fn open(scrape: &Scrape, workload: &Workload) -> Result<u64> {
        Ok(Told::of(scrape, workload)?.open)
    }

    /// Requires that the exporter has counted all of it under its workload, once connections are closed but for those that are held.
    pub(crate) fn require(&mut self, node: &Node, exporter: &Pod) -> Result<Scrape> {
        let mut last = String::new();
        // A last acknowledgment may be under way.
        let scrape = until("the exporter to have counted what pods made", || {
            let scrape = exporter.scrape(node)?;
            last = self.differences(&scrape)?.join("\n");
            Ok(last.is_empty().then_some(scrape))
        });
        self.compared += 5 * self.by_workload.len();
        scrape.with_context(|| last.clone())
    }

    fn differences(&self, scrape: &Scrape) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for (workload, made) in &self.by_workload {
            let mut told = Told::of(scrape, workload)?;
            if let Some(before) = self.before.get(workload) {
                told = told.since(before);
            }
            let held = made.moved_away + told.open;
            let ended = (made.opened + made.accepted + made.moved_here).saturating_sub(held);
            for (what, expected, got) in [
                ("connections as client", made.opened, told.opened),
                ("connections as server", made.accepted, told.accepted),
                ("connections closed", ended, told.closed),
                ("bytes sent", made.bytes, told.sent),
                // A FIN counts as one.
                ("bytes received", made.bytes + ended, told.received),
            ] {
                if expected != got {
                    all.push(format!("{workload:?}: {what}: {expected} were made, {got} are told"));
                }
            }
        }
        Ok(all)
    }

    /// An account that begins now: what has no name by now is the first connection of each cgroup that is older than the exporter, and
    /// these pods have talked before.
    pub(crate) fn begin(node: &Node, exporter: &Pod, talked: &[Talker]) -> Result<Self> {
        let scrape = exporter.scrape(node)?;
        let workloads = talked.iter().map(|talker| talker.workload.clone());
        let before = workloads.chain([Workload::unresolved()]);
        let before = before.map(|workload| Ok((workload.clone(), Told::of(&scrape, &workload)?)));
        Ok(Self {
            before: before.collect::<Result<_>>()?,
            ..Self::default()
        })
    }

    /// Requires that this is equal to what the kernel counted in the network namespaces of the pods, whose only pods these are.
    /// Gives how many segments were sent again, and how many packets nftables dropped.
    pub(crate) fn require_kernels(&mut self, scrape: &Scrape, talkers: &[Talker]) -> Result<(u64, u64)> {
        let mut totals = (0, 0);
        let mut by_workload: BTreeMap<&Workload, Vec<&Talker>> = BTreeMap::new();
        for talker in talkers.iter().filter(|talker| !talker.is_on_host()) {
            by_workload.entry(&talker.workload).or_default().push(talker);
        }
        for (workload, talkers) in by_workload {
            let mut kernel: BTreeMap<String, u64> = BTreeMap::new();
            let mut filtered = BTreeMap::new();
            for talker in talkers {
                for (name, value) in talker.counted()? {
                    *kernel.entry(name).or_default() += value;
                }
                for (direction, packets) in filter_count(talker)? {
                    *filtered.entry(direction).or_default() += packets;
                }
            }
            let kernel = |name: &str| kernel.get(name).copied().with_context(|| format!("no {name}"));
            let labels = workload.labels();
            let count = |metric: &str, more: &[(&str, &str)]| {
                let labels: Vec<_> = labels.into_iter().chain(more.iter().copied()).collect();
                scrape.count(metric, &labels)
            };
            let dropped = |direction: &str| {
                let [namespace, _, name] = labels;
                let of = [namespace, name, ("reason", "NETFILTER_DROP"), ("direction", direction)];
                scrape.count(PACKETS, &of)
            };
            let resent = kernel("TcpRetransSegs")?;
            // TcpOutSegs leaves out what is sent again, and has each server's SYN-ACK.
            let sent = kernel("TcpOutSegs")? + resent - kernel("TcpPassiveOpens")?;
            for (what, expected, got) in [
                (
                    "TcpActiveOpens",
                    kernel("TcpActiveOpens")?,
                    count(OPENED, &[("role", "client")])?,
                ),
                (
                    "TcpPassiveOpens",
                    kernel("TcpPassiveOpens")?,
                    count(OPENED, &[("role", "server")])?,
                ),
                ("TcpOutSegs", sent, count(SEGMENTS, &[("direction", "transmit")])?),
                ("TcpRetransSegs", resent, count(RESENT, &[])?),
                ("nft input", filtered["receive"], dropped("receive")?),
                ("nft output", filtered["transmit"], dropped("transmit")?),
            ] {
                ensure!(
                    expected == got,
                    "{workload:?}: {what}: the kernel says {expected}, the exporter {got}"
                );
                self.compared += 1;
            }
            totals = (totals.0 + resent, totals.1 + filtered["receive"] + filtered["transmit"]);
        }
        Ok(totals)
    }

    /// So many connections are held by clients of a workload.
    pub(crate) fn until_open(&self, node: &Node, exporter: &Pod, workload: &Workload, count: u64) -> Result<Scrape> {
        until(&format!("{count} open connections of {workload:?}"), || {
            let scrape = exporter.scrape(node)?;
            let labels: Vec<_> = workload.labels().into_iter().chain([("role", "client")]).collect();
            Ok((scrape.count(OPEN, &labels)? == count).then_some(scrape))
        })
    }
}

/// What the exporter says of a workload and its connections with pods and the node: those of other programs on this machine are
/// with others.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    opened: u64,
    accepted: u64,
    open: u64,
    closed: u64,
    sent: u64,
    received: u64,
}

impl Told {
    fn of(scrape: &Scrape, workload: &Workload) -> Result<Self> {
        let mut told = Self::default();
        for subnet in ["pods", "nodes"] {
            let count = |metric: &str, more: &[(&str, &str)]| {
                let own = workload.labels().into_iter().chain([("subnet", subnet)]);
                scrape.count(metric, &own.chain(more.iter().copied()).collect::<Vec<_>>())
            };
            told.opened += count(OPENED, &[("role", "client")])?;
            told.accepted += count(OPENED, &[("role", "server")])?;
            told.open += count(OPEN, &[])?;
            told.closed += count(CLOSED, &[])?;
            told.sent += count(DATA, &[("direction", "transmit")])? - count(RESENT_BYTES, &[])?;
            told.received += count(DATA, &[("direction", "receive")])?;
        }
        Ok(told)
    }

    fn since(self, before: &Self) -> Self {
        Self {
            opened: self.opened - before.opened,
            accepted: self.accepted - before.accepted,
            open: self.open,
            closed: self.closed - before.closed,
            sent: self.sent - before.sent,
            received: self.received - before.received,
        }
    }
}

/// Everybody with the next one.
fn pairs(talkers: &[Talker]) -> impl Iterator<Item = (&Talker, &Talker)> {
    talkers.iter().zip(talkers.iter().cycle().skip(1))
}

/// From now on every 20th large packet to the pod is lost, and every question to a name server that it asks, in its own network
/// namespace. One packet is one segment, since nftables counts packets. Segments that a host drops on their way out are not among
/// them: TCP learns of it at once and sends again, without counting that as a retransmission.
pub(crate) fn lose(node: &Node, talker: &Talker) -> Result<()> {
    let rules = "table inet loss {\ncounter receive { }\ncounter transmit { }\n\
        chain receive { type filter hook input priority 0; meta length > 1000 numgen inc mod 20 == 7 counter name receive drop; }\n\
        chain transmit { type filter hook output priority 0; udp dport 53 counter name transmit drop; }\n}\n";
    in_network_of(talker.process, || {
        feed(&["ip", "link", "set", "dev", "eth0", "gso_max_segs", "1"], "")?;
        feed(&["nft", "-f", "-"], rules).map(drop)
    })?;
    // What the node's own sockets send to it.
    node.within(|| {
        let links: Value = serde_json::from_str(&feed(&["ip", "-json", "link", "show", "type", "veth"], "")?)?;
        for link in links.as_array().into_iter().flatten() {
            let name = link["ifname"].as_str().context("a device without a name")?;
            feed(&["ip", "link", "set", "dev", name, "gso_max_segs", "1"], "")?;
        }
        Ok(())
    })
}

fn filter_count(talker: &Talker) -> Result<BTreeMap<String, u64>> {
    let listed = in_network_of(talker.process, || feed(&["nft", "-j", "list", "counters"], ""))?;
    let listed: Value = serde_json::from_str(&listed)?;
    let counters = listed["nftables"].as_array().into_iter().flatten();
    let counters = counters
        .map(|object| &object["counter"])
        .filter(|counter| counter.is_object());
    counters
        .map(|counter| {
            let name = counter["name"].as_str().context("a counter without a name")?;
            Ok((
                name.to_owned(),
                counter["packets"].as_u64().context("a counter without packets")?,
            ))
        })
        .collect()
}

/// Runs a command with this on its standard input, and gives what it printed.
pub(crate) fn feed(command: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    child
        .stdin
        .take()
        .context("no standard input")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {stderr}");
    Ok(String::from_utf8(output.stdout)?)
}
