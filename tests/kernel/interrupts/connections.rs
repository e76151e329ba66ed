//! Short connections, opened and closed as fast as they can be, against the kernel's counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use common::kernel::tracepoints::Tracepoint;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::Counters;
use tests::kernel::hook_account::{Account, Outcome};
use tests::kernel::kernel_facts::has_threaded_softirqs;
use tests::machine::settings::scaled;
use tests::machine::wait::timed;
use tests::net::pair::Pair;
use tests::net::subnet::{CLIENT, Family, Subnet};
use tests::net::traffic::{Ending, churn};

use super::{close, fails, over_veth, passes, tell_load, without_second_programs};
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
    /// Resets that clients sent and servers received.
    resets: [u64; 2],
    outcomes: BTreeMap<&'static str, Outcome>,
}

impl Storm {
    fn outcome(&self) -> Outcome {
        self.outcomes[Tracepoint::InetSockSetState.name()]
    }
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
    let more = |number| number < least || threads > 1 && number < most && !is_provoked.load(Ordering::Relaxed);
    let (took, made) = thread::scope(|scope| {
        let storm = scope.spawn(|| match timed(|| churn(pair, &targets, threads, ending, more)) {
            (took, Ok(made)) => anyhow::Ok((took, made)),
            (_, Err(error)) => Err(error),
        });
        while !storm.is_finished() {
            exporter.scrape()?;
            if account.is_provoked(Tracepoint::InetSockSetState)? {
                is_provoked.store(true, Ordering::Relaxed);
            }
            thread::sleep(COLLECTION);
        }
        storm.join().unwrap_or_else(|_| bail!("the storm panicked"))
    })?;
    tell_load(made, "connections", took);
    let (_, _) = (Counters::at_rest(&pair.client)?, Counters::at_rest(&pair.server)?);
    let scrape = exporter.scrape()?.since(&before);
    let withheld = withheld(&account, subnet)?;
    let counted = End::BOTH
        .into_iter()
        .map(|end| Ok((end.role(), counted(&scrape, subnet, end)?)))
        .collect::<Result<_>>()?;
    let resets = |role, direction| {
        let labels = [("subnet", &*subnet.name()), ("role", role), ("direction", direction)];
        scrape.count("tcpvitals_tcp_resets_total", &labels)
    };
    Ok(Storm {
        made,
        counted,
        withheld,
        resets: [resets("client", "transmit")?, resets("server", "receive")?],
        outcomes: close(account)?,
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

/// Requires that the kernel's own numbers were reached, but for events that no program could see, and, where a task can lose its
/// processor within a program, for those that are said to be lost.
fn require_equal(pair: &Pair, storm: &Storm) -> Result<()> {
    let (client, server) = (Counters::read(&pair.client)?, Counters::read(&pair.server)?);
    let lost = storm.outcome().excused()?;
    for (role, opened) in [
        ("client", client.get("TcpActiveOpens")?),
        ("server", server.get("TcpPassiveOpens")?),
    ] {
        assert_eq!(u64::try_from(opened)?, storm.made, "{role}");
        let (counted, withheld) = (storm.counted[role], storm.withheld[role]);
        let opened = counted.opened + withheld.opened;
        ensure!(
            (opened..=opened + lost).contains(&storm.made),
            "{role}: {opened} of {} opened, {lost} excused",
            storm.made
        );
        // An end that was withheld is found by the next collection if the socket is still there.
        ensure!(
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
    let (client, server) = (Counters::at_rest(&pair.client)?, Counters::at_rest(&pair.server)?);
    let segments = |direction| {
        let labels = [("subnet", &*subnet), ("role", "server"), ("direction", direction)];
        anyhow::Ok(i64::try_from(scrape.count("tcpvitals_tcp_segments_total", &labels)?)?)
    };
    // SYN-ACKs are sent before there is a connection, and resets without one, by whom what came to no connection was answered.
    let handshakes = [("subnet", &*subnet), ("segment", "synack")];
    let repeated = i64::try_from(scrape.count("tcpvitals_tcp_handshake_retransmits_total", &handshakes)?)?;
    let sent_by = |counters: &Counters| anyhow::Ok(counters.get("TcpOutSegs")? + counters.repeated_after_handshakes()?);
    let resets = server.get("TcpOutRsts")?;
    let sent = sent_by(&server)? - resets - server.get("TcpPassiveOpens")? - repeated;
    let excused = storm.outcome().excused()?;
    // Who does not see a connection open counts from the next event on.
    let Ends { opened, closed } = storm.withheld["server"];
    let missing = i64::try_from((opened + closed + excused) * MOST_SEGMENTS)?;
    for (counted, kernel, what) in [
        (segments("transmit")?, sent, "sent by"),
        (segments("receive")?, sent_by(&client)? - resets, "received by"),
    ] {
        ensure!(
            (0..=missing).contains(&(kernel - counted)),
            "{counted} of {kernel} segments {what} servers, at most {missing} with events that no program could see"
        );
    }
    Ok(())
}

/// What an end of a short connection sends or receives at most, with some sent twice.
const MOST_SEGMENTS: u64 = 8;

/// Requires that each connection's reset was counted at both ends.
fn require_equal_resets(storm: &Storm) -> Result<()> {
    let hooks = [Tracepoint::TcpSendReset, Tracepoint::TcpReceiveReset];
    for (hook, counted) in hooks.into_iter().zip(storm.resets) {
        let outcome = storm.outcomes[hook.name()];
        let unseen = outcome.withheld + outcome.excused()?;
        // Who does not see a connection open does not know whose the reset is.
        let unknown = storm.outcome().withheld + storm.outcome().excused()?;
        ensure!(
            (counted..=counted + unseen + unknown).contains(&storm.made),
            "{}: {counted} of {} resets, {unseen} unseen",
            hook.name(),
            storm.made
        );
        outcome.require_taken_over()?;
    }
    Ok(())
}

/// Requires that a storm of connections that ended so was counted exactly, and that interrupts landed in programs.
fn require_exact(pair: &Pair, exporter: &Exporter<'_>, storm: &Storm, threads: usize, ending: Ending) -> Result<()> {
    require_equal(pair, storm)?;
    match ending {
        Ending::Orderly => require_equal_segments(pair, exporter, storm)?,
        Ending::Reset => require_equal_resets(storm)?,
    }
    if threads == 1 {
        // It waits for its own packets: few interrupts come upon it.
        return storm.outcome().require_taken_over();
    }
    storm.outcome().require_exact()
}

/// Requires that connections over a cable are counted exactly.
pub(super) fn require_exact_over(pair: &Pair, threads: usize, ending: Ending) -> Result<()> {
    let exporter = start(pair.config())?;
    let storm = storm(pair, &exporter, threads, ending)?;
    passes(require_exact(pair, &exporter, &storm, threads, ending))
}

/// Requires that the same fails without second programs, and that `events_lost` says what is missing.
pub(super) fn require_lossy_over(pair: &Pair, ending: Ending) -> Result<()> {
    let (_btf, exporter) = without_second_programs(pair.config())?;
    let storm = storm(pair, &exporter, 4, ending)?;
    let exact = require_exact(pair, &exporter, &storm, 4, ending);
    if has_threaded_softirqs() {
        return passes(exact);
    }
    fails(exact)?;
    let missing: u64 = ["client", "server"]
        .map(|role| storm.made - storm.counted[role].opened - storm.withheld[role].opened)
        .iter()
        .sum();
    assert!(missing > 0, "nothing is missing");
    assert!(
        missing <= storm.outcome().lost(),
        "{missing} openings are missing, {} lost",
        storm.outcome().lost()
    );
    storm.outcome().require_lossy()
}

#[test]
fn connections_from_one_thread_are_counted_exactly() -> Result<()> {
    over_veth(|pair| require_exact_over(pair, 1, Ending::Orderly))
}

#[test]
fn connections_from_two_threads_are_counted_exactly() -> Result<()> {
    over_veth(|pair| require_exact_over(pair, 2, Ending::Orderly))
}

#[test]
fn connections_from_four_threads_are_counted_exactly() -> Result<()> {
    over_veth(|pair| require_exact_over(pair, 4, Ending::Orderly))
}

#[test]
fn without_second_programs_the_same_connections_are_missed() -> Result<()> {
    over_veth(|pair| require_lossy_over(pair, Ending::Orderly))
}

#[test]
fn resets_from_four_threads_are_counted_exactly() -> Result<()> {
    over_veth(|pair| require_exact_over(pair, 4, Ending::Reset))
}

#[test]
fn without_second_programs_the_same_resets_are_missed() -> Result<()> {
    over_veth(|pair| require_lossy_over(pair, Ending::Reset))
}
