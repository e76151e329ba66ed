//! Where a CPU counts: [`common::map::shards`] says which one in which shard.
#![expect(unsafe_code, reason = "the number of this CPU is a helper's to say")]

use crate::kernel::offsets::{SHARDS_OWN, SHARDS_SHARED, SHARDS_SPREAD};
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use common::map::shards::Shards;

/// An entry of a table in shards.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The index into the map.
    pub(crate) index: u32,
    /// Whether it is this CPU's own: no other one counts there.
    pub(crate) is_own: bool,
}

impl Entry {
    /// That of a slot on this CPU, in a table whose shards lie `stride` entries from each other.
    #[inline(always)]
    pub(crate) fn of_slot(slot: u32, stride: u64) -> Self {
        let shards = Shards {
            own: SHARDS_OWN.get() as u32,
            shared: SHARDS_SHARED.get() as u32,
            spread: SHARDS_SPREAD.get() as u32,
        };
        // SAFETY: the helper takes nothing, and programs stay on their CPU.
        let (shard, is_own) = shards.of(unsafe { bpf_get_smp_processor_id() });
        Self {
            index: shard * stride as u32 + slot,
            is_own,
        }
    }
}
