//! The same over network cards of a guest, whose interrupts come upon whatever runs on the processor that they are pinned to.

use anyhow::Result;
use tests::kernel::kernel_facts::{has_threaded_softirqs, skip};
use tests::machine::turn;
use tests::net::devices::cards;
use tests::net::pair::Pair;

use super::{connections, drops};

/// Does `work` over cards, alone on the machine, if there are any.
fn over_cards(work: impl FnOnce(&Pair) -> Result<()>) -> Result<()> {
    let _turn = turn::alone()?;
    match cards::pair()? {
        Some(pair) => work(&pair),
        None => {
            skip("this machine has no two network cards that are joined");
            Ok(())
        }
    }
}

/// The same where something is missed without second programs.
fn over_cards_lossy(work: impl FnOnce(&Pair) -> Result<()>) -> Result<()> {
    if has_threaded_softirqs() {
        skip("softirqs are threads and cannot come upon a program: nothing is missed without second programs either");
        return Ok(());
    }
    over_cards(work)
}

#[test]
fn connections_are_counted_exactly_while_interrupts_land_in_programs() -> Result<()> {
    over_cards(|pair| connections::require_exact_over(pair, 4))
}

#[test]
fn connections_that_are_reset_are_counted_exactly_while_interrupts_land_in_programs() -> Result<()> {
    over_cards(connections::require_exact_resets_over)
}

#[test]
fn drops_are_counted_exactly_while_interrupts_land_in_programs() -> Result<()> {
    over_cards(drops::require_exact_over)
}

#[test]
fn without_second_programs_connections_over_cards_are_missed() -> Result<()> {
    over_cards_lossy(connections::require_lossy_over)
}

#[test]
fn without_second_programs_drops_over_cards_are_missed() -> Result<()> {
    over_cards_lossy(drops::require_lossy_over)
}
