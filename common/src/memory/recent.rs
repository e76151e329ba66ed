//! Keys that a CPU has looked up lately and the slots they have. A look-up in a hash costs more than the rest of counting a drop;
//! drops and connections come in runs with the same labels.
//!
//! A run of a program may be interrupted by another one on the same CPU, or lose the CPU to it, while it reads or writes an
//! entry. So a writer claims the entry first, and a reader believes what it has read only if the stamp is the same before and
//! after.

/// Entries in a table, as a power of two.
const BITS: u32 = 6;
/// Most entries in a table.
pub const RECENT: u32 = 1 << BITS;

/// Entries in a table on each of so many possible CPUs, a power of two: fewer where there are many, so that all tables
/// together stay small.
pub const fn entries(cpus: u32) -> u32 {
    /// Of one table, on all CPUs.
    const ALL: u32 = 4096;
    /// Still of use: drops and connections come in runs.
    const LEAST: u32 = 8;
    let mut entries = RECENT;
    while entries > LEAST && entries * cpus > ALL {
        entries /= 2;
    }
    entries
}

/// The value of the maps `RECENT_GROUPS` and `RECENT_DROPS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Recent<K> {
    /// A [`Stamp`].
    pub stamp: u64,
    /// The key whose slot the stamp names.
    pub key: K,
}

/// What an entry is worth: how often it was claimed in the upper half, the slot in the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub u64);

impl Stamp {
    /// In place of the slot while somebody writes the key. No table has that many slots.
    const CLAIMED: u64 = u32::MAX as u64;
    const SLOT: u64 = u32::MAX as u64;

    /// The slot; `None` while there is none to be believed. Slot 0 is never given out.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    #[inline(always)]
    pub const fn slot(self) -> Option<u32> {
        match self.0 & Self::SLOT {
            0 | Self::CLAIMED => None,
            slot => Some(slot as u32),
        }
    }

    /// The stamp by which a writer claims the entry; `None` while another one has it.
    #[inline(always)]
    pub const fn claimed(self) -> Option<Self> {
        match self.0 & Self::SLOT {
            Self::CLAIMED => None,
            slot => Some(Self((self.0 - slot).wrapping_add(1 << 32) | Self::CLAIMED)),
        }
    }

    /// The stamp that ends a claim.
    #[inline(always)]
    pub const fn filled(self, slot: u32) -> Self {
        Self(self.0 & !Self::SLOT | slot as u64)
    }
}

/// The entry for a key of these words in the largest table, below [`RECENT`]; a smaller one uses the lower bits.
#[inline(always)]
pub const fn place<const N: usize>(words: [u64; N]) -> u32 {
    (mixed(words) >> (u64::BITS - BITS)) as u32
}

/// A hash of these words, of which the upper bits are the best.
#[inline(always)]
pub const fn mixed<const N: usize>(words: [u64; N]) -> u64 {
    /// 2^64 divided by the golden ratio: its multiples spread over the upper bits (Knuth, 6.4).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum: u64 = 0;
    let mut i = 0;
    while i < N {
        // Odd factors that differ, so that words that change places do not meet.
        sum = sum.wrapping_add(words[i].wrapping_mul(2 * i as u64 + 1));
        i += 1;
    }
    // Once is not enough for addresses, which are multiples of 16.
    let mixed = sum.wrapping_mul(SPREAD);
    (mixed ^ mixed >> 32).wrapping_mul(SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_names_its_slot_only_when_filled() {
        let empty = Stamp(0);
        assert_eq!(empty.slot(), None);
        let claimed = empty.claimed().unwrap();
        assert_eq!(claimed.slot(), None);
        assert_eq!(claimed.claimed(), None);
        let filled = claimed.filled(7);
        assert_eq!(filled.slot(), Some(7));
        assert_ne!(filled.claimed().unwrap().filled(7), filled);
    }

    #[test]
    fn tables_shrink_where_cpus_are_many() {
        for (cpus, expected) in [(1, 64), (2, 64), (64, 64), (65, 32), (128, 32), (512, 8), (8192, 8)] {
            assert_eq!(entries(cpus), expected, "{cpus}");
        }
    }

    #[test]
    fn claims_are_counted_in_a_circle() {
        let last = Stamp(u64::MAX << 32 | 9);
        assert_eq!(last.claimed().unwrap().filled(9), Stamp(9));
    }

    #[test]
    fn neighbors_spread_over_the_table() {
        let mut hits = [0; RECENT as usize];
        for number in 0..u64::from(RECENT) {
            hits[place([0xffff_ffff_8100_0000 + 16 * number, 2, 3]) as usize] += 1;
        }
        assert!(hits.iter().all(|hits| *hits <= 4), "{hits:?}");
        assert_ne!(place([1, 2]), place([2, 1]));
    }
}
