//! Transfers under loss, both ways at once, against the counters of both namespaces.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use common::kernel::tracepoints::Tracepoint;
use tests::exporter::{Exporter, start};
use tests::kernel::counters::Counters;
use tests::kernel::hook_account::Account;
use tests::machine::settings::{is_emulated, scaled};
use tests::machine::turn;
use tests::machine::wait::Deadline;
use tests::net::nft;
use tests::net::pair::{Cable, Pair};
use tests::net::subnet::Family;
use tests::net::traffic::{Flow, settle};

use super::close;
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

/// Transfers until enough interrupts have landed in programs, with a collection each 100 ms.
fn storm(exporter: &Exporter<'_>, account: &Account<'_>, flows: &[Flow]) -> Result<()> {
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

/// Requires that transfers over a cable, whose packets are segments, are counted exactly.
fn require_exact_over(pair: &Pair) -> Result<()> {
    let exporter = start(pair.config())?;
    let flows = [Family::V4, Family::V6, Family::V4, Family::V6]
        .into_iter()
        .zip(7200..)
        .map(|(family, port)| Flow::open(pair, family, port))
        .collect::<Result<Vec<_>>>()?;
    for namespace in [&pair.client, &pair.server] {
        let lost = format!("meta l4proto tcp numgen random mod 100 < {LOST}");
        nft::drop_matching(namespace, "prerouting", &lost)?;
    }
    let account = Account::open(&exporter, &HOOKS)?;
    storm(&exporter, &account, &flows)?;
    let ends = settle(&flows)?;
    let outcomes = close(account)?;

    let (scrape, subnet) = (exporter.scrape()?, pair.subnet()?.name());
    let retransmissions = outcomes[Tracepoint::TcpRetransmitSkb.name()];
    let unseen = retransmissions.withheld + retransmissions.lost();
    for (end, namespace) in End::BOTH.into_iter().zip([&pair.client, &pair.server]) {
        let repeated = u64::try_from(Counters::read(namespace)?.repeated_after_handshakes()?)?;
        let labels = [("subnet", &*subnet), ("role", end.role())];
        let counted = scrape.count("tcpvitals_tcp_retransmitted_segments_total", &labels)?;
        assert!(
            (counted..=counted + unseen).contains(&repeated),
            "{end:?}: {counted} of {repeated} retransmissions, {unseen} unseen"
        );
        let sockets: Vec<_> = ends.iter().map(|ends| end.of(ends)).collect();
        require_equal(&scrape, &subnet, end, &sockets)?;
    }
    let samples = outcomes[Tracepoint::TcpProbe.name()];
    if is_emulated() {
        // There are too few samples for interrupts to land among them.
        return samples.require_taken_over();
    }
    samples.require_exact()
}

#[test]
fn transfers_are_counted_exactly_while_softirqs_land_in_programs() -> Result<()> {
    let _turn = turn::alone()?;
    require_exact_over(&Pair::with(Cable {
        one_segment_per_packet: true,
        is_spread: true,
        ..Cable::default()
    })?)
}
