//! Accept queues: how long those of listeners are when somebody collects, and how full connections found them before that.
//!
//! The kernel tells nobody of a connection that enters the queue of a listener, nor of one that leaves it. But the socket that it makes
//! for a connection is a copy of the listener, with the length that the queue had then (`sk_ack_backlog`): its own is none.

use crate::workload::Number;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What listeners are told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerKey {
    /// Number of the application protocol of the port; 0 for none.
    pub protocol: u16,
    /// Whose the listener is.
    pub workload: Number,
}

impl ListenerKey {
    /// The key of the map `ACCEPT_QUEUES`.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        (self.protocol as u64) << 16 | self.workload as u64
    }

    /// The key of a number; `None` of [`OTHER_LISTENERS`].
    #[expect(clippy::cast_possible_truncation, reason = "takes a number apart")]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number == OTHER_LISTENERS {
            return None;
        }
        Some(Self {
            protocol: (number >> 16) as u16,
            workload: number as Number,
        })
    }
}

/// The key of listeners that no key of their own has room for.
pub const OTHER_LISTENERS: u64 = u64::MAX;

/// What one collection sees of listeners that have the same labels: a value of the map `ACCEPT_QUEUES`. The collecting iterator alone
/// writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct AcceptQueues {
    /// The number of the collection.
    pub epoch: u64,
    /// Sockets that listen.
    pub listeners: u64,
    /// Connections that wait for `accept`: the sum of `sock.sk_ack_backlog`.
    pub waiting: u64,
    /// The sum of `sock.sk_max_ack_backlog`.
    pub limit: u64,
    /// Of the fullest queue, as [`fullness`] has it.
    pub fullness: u32,
    /// Explicit padding, zero.
    pub padding: u32,
}

const _: () = assert!(size_of::<AcceptQueues>() == 40 && align_of::<AcceptQueues>() == 8);

impl AcceptQueues {
    /// Adds a listener in the collection `epoch`: the first begins anew.
    #[inline(always)]
    pub fn add(&mut self, epoch: u64, waiting: u32, limit: u32) {
        if self.epoch != epoch {
            *self = Self {
                epoch,
                ..Self::default()
            };
        }
        self.listeners += 1;
        self.waiting += waiting as u64;
        self.limit += limit as u64;
        self.meet(fullness(waiting, limit));
    }

    /// A queue was so full.
    #[inline(always)]
    pub const fn meet(&mut self, fullness: u32) {
        if fullness > self.fullness {
            self.fullness = fullness;
        }
    }

    /// Adds others of the same collection.
    pub const fn merge(&mut self, other: &Self) {
        self.listeners += other.listeners;
        self.waiting += other.waiting;
        self.limit += other.limit;
        self.meet(other.fullness);
    }
}

/// The [`fullness`] of a queue that turns connections away.
pub const FULL: u32 = 1_000_000;

/// How full a queue is, in millionths. The kernel lets one more connection wait than the limit says (`sk_acceptq_is_full()`).
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "not more than FULL")]
pub const fn fullness(waiting: u32, limit: u32) -> u32 {
    let room = limit as u64 + 1;
    match (waiting as u64 * FULL as u64).checked_div(room) {
        Some(part) if part < FULL as u64 => part as u32,
        _ => FULL,
    }
}

/// How full connections found the queue that they went into, since a collection. Two words, of collections with even and with odd
/// numbers: while hooks write one, the other is read. Each has the collection in its upper half and the largest [`fullness`] below.
pub type Peaks = [u64; 2];

/// A word of [`Peaks`].
#[inline(always)]
pub const fn peak(epoch: u64, fullness: u32) -> u64 {
    epoch << 32 | fullness as u64
}

/// The largest fullness between the beginning of the collection before `epoch` and that of `epoch`.
#[expect(clippy::cast_possible_truncation, reason = "takes a word apart")]
pub const fn peak_before(peaks: &Peaks, epoch: u64) -> u32 {
    let before = epoch.wrapping_sub(1);
    let peak = if before & 1 == 0 { peaks[0] } else { peaks[1] };
    if peak >> 32 == before & u32::MAX as u64 {
        peak as u32
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_number() {
        let key = ListenerKey {
            protocol: 0x0102,
            workload: 0x0304,
        };
        assert_eq!(ListenerKey::from_number(key.number()), Some(key));
        assert_eq!(ListenerKey::from_number(OTHER_LISTENERS), None);
    }

    #[test]
    fn a_queue_is_full_when_one_more_waits_than_the_limit_says() {
        for (waiting, limit, expected) in [
            (0, 128, 0),
            (128, 128, 992_248),
            (129, 128, FULL),
            (130, 128, FULL),
            (1, 0, FULL),
            (1, u32::MAX, 0),
            (u32::MAX, 0, FULL),
        ] {
            assert_eq!(fullness(waiting, limit), expected, "{waiting} of {limit}");
        }
    }

    #[test]
    fn listeners_of_one_collection_are_summed_and_the_fullest_queue_counts() {
        let mut queues = AcceptQueues::default();
        queues.add(1, 4, 3);
        queues.add(2, 1, 3);
        queues.add(2, 2, 3);
        queues.merge(&AcceptQueues {
            epoch: 2,
            listeners: 1,
            limit: 3,
            ..AcceptQueues::default()
        });
        let expected = AcceptQueues {
            epoch: 2,
            listeners: 3,
            waiting: 3,
            limit: 9,
            fullness: FULL / 2,
            padding: 0,
        };
        assert_eq!(queues, expected);
    }

    #[test]
    fn a_peak_belongs_to_the_collection_that_it_came_before() {
        let mut peaks = Peaks::default();
        peaks[1] = peak(7, 300);
        assert_eq!(peak_before(&peaks, 8), 300);
        assert_eq!(peak_before(&peaks, 9), 0);
        assert_eq!(peak_before(&peaks, 10), 0);
        // What came while it was read.
        peaks[0] = peak(8, 100);
        assert_eq!((peak_before(&peaks, 8), peak_before(&peaks, 9)), (300, 100));
        assert!(peak(8, 0) > peak(7, FULL));
    }
}
