//! Sizes of ring buffers, as part of the plan.

use crate::plan::Plan;
use common::map::catalog::Map;

impl Plan {
    /// The plan with a ring buffer of `bytes`, or the next power of two.
    pub fn with_ring<K, V>(mut self, map: Map<K, V>, bytes: u32) -> Self {
        self.rings
            .push((map.name(), bytes.checked_next_power_of_two().unwrap_or(1 << 31)));
        self
    }

    /// Size of a ring buffer that somebody reads, in bytes; 0 of another.
    pub fn ring<K, V>(&self, map: Map<K, V>) -> u32 {
        let sizes = self.rings.iter().filter(|(name, _)| *name == map.name());
        sizes.map(|(_, bytes)| *bytes).next_back().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{
        plan,
        purpose::{Purpose, Selection},
        tests::everything,
    };
    use common::map::catalog::EVENTS;

    #[test]
    fn a_size_is_a_power_of_two() {
        let plan = || plan(Selection::default(), &everything(), Purpose::Trace).unwrap();
        assert_eq!(plan().ring(EVENTS), 0);
        assert_eq!(plan().with_ring(EVENTS, 5000).ring(EVENTS), 8192);
        assert_eq!(plan().with_ring(EVENTS, 4096).ring(EVENTS), 4096);
        assert_eq!(plan().with_ring(EVENTS, u32::MAX).ring(EVENTS), 1 << 31);
    }
}
