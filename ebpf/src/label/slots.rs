//! Slots: small numbers for wide keys, given out once and never taken back.
#![expect(unsafe_code, reason = "reads map values through the pointers of the helpers")]

use crate::{atomic, maps};
use aya_ebpf::{bindings::BPF_NOEXIST, btf_maps::HashMap, helpers::generated::bpf_ktime_get_boot_ns};
use common::map::slots::{Slot, Table};
use core::ptr::read_volatile;

/// The slot of a key, given out now if it has none; `None` when all `capacity` slots are used. Slot 0 is never given out.
///
/// Two CPUs that meet the same new key take a slot each; the first to enter the table wins, and the other slot stays empty. Nobody counts in
/// a slot before it is in the table, so it is not younger than its first count.
#[inline(always)]
pub(crate) fn slot_of<K, const N: usize>(
    map: &HashMap<K, Slot, N>,
    key: &K,
    table: Table,
    capacity: u64,
) -> Option<u32> {
    // SAFETY: entries are never removed, so the reference stays valid.
    if let Some(slot) = unsafe { map.get(key) } {
        return Some(slot.number);
    }
    let used = maps::SLOTS_USED.get_ptr_mut(table as u32)?;
    // SAFETY: a word of a map value.
    let number = unsafe {
        if read_volatile(used) + 1 >= capacity {
            return None;
        }
        atomic::fetch_add(used, 1) + 1
    };
    if number >= capacity {
        return None;
    }
    let slot = Slot {
        // SAFETY: the helper takes nothing. It counts the time that the machine sleeps, so that it keeps up with the time of day.
        born: unsafe { bpf_ktime_get_boot_ns() },
        number: number as u32,
        padding: 0,
    };
    if map.insert(key, slot, BPF_NOEXIST as u64).is_ok() {
        return Some(slot.number);
    }
    // SAFETY: as above.
    unsafe { map.get(key) }.map(|slot| slot.number)
}
