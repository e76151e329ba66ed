//! One reading: run the fold and read the maps. Names are asked for later, by number.

pub mod cgroups;
pub(crate) mod dump;
mod error;
pub mod events;
mod listeners;
mod names;
pub mod packets;
mod reading;
mod walk;

use crate::{
    Kernel,
    plan::HELPERS,
    sys::syscall::{self, MapIterator},
};
use aya::programs::Program;
use common::{
    drops::{DropCounts, DropKey, DropRow, DropSource},
    kernel::tracepoints::{Run, Tracepoint},
    map::{
        catalog::{
            ALGORITHMS, DROP_SLOTS, DROPS, EPOCH, FLOW_TABLE, GROUP_SLOTS, GROUPS, LISTENER_TABLE, LOST, Map,
            NAMED_DROP_SLOTS, PerCpu, SAMPLES, SLOTS_USED, TAKEN_OVER,
        },
        lost::{Lost, Misses},
        slots::{Slot, Table},
    },
    tcp::{
        group::{GroupCounters, GroupKey, OTHER_SLOT},
        samples::MOST_ALGORITHMS,
    },
    text::Name,
};
pub use error::ReadError;
pub use reading::{DropReading, GroupReading, Reading};
use std::{
    collections::{BTreeMap, HashMap},
    os::fd::AsFd as _,
};

#[expect(clippy::cast_possible_truncation, reason = "a handful of tracepoints")]
const TRACEPOINTS: u32 = Tracepoint::COUNT as u32;

/// What the last reading found.
#[derive(Debug, Default)]
pub struct LastRead {
    /// The keys and births of slots, which are given out once and never taken back.
    groups: HashMap<u32, Known<GroupKey>>,
    drops: HashMap<u32, Known<DropRow>>,
    misses: BTreeMap<&'static str, Misses>,
}

impl LastRead {
    /// What [`Kernel::misses`] says now. What it says to be lost is never too much, and too little while events come: so the most that it
    /// has said stands.
    fn with_misses(&mut self, mut now: BTreeMap<&'static str, Misses>) -> BTreeMap<&'static str, Misses> {
        for (program, misses) in &mut now {
            let lost = self.misses.get(program).map_or(0, |before| before.lost());
            misses.taken_over = misses.taken_over.min(misses.skipped.saturating_sub(lost));
        }
        self.misses.clone_from(&now);
        now
    }
}

/// What is known of a slot.
#[derive(Clone, Copy, Debug)]
struct Known<K> {
    key: K,
    born: u64,
}

impl Kernel {
    /// Runs the fold and reads all maps. `epoch` is larger than at every earlier call.
    ///
    /// # Errors
    /// [`ReadError`] when the kernel refuses one of the steps.
    pub fn read(&mut self, epoch: u64, known: &mut LastRead) -> Result<Reading, ReadError> {
        self.object.set(EPOCH, 0, epoch).map_err(ReadError::Epoch)?;
        if let Some(fold) = self.fold.clone() {
            self.visit(&fold, FLOW_TABLE, MapIterator::run, ReadError::Fold)?;
        }
        if let Some(fold) = self.fold_listeners.clone() {
            self.visit(&fold, LISTENER_TABLE, MapIterator::run, ReadError::Fold)?;
        }
        if let Some(sample) = self.sample_listeners.clone() {
            self.visit(&sample, LISTENER_TABLE, MapIterator::run, ReadError::Fold)?;
        }
        let (slots, drops) = self.used_slots()?;
        let groups = self.read_groups(slots, epoch, &mut known.groups)?;
        Ok(Reading {
            listeners: self.read_listeners(epoch, slots, &groups)?,
            groups,
            drops: self.read_drops(drops, &mut known.drops)?,
            algorithms: self.read_algorithms(epoch)?,
            lost: self.read_lost()?,
            misses: known.with_misses(self.misses()?),
        })
    }

    /// Reads what was dropped, and nothing else: the fold does not run.
    ///
    /// # Errors
    /// [`ReadError::Map`].
    pub fn read_only_drops(&self, known: &mut LastRead) -> Result<BTreeMap<u32, DropReading>, ReadError> {
        let (_, drops) = self.used_slots()?;
        self.read_drops(drops, &mut known.drops)
    }

    /// Slots given out so far: for groups, for drops.
    #[expect(clippy::cast_possible_truncation, reason = "a handful of tables")]
    fn used_slots(&self) -> Result<(u32, u32), ReadError> {
        let used = self.object.values(SLOTS_USED, Table::COUNT as u32)?;
        let slots = |table: Table, capacity: u32| {
            let used = used.get(table as usize).copied().unwrap_or(0);
            u32::try_from(used + 1).unwrap_or(capacity).min(capacity)
        };
        let groups = slots(Table::Groups, self.capacity.groups);
        Ok((groups, slots(Table::Drops, self.capacity.drops)))
    }

    fn read_groups(
        &self,
        slots: u32,
        epoch: u64,
        keys: &mut HashMap<u32, Known<GroupKey>>,
    ) -> Result<BTreeMap<u32, GroupReading>, ReadError> {
        let size = (self.shards.count(), self.capacity.groups);
        let counters = self.object.sums_of_shards(GROUPS, size, slots, GroupCounters::merge)?;
        let samples = self.object.values(SAMPLES, slots)?;
        // After the counters: whatever has been counted has its key.
        // The slot `other` has no key, and neither has one that two CPUs raced for.
        if keys.len() + 1 < slots as usize {
            self.object
                .each_entry(GROUP_SLOTS, |words, Slot { number, born, .. }| {
                    let key = GroupKey::from_words(words);
                    keys.insert(number, Known { key, born });
                })?;
        }
        let rows = (0..slots).zip(counters.into_iter().zip(samples));
        Ok(rows
            .filter_map(|(slot, (counters, samples))| {
                let Known { key, born } = of_slot(slot, keys)?;
                let samples = samples.at(epoch);
                let reading = GroupReading {
                    key,
                    born,
                    counters,
                    samples,
                };
                Some((slot, reading))
            })
            .collect())
    }

    fn read_drops(
        &self,
        slots: u32,
        rows: &mut HashMap<u32, Known<DropRow>>,
    ) -> Result<BTreeMap<u32, DropReading>, ReadError> {
        if !self.object.has(DROPS) {
            return Ok(BTreeMap::new());
        }
        let size = (self.shards.count(), self.capacity.drops);
        let counts = self.object.sums_of_shards(DROPS, size, slots, DropCounts::merge)?;
        let counts = counts.iter().map(DropCounts::total);
        for source in DropSource::ALL {
            let key = DropRow::Other(source);
            rows.insert(source.other_slot(), Known { key, born: 0 });
        }
        if rows.len() < slots as usize {
            self.object.each_entry(DROP_SLOTS, |words, Slot { number, born, .. }| {
                let key = DropRow::Software(DropKey::from_words(words));
                rows.insert(number, Known { key, born });
            })?;
            self.object
                .each_entry(NAMED_DROP_SLOTS, |key, Slot { number, born, .. }| {
                    let key = DropRow::Named(key);
                    rows.insert(number, Known { key, born });
                })?;
        }
        Ok((0..slots)
            .zip(counts)
            .filter_map(|(slot, count)| {
                let Known { key: row, born } = *rows.get(&slot)?;
                Some((slot, DropReading { row, born, count }))
            })
            .collect())
    }

    fn read_algorithms(&self, epoch: u64) -> Result<BTreeMap<String, u64>, ReadError> {
        let counts = self.object.values(ALGORITHMS, MOST_ALGORITHMS)?;
        let counted = counts.into_iter().filter(|count| count.epoch == epoch);
        Ok(counted
            .map(|count| (Name(count.name).to_string(), count.live))
            .collect())
    }

    /// What could not be done so far.
    ///
    /// # Errors
    /// [`ReadError::Map`]
    pub fn lost(&self, which: Lost) -> Result<u64, ReadError> {
        Ok(self.read_lost()?[which as usize])
    }

    #[expect(clippy::cast_possible_truncation, reason = "a handful of counters")]
    fn read_lost(&self) -> Result<[u64; Lost::COUNT], ReadError> {
        let mut lost = [0; Lost::COUNT];
        let sums = self.object.sums(LOST, Lost::COUNT as u32, |sum, more| *sum += more)?;
        for (lost, sum) in lost.iter_mut().zip(sums) {
            *lost = sum;
        }
        Ok(lost)
    }

    /// The only value of a per-CPU array, summed over CPUs.
    pub(super) fn only(&self, map: Map<u32, PerCpu<u64>>) -> Result<u64, ReadError> {
        let sums = self.object.sums(map, 1, |sum, more| *sum += more)?;
        Ok(sums.first().copied().unwrap_or(0))
    }

    /// Runs of programs that the kernel skipped, and that no second program took over.
    ///
    /// # Errors
    /// [`ReadError::Map`]
    pub fn skipped_runs(&self) -> Result<u64, ReadError> {
        Ok(self.misses()?.values().map(|misses| misses.lost()).sum())
    }

    /// What no program saw: runs that the kernel skipped, less those that a second program took over. An event that has been taken
    /// over was or will be skipped: the skipped runs are read first, so that an event that is under way is never taken for a lost one.
    pub(super) fn misses(&self) -> Result<BTreeMap<&'static str, Misses>, ReadError> {
        let running = self.plan.programs.iter();
        // What the kernel keeps one of these from doing, the other does: nothing is lost.
        let running = running.filter(|planned| !HELPERS.contains(&planned.name()));
        let running = running.filter(|planned| planned.off.is_none() && planned.run == Run::First);
        let mut misses: BTreeMap<_, _> = running
            .filter_map(|planned| {
                let Program::BtfTracePoint(program) = self.object.program(planned.name())? else {
                    return None;
                };
                // Kernels without this count do not skip runs either.
                let skipped = syscall::misses(program.fd().ok()?.as_fd()).ok()?;
                Some((planned.name(), Misses { skipped, taken_over: 0 }))
            })
            .collect();
        // What is taken back is counted on the CPU of that moment, whose own count may lie below zero.
        let add = |sum: &mut u64, more: &u64| *sum = sum.wrapping_add(*more);
        let taken_over = self.object.sums(TAKEN_OVER, TRACEPOINTS, add)?;
        for (tracepoint, taken_over) in Tracepoint::ALL.into_iter().zip(taken_over) {
            if let Some(misses) = misses.get_mut(tracepoint.name()) {
                misses.taken_over = taken_over;
            }
        }
        Ok(misses)
    }
}

/// What is known of a slot: without a key the slot `other`; `None` when the slot has no key.
fn of_slot(slot: u32, keys: &HashMap<u32, Known<GroupKey>>) -> Option<Known<Option<GroupKey>>> {
    if slot == OTHER_SLOT {
        return Some(Known { key: None, born: 0 });
    }
    keys.get(&slot)
        .map(|&Known { key, born }| Known { key: Some(key), born })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_not_found_again() {
        let mut last = LastRead::default();
        let mut lost = |skipped, taken_over| {
            let now = last.with_misses(BTreeMap::from([("kfree_skb", Misses { skipped, taken_over })]));
            (now["kfree_skb"].lost(), now["kfree_skb"].taken_over)
        };
        assert_eq!(lost(100, 43), (57, 43));
        // Four were taken over between the readings of the two numbers.
        assert_eq!(lost(103, 50), (57, 46));
        assert_eq!(lost(110, 53), (57, 53));
        assert_eq!(lost(112, 54), (58, 54));
    }
}
