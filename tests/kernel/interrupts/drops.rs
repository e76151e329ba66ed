//! Datagrams that tasks drop on their way out while softirqs drop others on their way in, on both processors.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::kernel::tracepoints::Tracepoint;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::Counters;
use tests::kernel::hook_account::{Account, Outcome};
use tests::kernel::kernel_facts::{has_threaded_softirqs, note};
use tests::net::nft;
use tests::net::pair::Pair;

use super::flood::flood;
use super::{close, fails, over_veth, passes, tell_load, without_second_programs};

/// Where a filter of the sender drops.
const FILTERED: u16 = 9001;
/// Where nobody listens.
const CLOSED: u16 = 9002;

/// How long it lasts at least.
const STORM: Duration = Duration::from_secs(3);
/// How often the exporter collects meanwhile.
const COLLECTION: Duration = Duration::from_millis(100);

/// What was dropped, by the kernel's word and by the exporter's.
struct Storm {
    /// On the way out and on the way in.
    dropped: [u64; 2],
    counted: [u64; 2],
    outcome: Outcome,
}

/// Floods both ports, that of the way in with a rest after each datagram.
fn storm(pair: &Pair, exporter: &Exporter<'_>, rest: Duration) -> Result<Storm> {
    nft::drop_matching(&pair.client, "output", &format!("udp dport {FILTERED}"))?;
    let account = Account::open(exporter, &[Tracepoint::KfreeSkb])?;
    let (before, drops_before) = (exporter.scrape()?, Counters::read(&pair.server)?);
    let ports = [(FILTERED, Duration::ZERO), (CLOSED, rest)];
    let took = flood(pair, ports, STORM, COLLECTION, || {
        exporter.scrape()?;
        account.is_provoked(Tracepoint::KfreeSkb)
    })?;
    let closed = Counters::at_rest(&pair.server)?.since(&drops_before, "UdpNoPorts")?;
    let scrape = exporter.scrape()?.since(&before);
    let subnet = pair.subnet()?.name();
    let counted = |direction: &str, reason: &str| -> Result<u64> {
        let labels = [
            ("subnet", &*subnet),
            ("direction", direction),
            ("reason", reason),
            ("protocol", "udp"),
        ];
        scrape.count("tcpvitals_dropped_packets_total", &labels)
    };
    let storm = Storm {
        dropped: [nft::dropped(&pair.client)?.packets, u64::try_from(closed)?],
        counted: [counted("transmit", "NETFILTER_DROP")?, counted("receive", "NO_SOCKET")?],
        outcome: close(account)?[Tracepoint::KfreeSkb.name()],
    };
    tell_load(storm.dropped.iter().sum(), "packets", took);
    note(&format!("dropped {:?}, counted {:?}", storm.dropped, storm.counted));
    Ok(storm)
}

/// Requires that each drop was counted, and that interrupts landed in the program.
fn require_exact(storm: &Storm) -> Result<()> {
    // A task drops at its own will: over threads of init there are none of these.
    let (lost, withheld) = (storm.outcome.excused()?, storm.outcome.withheld);
    for (way, withheld) in [(0, 0), (1, withheld)] {
        let (counted, dropped) = (storm.counted[way], storm.dropped[way]);
        ensure!(
            (counted..=counted + lost + withheld).contains(&dropped),
            "on the way {}: {counted} of {dropped} drops, {lost} excused, {withheld} withheld",
            ["out", "in"][way]
        );
    }
    storm.outcome.require_exact()
}

/// Requires that drops over a cable are counted exactly.
pub(super) fn require_exact_over(pair: &Pair, rest: Duration) -> Result<()> {
    let exporter = start(pair.config())?;
    passes(require_exact(&storm(pair, &exporter, rest)?))
}

/// Requires that the same fails without second programs, and that `events_lost` says what is missing.
pub(super) fn require_lossy_over(pair: &Pair, rest: Duration) -> Result<()> {
    let (_btf, exporter) = without_second_programs(pair.config())?;
    let storm = storm(pair, &exporter, rest)?;
    if has_threaded_softirqs() {
        return passes(require_exact(&storm));
    }
    fails(require_exact(&storm))?;
    let missing: u64 = (0..2).map(|way| storm.dropped[way] - storm.counted[way]).sum();
    assert!(missing > storm.outcome.withheld, "{missing} are missing");
    assert!(
        missing <= storm.outcome.lost() + storm.outcome.withheld,
        "{missing} are missing, {} lost",
        storm.outcome.lost()
    );
    storm.outcome.require_lossy()
}

#[test]
fn drops_of_tasks_and_softirqs_at_once_are_counted_exactly() -> Result<()> {
    over_veth(|pair| require_exact_over(pair, Duration::ZERO))
}

#[test]
fn without_second_programs_the_same_drops_are_missed() -> Result<()> {
    over_veth(|pair| require_lossy_over(pair, Duration::ZERO))
}
