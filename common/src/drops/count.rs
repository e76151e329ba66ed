//! What is counted of drops: the values of the map `DROPS`, and their sums.

use crate::{histogram::not_below, kernel::tracepoints::Run};
use zerocopy::FromBytes;

/// The value of the map `DROPS`: what was dropped under one key, in one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct DropCounts {
    /// By the program that counted it ([`Run`]). Either writes its own alone, so that it needs no atomics.
    pub by_run: [PacketCount; Run::COUNT],
    /// [`DropCount::repeated`]
    pub repeated: u64,
}

/// What one program counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct PacketCount {
    /// [`DropCount::packets`]
    pub packets: u64,
    /// [`DropCount::bytes`]
    pub bytes: u64,
}

impl DropCounts {
    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        let Self { by_run, repeated } = self;
        for (count, more) in by_run.iter_mut().zip(&other.by_run) {
            count.packets = count.packets.wrapping_add(more.packets);
            count.bytes = count.bytes.wrapping_add(more.bytes);
        }
        *repeated = repeated.wrapping_add(other.repeated);
    }

    /// What both programs counted.
    pub fn total(&self) -> DropCount {
        let Self { by_run, repeated } = self;
        let sum = |of: fn(&PacketCount) -> u64| by_run.iter().map(of).fold(0, u64::wrapping_add);
        DropCount {
            packets: sum(|count| count.packets),
            bytes: sum(|count| count.bytes),
            repeated: *repeated,
        }
    }
}

/// What was dropped under one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct DropCount {
    /// Packets: `sk_buff`s, as the kernel drops them.
    pub packets: u64,
    /// Their `sk_buff.len`.
    pub bytes: u64,
    /// TCP segments that were retransmitted because they were dropped here.
    pub repeated: u64,
}

impl DropCount {
    /// Adds another count.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            packets,
            bytes,
            repeated,
        } = self;
        *packets = packets.wrapping_add(other.packets);
        *bytes = bytes.wrapping_add(other.bytes);
        *repeated = repeated.wrapping_add(other.repeated);
    }

    /// What has been added since `before`.
    #[must_use]
    pub const fn since(self, before: &Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(before.packets),
            bytes: self.bytes.wrapping_sub(before.bytes),
            repeated: self.repeated.wrapping_sub(before.repeated),
        }
    }

    /// Raises the numbers to what they were before.
    pub fn clamp(&mut self, before: &Self) {
        let Self {
            packets,
            bytes,
            repeated,
        } = self;
        *packets = not_below(*packets, before.packets);
        *bytes = not_below(*bytes, before.bytes);
        *repeated = not_below(*repeated, before.repeated);
    }
}
