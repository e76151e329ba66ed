//! Transfers under loss, both ways at once, against the counters of both namespaces.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use common::kernel::tracepoints::Tracepoint;
use tests::exporter::scrape::Scrape;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::Counters;
use tests::kernel::hook_account::{Account, Outcome};
use tests::kernel::kernel_facts::{has_threaded_softirqs, skip};
use tests::machine::settings::{is_emulated, scaled};
use tests::machine::wait::{Deadline, timed};
use tests::net::nft;
use tests::net::pair::{DEVICE, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{Ends, Flow, settle};

use super::{close, fails, over_veth, passes, tell_load, without_second_programs};
use crate::account::{End, require_equal};

const HOOKS: [Tracepoint; 3] = [
    Tracepoint::TcpProbe,
    Tracepoint::TcpRetransmitSkb,
    Tracepoint::TcpCongStateSet,
];

/// Of a hundred packets so many are lost.
const LOST: u8 = 2;

/// How long it lasts at most, if the kernel skips too little.
const LONGEST: Duration = Duration::from_secs(60);

/// Flows over a cable, and what came of the hooks that they reach.
struct Storm {
    ends: Vec<Ends>,
    /// Of the time between the last segment and the end of the flows.
    scrape: Scrape,
    outcomes: BTreeMap<&'static str, Outcome>,
}

/// Transfers over a cable, whose packets are segments, until enough interrupts have landed in programs, with a collection each 100 ms.
fn storm(pair: &Pair, exporter: &Exporter<'_>) -> Result<Storm> {
    let flows = [Family::V4, Family::V6, Family::V4, Family::V6]
        .into_iter()
        .zip(7200..)
        .map(|(family, port)| Flow::open(pair, family, port))
        .collect::<Result<Vec<_>>>()?;
    for namespace in [&pair.client, &pair.server] {
        namespace.exec(&format!("ip link set dev {DEVICE} gso_max_segs 1"))?;
        let lost = format!("meta l4proto tcp numgen random mod 100 < {LOST}");
        nft::drop_matching(namespace, "prerouting", &lost)?;
    }
    let account = Account::open(exporter, &HOOKS)?;
    let (took, done) = timed(|| transfer(exporter, &account, &flows));
    done?;
    let ends = settle(&flows)?;
    let scrape = exporter.scrape()?;
    let segments = ends.iter().map(|ends| ends.both(|end| end.segs_out.into())).sum();
    tell_load(segments, "segments", took);
    Ok(Storm {
        ends,
        scrape,
        outcomes: close(account)?,
    })
}

/// Both ways at once.
fn transfer(exporter: &Exporter<'_>, account: &Account<'_>, flows: &[Flow]) -> Result<()> {
    let most = Deadline::after(LONGEST);
    let bytes = usize::try_from(scaled(2_000_000))?;
    loop {
        thread::scope(|scope| {
            let transfers: Vec<_> = flows
                .iter()
                .map(|flow| scope.spawn(move || flow.exchange(bytes, bytes)))
                .collect();
            while !transfers.iter().all(thread::ScopedJoinHandle::is_finished) {
                exporter.scrape()?;
                thread::sleep(Duration::from_millis(100));
            }
            for transfer in transfers {
                transfer.join().unwrap_or_else(|_| bail!("a transfer panicked"))?;
            }
            anyhow::Ok(())
        })?;
        if account.is_provoked(Tracepoint::TcpProbe)? || most.passed() {
            return Ok(());
        }
    }
}

/// Requires that retransmissions, and what the kernel says of each socket, were counted, and that interrupts landed in programs.
fn require_exact(pair: &Pair, storm: &Storm) -> Result<()> {
    let (scrape, subnet) = (&storm.scrape, pair.subnet()?.name());
    let retransmissions = storm.outcomes[Tracepoint::TcpRetransmitSkb.name()];
    let unseen = retransmissions.withheld + retransmissions.excused()?;
    for (end, namespace) in End::BOTH.into_iter().zip([&pair.client, &pair.server]) {
        let repeated = u64::try_from(Counters::read(namespace)?.repeated_after_handshakes()?)?;
        let labels = [("subnet", &*subnet), ("role", end.role())];
        let counted = scrape.count("tcpvitals_tcp_retransmitted_segments_total", &labels)?;
        ensure!(
            (counted..=counted + unseen).contains(&repeated),
            "{end:?}: {counted} of {repeated} retransmissions, {unseen} unseen"
        );
        let sockets: Vec<_> = storm.ends.iter().map(|ends| end.of(ends)).collect();
        require_equal(scrape, &subnet, end, &sockets)?;
    }
    for outcome in storm.outcomes.values() {
        outcome.require_taken_over()?;
    }
    if is_emulated() {
        // There are too few samples for interrupts to land among them.
        return samples(storm).require_taken_over();
    }
    samples(storm).require_exact()
}

fn samples(storm: &Storm) -> Outcome {
    storm.outcomes[Tracepoint::TcpProbe.name()]
}

/// Requires that transfers over a cable are counted exactly.
pub(super) fn require_exact_over(pair: &Pair) -> Result<()> {
    let exporter = start(pair.config())?;
    let storm = storm(pair, &exporter)?;
    passes(require_exact(pair, &storm))
}

/// Requires that the same fails without second programs, and that `events_lost` says what is missing.
pub(super) fn require_lossy_over(pair: &Pair) -> Result<()> {
    if is_emulated() {
        skip("an emulated processor has too few samples for interrupts to land among them");
        return Ok(());
    }
    let (_btf, exporter) = without_second_programs(pair.config())?;
    let storm = storm(pair, &exporter)?;
    let exact = require_exact(pair, &storm);
    if has_threaded_softirqs() {
        return passes(exact);
    }
    fails(exact)?;
    samples(&storm).require_lossy()
}

#[test]
fn transfers_both_ways_at_once_are_counted_exactly() -> Result<()> {
    over_veth(require_exact_over)
}

#[test]
fn without_second_programs_the_same_transfers_are_missed() -> Result<()> {
    over_veth(require_lossy_over)
}
