//! The same over network cards of a guest, whose interrupts come upon whatever runs on the processor that they are pinned to.

use std::time::Duration;

use anyhow::Result;
use tests::kernel::kernel_facts::skip;
use tests::machine::turn;
use tests::net::devices::cards;
use tests::net::pair::Pair;
use tests::net::traffic::Ending;

use super::{connections, drops, is_alone, transfers};

/// Between two datagrams, so that each interrupts: a card that floods a processor is polled by a task, which interrupts nothing.
const REST: Duration = Duration::from_micros(200);

/// Does `work` over cards, alone on the machine, if there are any.
fn over_cards(work: impl FnOnce(&Pair) -> Result<()>) -> Result<()> {
    let _turn = turn::alone()?;
    if is_alone()? {
        return Ok(());
    }
    match cards::pair()? {
        Some(pair) => work(&pair),
        None => {
            skip("this machine has no two network cards that are joined");
            Ok(())
        }
    }
}

#[test]
fn connections_from_four_threads_are_counted_exactly() -> Result<()> {
    over_cards(|pair| connections::require_exact_over(pair, 4, Ending::Orderly))
}

#[test]
fn resets_from_four_threads_are_counted_exactly() -> Result<()> {
    over_cards(|pair| connections::require_exact_over(pair, 4, Ending::Reset))
}

#[test]
fn drops_of_tasks_and_softirqs_at_once_are_counted_exactly() -> Result<()> {
    over_cards(|pair| drops::require_exact_over(pair, REST))
}

#[test]
fn transfers_both_ways_at_once_are_counted_exactly() -> Result<()> {
    over_cards(transfers::require_exact_over)
}

#[test]
fn without_second_programs_the_same_connections_are_missed() -> Result<()> {
    over_cards(|pair| connections::require_lossy_over(pair, Ending::Orderly))
}

#[test]
fn without_second_programs_the_same_resets_are_missed() -> Result<()> {
    over_cards(|pair| connections::require_lossy_over(pair, Ending::Reset))
}

#[test]
fn without_second_programs_the_same_drops_are_missed() -> Result<()> {
    over_cards(|pair| drops::require_lossy_over(pair, REST))
}

#[test]
fn without_second_programs_the_same_transfers_are_missed() -> Result<()> {
    over_cards(transfers::require_lossy_over)
}
