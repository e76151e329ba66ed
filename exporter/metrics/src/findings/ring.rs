//! The last five minutes: what collections added, and what was found at each. Bounded in time and in memory; what was forgotten
//! early is counted.

use super::recorder::Entry;
use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// How long an entry is kept.
pub const LENGTH: Duration = Duration::from_mins(5);
/// Most bytes of all entries.
const BYTES: usize = 4 << 20;
/// Collections that are nearer to each other are recorded as one.
const NEAREST: Duration = Duration::from_secs(1);
/// How long the next entry waits, for each byte of the newest: two minutes of such entries have room, a window and what came before it.
const SPACING_OF_BYTE: Duration = Duration::from_nanos(120_000_000_000 / BYTES as u64);

/// Entries, the oldest first.
#[derive(Debug, Default)]
pub struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries that went before their time, lest the ring take more memory.
    pub forgotten: u64,
}

impl Ring {
    /// Adds the newest entry.
    pub(super) fn push(&mut self, entry: Entry) {
        let oldest = entry.at.saturating_sub(LENGTH);
        self.bytes += entry.size();
        self.entries.push_back(entry);
        while let Some(first) = self.entries.front() {
            let is_old = first.at < oldest;
            // One entry alone is always kept: it is what there is to judge.
            if !is_old && (self.bytes <= BYTES || self.entries.len() == 1) {
                break;
            }
            self.forgotten += u64::from(!is_old);
            self.bytes -= first.size();
            self.entries.pop_front();
        }
    }

    /// How long after the newest entry the next one may come.
    pub(super) fn spacing(&self) -> Duration {
        let bytes = self.newest().map_or(0, Entry::size);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        (SPACING_OF_BYTE * bytes).max(NEAREST)
    }

    /// From the newest to the oldest.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// The newest.
    pub(super) fn newest(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// Notes in the newest entry what was found, if it was judged.
    pub(super) fn note(&mut self, held: Option<BTreeSet<(Cow<'static, str>, Arc<str>)>>) {
        if let Some(newest) = self.entries.back_mut() {
            self.bytes -= newest.size();
            newest.held = held;
            self.bytes += newest.size();
        }
    }
}
