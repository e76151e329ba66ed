//! Shards: the copies of a table of counters. A CPU counts in one of them, a reader adds them all up. So CPUs seldom or
//! never write the same memory, and the tables do not grow with the number of CPUs beyond [`Shards::MOST`].
//!
//! A shard is one piece of memory: the entry of a slot is `shard * stride + slot`.

/// Which CPU counts in which shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// The CPUs 0 to `own - 1` have a shard each, of the same number: nobody else counts there.
    pub own: u32,
    /// How many shards follow for all other CPUs: none, or a power of two.
    pub shared: u32,
    /// How many of those, times `SCALE`, lie between two neighboring CPUs.
    pub spread: u32,
}

impl Shards {
    /// Most shards: a copy for each CPU up to so many.
    pub const MOST: u32 = 16;

    const SCALE: u32 = 1 << 16;

    /// One shard in which all CPUs count.
    pub const ONE: Self = Self {
        own: 0,
        shared: 1,
        spread: 0,
    };

    /// The shards of a machine. `possible` is the largest number that a CPU may have and `online` the largest that one has
    /// now, each plus one. A CPU that comes later finds a shared shard.
    pub const fn of_machine(possible: u32, online: u32) -> Self {
        if possible <= Self::MOST {
            return Self {
                own: possible,
                shared: 0,
                spread: 0,
            };
        }
        if online <= Self::MOST {
            // The last one is for those that come later.
            let own = if online < Self::MOST { online } else { Self::MOST - 1 };
            return Self { own, ..Self::ONE };
        }
        Self {
            own: 0,
            shared: Self::MOST,
            // Neighbors share a shard: they are more often of one socket and one cache.
            spread: (Self::MOST * Self::SCALE).div_ceil(online),
        }
    }

    /// How many there are.
    pub const fn count(self) -> u32 {
        self.own + self.shared
    }

    /// The shard of a CPU, and whether nobody else counts there.
    #[inline(always)]
    pub const fn of(self, cpu: u32) -> (u32, bool) {
        // The first condition is known when the programs are loaded: without shared shards the verifier takes out the second.
        if self.shared == 0 || cpu < self.own {
            return (cpu, true);
        }
        // No kernel has so many CPUs that this wraps.
        let nearest = cpu.wrapping_mul(self.spread) / Self::SCALE;
        (self.own + (nearest & (self.shared - 1)), false)
    }
}

/// Entries from a shard to the next, for so many slots: no cache line is part of two shards.
#[inline(always)]
pub const fn stride(slots: u32) -> u32 {
    /// As many values of whole words as always fill whole cache lines of 64 bytes.
    const LINES: u32 = 8;
    slots.div_ceil(LINES) * LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many CPUs count in each shard.
    fn users(shards: Shards, cpus: u32) -> [u32; Shards::MOST as usize] {
        let mut users = [0; Shards::MOST as usize];
        for cpu in 0..cpus {
            let (shard, is_own) = shards.of(cpu);
            assert_eq!(is_own, cpu < shards.own, "{cpu}");
            assert!(shard < shards.count(), "{cpu}");
            users[shard as usize] += 1;
        }
        users
    }

    #[test]
    fn up_to_sixteen_cpus_each_has_a_shard() {
        for possible in 1..=16 {
            for online in 1..=possible {
                let shards = Shards::of_machine(possible, online);
                assert_eq!((shards.own, shards.shared), (possible, 0));
                let users = users(shards, possible);
                assert!(users[..possible as usize].iter().all(|users| *users == 1), "{users:?}");
            }
        }
    }

    #[test]
    fn cpus_that_are_not_there_have_one_shard_together() {
        for possible in [17, 64, 128, 512] {
            for (online, own) in [(1, 1), (2, 2), (15, 15), (16, 15)] {
                let shards = Shards::of_machine(possible, online);
                assert_eq!((shards.own, shards.shared), (own, 1), "{online} of {possible}");
                let users = users(shards, possible);
                let (each, [others, ..]) = users.split_at(own as usize) else {
                    unreachable!();
                };
                assert!(each.iter().all(|users| *users == 1), "{users:?}");
                assert_eq!(*others, possible - own);
            }
        }
    }

    #[test]
    fn more_cpus_spread_evenly_over_sixteen_shards() {
        for (possible, online) in [
            (17, 17),
            (64, 17),
            (64, 48),
            (128, 96),
            (128, 128),
            (512, 512),
            (8192, 8192),
        ] {
            let shards = Shards::of_machine(possible, online);
            assert_eq!((shards.own, shards.shared), (0, 16));
            let users = users(shards, online);
            let (least, most) = (online / 16, online.div_ceil(16));
            assert!(
                users.iter().all(|users| (least..=most).contains(users)),
                "{online}: {users:?}"
            );
        }
        // Those that come later are spread, too.
        assert_eq!(users(Shards::of_machine(512, 128), 512), [32; 16]);
    }

    #[test]
    fn one_shard_is_for_all() {
        assert_eq!(users(Shards::ONE, 512)[0], 512);
    }

    #[test]
    fn a_stride_holds_all_slots_and_whole_cache_lines() {
        for slots in [1, 2, 8, 9, 1000] {
            let stride = stride(slots);
            assert!(stride >= slots && stride < slots + 8);
            assert_eq!(stride as usize * size_of::<u64>() % 64, 0);
        }
    }
}
