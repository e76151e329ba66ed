//! Slots that this CPU has used lately, in front of the hashes that know them all: [`common::memory::recent`] says how they are kept.
#![expect(
    unsafe_code,
    reason = "reads and writes map values that other runs on this CPU use as well"
)]

use crate::{atomic, kernel::offsets::RECENT_MASK};
use aya_ebpf::btf_maps::PerCpuArray;
use common::memory::recent::{RECENT, Recent, Stamp, place};
use core::ptr::{read_volatile, write_volatile};

/// The slot of a key: the one it had lately, or else the one that `look_up` finds.
#[inline(always)]
pub(crate) fn slot_of<const N: usize>(
    recent: &PerCpuArray<Recent<[u64; N]>, { RECENT as usize }>,
    key: [u64; N],
    look_up: impl FnOnce() -> Option<u32>,
) -> Option<u32> {
    let Some(entry) = recent.get_ptr_mut(place(key) & RECENT_MASK.get() as u32) else {
        return look_up();
    };
    // SAFETY: members of a map value.
    let (stamp_at, key_at) = unsafe { (&raw mut (*entry).stamp, (&raw mut (*entry).key).cast::<u64>()) };
    // SAFETY: as above.
    let stamp = Stamp(unsafe { read_volatile(stamp_at) });
    if let Some(slot) = stamp.slot() {
        // SAFETY: as above.
        let (known, after) = unsafe { (holds(key_at, key), read_volatile(stamp_at)) };
        if known && after == stamp.0 {
            return Some(slot);
        }
    }
    let slot = look_up()?;
    if let Some(claimed) = stamp.claimed() {
        // SAFETY: as above; nobody else writes the key until the claim ends.
        unsafe {
            if atomic::replace_at(stamp_at, stamp.0, claimed.0) {
                for (i, word) in key.into_iter().enumerate() {
                    write_volatile(key_at.add(i), word);
                }
                write_volatile(stamp_at, claimed.filled(slot).0);
            }
        }
    }
    Some(slot)
}

/// # Safety
/// `words` points to `N` words of a map value.
#[inline(always)]
unsafe fn holds<const N: usize>(words: *const u64, key: [u64; N]) -> bool {
    let mut difference = 0;
    for (i, word) in key.into_iter().enumerate() {
        // SAFETY: by the contract of this function.
        difference |= word ^ unsafe { read_volatile(words.add(i)) };
    }
    difference == 0
}
