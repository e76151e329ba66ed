//! Short connections, opened and closed as fast as they can be, against the kernel's counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use common::kernel::tracepoints::Tracepoint;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::Counters;
use tests::kernel::hook_account::{Account, Outcome};
use tests::machine::settings::scaled;
use tests::machine::turn;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family, Subnet};
use tests::net::traffic::{Ending, churn};

use super::{close, without_second_programs};
use crate::account::End;

const HOOKS: [Tracepoint; 3] = [
    Tracepoint::InetSockSetState,
    Tracepoint::TcpSendReset,
    Tracepoint::TcpReceiveReset,
];

/// Time between two collections.
const COLLECTION: Duration = Duration::from_millis(100);

/// What one end did, by the kernel or by the exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    opened: u64,
    closed: u64,
}

/// A storm, and what was counted of it.
struct Storm {
    made: u64,
    counted: BTreeMap<&'static str, Ends>,
    /// Events that the kernel kept from programs, over threads of the sandbox's init process.
    withheld: BTreeMap<&'static str, Ends>,
    outcome: Outcome,
}

/// Opens and closes connections from `threads` threads until enough interrupts have landed in programs, with a collection each 100 ms.
fn storm(pair: &Pair, exporter: &Exporter<'_>, threads: usize, ending: Ending) -> Result<Storm> {
    let subnet = pair.subnet()?;
    let targets: Vec<_> = (0..4)
        .map(|port| pair.to(if port % 2 == 0 { Family::V4 } else { Family::V6 }, 7100 + port))
        .collect::<Result<_>>()?;
    let account = Account::open(exporter, &HOOKS)?;
    let before = exporter.scrape()?;
    let (least, most) = (scaled(20_000), scaled(1_500_000));
    let is_provoked = AtomicBool::new(false);
    let made = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            churn(pair, &targets, threads, ending, |number| {
                number < least || threads > 1 && number < most && !is_provoked.load(Ordering::Relaxed)
            })
        });
        while !storm.is_finished() {
            exporter.scrape()?;
            if account.is_provoked(Tracepoint::InetSockSetState)? {
                is_provoked.store(true, Ordering::Relaxed);
            }
            thread::sleep(COLLECTION);
        }
        storm.join().unwrap_or_else(|_| anyhow::bail!("the storm panicked"))
    })?;
    let (_, _) = (Counters::at_rest(&pair.client)?, Counters::at_rest(&pair.server)?);
    let scrape = exporter.scrape()?.since(&before);
    let withheld = withheld(&account, subnet)?;
    let counted = End::BOTH
        .into_iter()
        .map(|end| Ok((end.role(), counted(&scrape, subnet, end)?)))
        .collect::<Result<_>>()?;
    let outcomes = close(account)?;
    Ok(Storm {
        made,
        counted,
        withheld,
        outcome: outcomes[Tracepoint::InetSockSetState.name()],
    })
}

fn counted(scrape: &Scrape, subnet: Subnet, end: End) -> Result<Ends> {
    let labels = [("subnet", &*subnet.name()), ("role", end.role())];
    let count = |what: &str| scrape.count(&format!("tcpvitals_tcp_connections_{what}_total"), &labels);
    Ok(Ends {
        opened: count("opened")?,
        closed: count("closed")?,
    })
}

/// The withheld openings and ends of either end, by the addresses in the kernel's text.
fn withheld(account: &Account<'_>, subnet: Subnet) -> Result<BTreeMap<&'static str, Ends>> {
    let mut ends: BTreeMap<_, Ends> = End::BOTH.into_iter().map(|end| (end.role(), Ends::default())).collect();
    let clients = [Family::V4, Family::V6].map(|family| subnet.address(family, CLIENT).to_string());
    for line in account.withheld(Tracepoint::InetSockSetState)? {
        let is_ours = |key: &str| clients.iter().any(|client| line.contains(&format!(" {key}={client} ")));
        let role = match (
            is_ours("saddr") || is_ours("saddrv6"),
            is_ours("daddr") || is_ours("daddrv6"),
        ) {
            (true, _) => End::Client.role(),
            (_, true) => End::Server.role(),
            _ => continue,
        };
        let end = ends.entry(role).or_default();
        if line.contains("newstate=TCP_ESTABLISHED") {
            end.opened += 1;
        } else if line.contains("newstate=TCP_CLOSE") && !line.contains("newstate=TCP_CLOSE_WAIT") {
            end.closed += 1;
        }
    }
    Ok(ends)
}

/// Requires that the kernel's own numbers were reached, but for events that no program could see or that are said to be lost.
fn require_equal(pair: &Pair, storm: &Storm) -> Result<()> {
    let (client, server) = (Counters::read(&pair.client)?, Counters::read(&pair.server)?);
    for (role, opened) in [
        ("client", client.get("TcpActiveOpens")?),
        ("server", server.get("TcpPassiveOpens")?),
    ] {
        assert_eq!(u64::try_from(opened)?, storm.made, "{role}");
        let (counted, withheld) = (storm.counted[role], storm.withheld[role]);
        let lost = storm.outcome.lost();
        let opened = counted.opened + withheld.opened;
        assert!(
            (opened..=opened + lost).contains(&storm.made),
            "{role}: {opened} of {} opened, {lost} lost",
            storm.made
        );
        // An end that was withheld is found by the next collection if the socket is still there.
        assert!(
            counted.closed <= storm.made && counted.closed + withheld.closed + lost >= storm.made,
            "{role}: {} of {} closed, {} ends withheld",
            counted.closed,
            storm.made,
            withheld.closed
        );
    }
    Ok(())
}

/// Segments of both namespaces, which carried nothing else, if no end was withheld, with which all of them would be.
fn require_equal_segments(pair: &Pair, exporter: &Exporter<'_>, storm: &Storm) -> Result<()> {
    let subnet = pair.subnet()?.name();
    let scrape = exporter.scrape()?;
    let server = Counters::at_rest(&pair.server)?;
    let labels = [("subnet", &*subnet), ("role", "server"), ("direction", "transmit")];
    let counted = i64::try_from(scrape.count("tcpvitals_tcp_segments_total", &labels)?)?;
    // SYN-ACKs are sent before there is a connection, and resets without one.
    let handshakes = [("subnet", &*subnet), ("segment", "synack")];
    let repeated = i64::try_from(scrape.count("tcpvitals_tcp_handshake_retransmits_total", &handshakes)?)?;
    let sent = server.get("TcpOutSegs")? + server.repeated_after_handshakes()?
        - server.get("TcpOutRsts")?
        - server.get("TcpPassiveOpens")?
        - repeated;
    let missing = i64::try_from((storm.withheld["server"].closed + storm.outcome.lost()) * MOST_SEGMENTS)?;
    assert!(
        (0..=missing).contains(&(sent - counted)),
        "{counted} of {sent} segments, at most {missing} with ends that were withheld"
    );
    Ok(())
}

/// What an end of a short connection sends at most, with some sent twice.
const MOST_SEGMENTS: u64 = 8;

fn connections_from(threads: usize) -> Result<()> {
    let _turn = turn::alone()?;
    require_exact_over(&Pair::spread()?, threads)
}

/// Requires that connections over a cable are counted exactly.
pub(super) fn require_exact_over(pair: &Pair, threads: usize) -> Result<()> {
    let exporter = start(pair.config())?;
    let storm = storm(pair, &exporter, threads, Ending::Orderly)?;
    require_equal(pair, &storm)?;
    require_equal_segments(pair, &exporter, &storm)?;
    if threads == 1 {
        // It waits for its own packets: few interrupts come upon it.
        return storm.outcome.require_taken_over();
    }
    storm.outcome.require_exact()
}

/// The same of connections that are reset.
pub(super) fn require_exact_resets_over(pair: &Pair) -> Result<()> {
    let exporter = start(pair.config())?;
    let storm = storm(pair, &exporter, 4, Ending::Reset)?;
    require_equal(pair, &storm)?;
    storm.outcome.require_exact()
}

/// Requires that connections over a cable are missed without second programs.
pub(super) fn require_lossy_over(pair: &Pair) -> Result<()> {
    let (_btf, exporter) = without_second_programs(pair.config())?;
    let storm = storm(pair, &exporter, 4, Ending::Orderly)?;
    let missing: u64 = ["client", "server"]
        .map(|role| storm.made - storm.counted[role].opened - storm.withheld[role].opened)
        .iter()
        .sum();
    assert!(missing > 0, "nothing is missing");
    assert!(
        missing <= storm.outcome.lost(),
        "{missing} openings are missing, {} lost",
        storm.outcome.lost()
    );
    storm.outcome.require_lossy()
}

#[test]
fn connections_from_one_thread_are_counted_exactly_while_softirqs_land_in_programs() -> Result<()> {
    connections_from(1)
}

#[test]
fn connections_from_two_threads_are_counted_exactly_while_softirqs_land_in_programs() -> Result<()> {
    connections_from(2)
}

#[test]
fn connections_from_four_threads_are_counted_exactly_while_softirqs_land_in_programs() -> Result<()> {
    connections_from(4)
}

#[test]
fn without_second_programs_the_same_connections_are_missed_and_said_to_be_lost() -> Result<()> {
    let _turn = turn::alone()?;
    require_lossy_over(&Pair::spread()?)
}

#[test]
fn connections_that_are_reset_are_counted_exactly_while_softirqs_land_in_programs() -> Result<()> {
    let _turn = turn::alone()?;
    require_exact_resets_over(&Pair::spread()?)
}
