//! Counting drops: one slot for each set of labels, whichever hook reports them.
#![expect(unsafe_code, reason = "counters are reached through raw pointers into map values")]

pub(crate) mod capture;
pub(crate) mod losses;
pub(crate) mod notes;

use crate::{
    atomic,
    kernel::offsets::{DROP_CAPACITY, DROP_STRIDE},
    label::{recent, slots},
    maps::{DROP_SLOTS, DROPS, NAMED_DROP_SLOTS, RECENT_DROPS, lost::count_lost},
    shards::Entry,
};
use common::{
    drops::{DropCounts, DropKey, DropSource, NamedDropKey, PacketCount},
    kernel::tracepoints::Run,
    map::{lost::Lost, slots::Table},
};

/// Counts a packet that the network stack drops, and returns the slot that it counts in.
#[inline(always)]
pub(crate) fn count(key: &DropKey, bytes: u32, run: Run) -> u32 {
    let key = key.words();
    let slot = recent::slot_of(&RECENT_DROPS, key, || {
        slots::slot_of(&DROP_SLOTS, &key, Table::Drops, DROP_CAPACITY.get())
    });
    let slot = or_other(slot, DropSource::Software);
    if let Some((counts, is_own)) = row(slot) {
        // SAFETY: members of a map value, of this CPU if `is_own`. The programs of `kfree_skb` alone count what the network stack
        // drops, each in a count of its own: rows of other sources have slots of their own.
        unsafe {
            let count = of_run(counts, run);
            atomic::add_of_program(&raw mut (*count).packets, 1, is_own);
            atomic::add_of_program(&raw mut (*count).bytes, bytes as u64, is_own);
        }
    }
    slot
}

/// Counts segments that TCP sends again of what was dropped in a slot.
#[inline(always)]
pub(crate) fn count_repeated(slot: u32, segments: u64) {
    if let Some((counts, _)) = row(slot) {
        // SAFETY: a member of a map value.
        unsafe { atomic::add(&raw mut (*counts).repeated, segments) };
    }
}

/// Counts packets that somebody else drops.
#[inline(always)]
pub(crate) fn count_named(key: &NamedDropKey, source: DropSource, packets: u64, bytes: u32) {
    let slot = slots::slot_of(&NAMED_DROP_SLOTS, key, Table::Drops, DROP_CAPACITY.get());
    if let Some((counts, _)) = row(or_other(slot, source)) {
        // SAFETY: members of a map value.
        unsafe {
            let count = of_run(counts, Run::First);
            atomic::add(&raw mut (*count).packets, packets);
            atomic::add(&raw mut (*count).bytes, bytes as u64);
        }
    }
}

/// The slot, or without one that of the row `other` of the source, which is counted.
#[inline(always)]
fn or_other(slot: Option<u32>, source: DropSource) -> u32 {
    slot.unwrap_or_else(|| {
        count_lost(Lost::DropOverflow);
        source.other_slot()
    })
}

/// The counts of a slot that this CPU writes, and whether no other CPU does.
#[inline(always)]
fn row(slot: u32) -> Option<(*mut DropCounts, bool)> {
    let Entry { index, is_own } = Entry::of_slot(slot, DROP_STRIDE.get());
    Some((DROPS.get_ptr_mut(index)?, is_own))
}

/// The count of one program.
///
/// # Safety
/// `counts` points to a map value that the verifier has checked.
#[inline(always)]
unsafe fn of_run(counts: *mut DropCounts, run: Run) -> *mut PacketCount {
    // SAFETY: one of the counts of the map value.
    unsafe { (&raw mut (*counts).by_run).cast::<PacketCount>().add(run as usize) }
}
