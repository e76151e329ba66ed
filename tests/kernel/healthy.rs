//! What hosts do all day and that loses nothing: no drop of class error or capacity, none counted twice, no failure.
//!
//! [`table::ACTIVITIES`] is the one table; a new activity is one entry there.

mod closing;
mod datagrams;
mod devices;
mod echo;
mod filters;
mod link;
mod options;
mod sockets;
mod streams;
mod table;
mod talk;
mod v6;

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use table::ACTIVITIES;
use tests::exporter::Exporter;
use tests::kernel::counters::Counters;
use tests::machine::turn;
use tests::net::subnet::Subnet;

use crate::suite::{Entry, Row, Stage, entry, run_table};

/// Something that loses nothing.
#[derive(Clone, Copy)]
struct Activity {
    run: fn(&Stage) -> Result<()>,
    benign: Benign,
    /// Counters of the kernel that count here, though nothing is lost.
    but: &'static [&'static str],
    /// The type of its connections between hosts of the second subnet.
    connections: Option<&'static str>,
}

/// How many packets of class `benign` an activity may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Benign {
    /// As many as passed the devices, at most: each once.
    Once,
    /// None or just so many.
    NoneOr(u64),
    /// At most so many.
    Most(u64),
    /// None: everything was used.
    None,
}

/// An entry of the table.
const fn activity(name: &'static str, run: fn(&Stage) -> Result<()>) -> Entry<Activity> {
    let activity = Activity {
        run,
        benign: Benign::Once,
        but: &[],
        connections: None,
    };
    entry(name, activity)
}

impl Entry<Activity> {
    const fn benign(mut self, benign: Benign) -> Self {
        self.case.benign = benign;
        self
    }

    const fn but(mut self, counters: &'static [&'static str]) -> Self {
        self.case.but = counters;
        self
    }

    const fn connections(mut self, connection_type: &'static str) -> Self {
        self.case.connections = Some(connection_type);
        self
    }
}

/// Families that count failures, by subnet.
const FAILURES: [&str; 4] = [
    "tcpvitals_tcp_connections_failed_total",
    "tcpvitals_tcp_locally_dropped_segments_total",
    "tcpvitals_tcp_listen_drops_total",
    "tcpvitals_tcp_handshake_retransmits_total",
];

/// What the kernel itself counts where something is lost: an activity with one of these is none.
const LOSSES: [&str; 37] = [
    "IpInHdrErrors",
    "IpInAddrErrors",
    "IpInUnknownProtos",
    "IpInDiscards",
    "IpOutDiscards",
    "IpOutNoRoutes",
    "IpReasmFails",
    "IpFragFails",
    "IcmpInErrors",
    "UdpNoPorts",
    "UdpInErrors",
    "UdpRcvbufErrors",
    "UdpSndbufErrors",
    "UdpInCsumErrors",
    "Ip6InHdrErrors",
    "Ip6InTooBigErrors",
    "Ip6InNoRoutes",
    "Ip6InAddrErrors",
    "Ip6InUnknownProtos",
    "Ip6InTruncatedPkts",
    "Ip6OutDiscards",
    "Ip6OutNoRoutes",
    "Ip6ReasmFails",
    "Ip6FragFails",
    "Icmp6InErrors",
    "Udp6NoPorts",
    "Udp6InErrors",
    "Udp6RcvbufErrors",
    "TcpAttemptFails",
    "TcpInErrs",
    "TcpExtListenDrops",
    "TcpExtListenOverflows",
    "TcpExtTCPSynRetrans",
    "TcpExtTCPRcvQDrop",
    "TcpExtTCPBacklogDrop",
    "TcpExtTCPAbortFailed",
    "TcpExtTCPReqQFullDrop",
];

/// What is not of its own subnets may be of somebody else on this machine, whom it does not meet so often.
const ROUNDS: usize = 3;

/// Who else is at work goes on while nothing is done here.
const IDLE: Duration = Duration::from_secs(5);

fn judge(activity: &Activity, exporter: &Exporter<'_>, subnets: Vec<Subnet>) -> Result<()> {
    let mut foreign = once(activity, exporter, &subnets)?;
    for _ in 1..ROUNDS {
        if foreign.is_empty() {
            return Ok(());
        }
        let again = once(activity, exporter, &subnets)?;
        foreign.retain(|site| again.contains(site));
    }
    if !foreign.is_empty() {
        let stage = Stage::new(subnets)?;
        let (scrape, ()) = stage.watch(exporter, |_| {
            sleep(IDLE);
            Ok(())
        })?;
        let others: BTreeSet<String> = stage.rows(&scrape).iter().map(site).collect();
        foreign.retain(|site| !others.contains(site));
    }
    let rows: Vec<String> = foreign.into_iter().collect();
    ensure!(
        rows.is_empty(),
        "nothing was lost, but each time there is\n    {}",
        rows.join("\n    ")
    );
    Ok(())
}

/// Fails by what is of the activity alone; gives the places of what may be somebody else's.
fn once(activity: &Activity, exporter: &Exporter<'_>, subnets: &[Subnet]) -> Result<BTreeSet<String>> {
    let stage = Stage::new(subnets.to_vec()).context("set up two namespaces")?;
    let before = stage.at_rest()?;
    let passed_before = passed(&stage)?;
    let (scrape, ()) = stage
        .watch(exporter, activity.run)
        .context("the activity itself failed")?;
    let lost = losses(activity, &before, &stage.at_rest()?);
    ensure!(lost.is_empty(), "the kernel itself counts losses: {}", lost.join(", "));

    let is_benign = |row: &Row| row.label("class") == "benign";
    let (own, others): (Vec<Row>, Vec<Row>) = stage.rows(&scrape).into_iter().partition(|row| stage.owns(row));
    let wrong: Vec<String> = own.iter().filter(|row| !is_benign(row)).map(Row::line).collect();
    ensure!(
        wrong.is_empty(),
        "nothing was lost, but there is\n    {}",
        wrong.join("\n    ")
    );
    let failures = FAILURES.map(|name| (name, stage.sum(&scrape, name)));
    let failures: Vec<String> = failures
        .into_iter()
        .filter(|(_, value)| *value != 0.0)
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    ensure!(
        failures.is_empty(),
        "nothing failed, but there is {}",
        failures.join(", ")
    );

    if let Some(expected) = activity.connections {
        let types = stage.opened_by_type(&scrape);
        let is_right = types.keys().all(|found| found == expected) && types.values().sum::<f64>() > 0.0;
        ensure!(is_right, "connections are {types:?}, not {expected}");
    }

    let benign: f64 = own.iter().map(|row| row.packets).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few packets")]
    let (is_good, bound) = match activity.benign {
        Benign::Once => {
            let most = (passed(&stage)? - passed_before) as f64;
            (benign <= most, format!("at most the {most} that passed the devices"))
        }
        Benign::NoneOr(number) => (benign == 0.0 || benign == number as f64, format!("none or {number}")),
        Benign::Most(number) => (benign <= number as f64, format!("at most {number}")),
        Benign::None => (benign == 0.0, "none".to_owned()),
    };
    let lines: Vec<String> = own.iter().map(Row::line).collect();
    ensure!(
        is_good,
        "{benign} packets are benign, expected {bound}:\n    {}",
        lines.join("\n    ")
    );
    Ok(others.iter().filter(|row| !is_benign(row)).map(site).collect())
}

/// What a row has in common with the same one of another round.
fn site(row: &Row) -> String {
    let labels = [
        "location",
        "reason",
        "class",
        "protocol",
        "direction",
        "subnet",
        "connection_type",
    ];
    labels.map(|label| row.label(label)).join(" ")
}

fn losses(activity: &Activity, before: &[Counters; 2], after: &[Counters; 2]) -> Vec<String> {
    let ends = ["client", "server"].into_iter().zip(before.iter().zip(after));
    ends.flat_map(|(end, (before, after))| {
        let counted = LOSSES.iter().filter(|name| !activity.but.contains(name));
        // Not every kernel has every counter.
        counted.filter_map(move |name| {
            let more = after.since(before, name).ok().filter(|more| *more != 0)?;
            Some(format!("{end} {name} {more}"))
        })
    })
    .collect()
}

/// Packets that the devices of both namespaces received.
fn passed(stage: &Stage) -> Result<u64> {
    let of = |namespace: &tests::net::namespace::Namespace| {
        namespace.run(|| {
            let text = read_to_string("/proc/thread-self/net/dev")?;
            let packets = |line: &str| line.split_once(':')?.1.split_whitespace().nth(1)?.parse::<u64>().ok();
            Ok(text.lines().filter_map(packets).sum::<u64>())
        })
    };
    Ok(of(stage.client())? + of(stage.server())?)
}

#[test]
fn what_loses_nothing_has_no_error() -> Result<()> {
    let _turn = turn::shared()?;
    run_table(ACTIVITIES, judge)
}
