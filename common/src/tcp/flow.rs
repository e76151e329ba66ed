//! The state of one flow, kept in its socket's storage, and how deltas leave it.
//!
//! The kernel counts; a fold takes the difference since the last fold: `delta = now - snapshot; group += delta;
//! snapshot = now`. Two folds of one flow can race (the collecting iterator and the closing socket), so the snapshot is
//! exchanged atomically and a fold that lost the race starts again. The deltas telescope: whatever the interleaving, their
//! sum is the kernel's last value.

use crate::{
    memory::shared::{Scalar, Shared},
    tcp::retransmission::RetransmissionKind,
};

/// The handshake is over and the flow belongs to a group.
pub const ESTABLISHED: u32 = 1;
/// The flow is older than its state: it was found, not seen opening.
pub const ADOPTED: u32 = 2;

/// The connection has ended and its last delta is folded; the slot stays, for a reset that is sent afterwards.
pub const CLOSED: u32 = 4;

macro_rules! snapshot {
    ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
        Counter::$counter:ident, FlowRecord::$number:ident;)+ }) => {
        /// The kernel's counters of a flow at the last fold.
        #[derive(Debug, Default)]
        #[repr(C)]
        pub struct Snapshot {
            $(
                #[doc = concat!("`", $structure, ".", $member, "`:")]
                $(#[$row])*
                pub $here: Shared<$type>,
            )+
        }
    };
}

crate::kept_counters!([snapshot]);

/// What socket storage holds for a flow.
///
/// Hooks write it under the socket's lock, and other CPUs read it meanwhile. Three things are also written without that lock: the
/// iterators exchange the snapshots and the flags, they assign another slot when the configuration has changed, and `kfree_skb`
/// adds to `locally_dropped`. So every field is atomic, and is read and written whole.
///
/// What every segment needs comes first: the kernel puts the value 8 bytes into a cache line, so 56 bytes share the line that
/// finding the flow has loaded already.
#[derive(Debug, Default)]
#[repr(C)]
pub struct FlowState {
    /// Sum of the round-trip times, in microseconds.
    pub rtt_sum: Shared<u64>,
    /// [`ESTABLISHED`], [`ADOPTED`], [`CLOSED`].
    pub flags: Shared<u32>,
    /// Slot of the flow's group.
    pub slot: Shared<u32>,
    /// Low half of `tcp_sock.rack.mstamp` at the last round-trip time: which transmission it measured.
    pub rtt_stamp: Shared<u32>,
    /// Number of round-trip times.
    pub rtt_count: Shared<u32>,
    /// The last one, in microseconds.
    pub rtt_last: Shared<u32>,
    /// The smallest, in microseconds.
    pub rtt_min: Shared<u32>,
    /// The largest, in microseconds.
    pub rtt_max: Shared<u32>,
    /// Smallest `icsk_rto` at a round-trip time, in jiffies.
    pub rto_min: Shared<u32>,
    /// The largest, in jiffies.
    pub rto_max: Shared<u32>,
    /// [`crate::map::settings::Settings::generation`] by which `slot` was chosen.
    pub generation: Shared<u16>,
    /// A [`crate::net::connection::ConnectionType`]: what carried the flow when `slot` was chosen.
    pub connection: Shared<u8>,
    /// A [`crate::tcp::group::Role`].
    pub role: Shared<u8>,
    /// `CLOCK_MONOTONIC` in nanoseconds: when the SYN was sent, then when the flow was established; 0 when not seen.
    pub started: Shared<u64>,
    /// The same clock at the last retransmission, if drops before retransmissions are looked for.
    pub retransmitted_at: Shared<u64>,
    /// `tcp_sock.total_retrans` when the flow began to count.
    pub retransmitted_before: Shared<u32>,
    /// Retransmitted segments by [`RetransmissionKind`].
    pub retransmitted: [Shared<u32>; RetransmissionKind::ALL.len()],
    /// Duplicate acknowledgments received.
    pub duplicate_acks: Shared<u32>,
    /// Segments received with a SACK option.
    pub sacks: Shared<u32>,
    /// Blocks in them.
    pub sack_blocks: Shared<u32>,
    /// Segments that this host dropped on their way out.
    pub locally_dropped: Shared<u32>,
    /// Segments that were retransmitted after this host had dropped the transmission before.
    pub after_local_drop: Shared<u32>,
    /// Bits of [`crate::tcp::retransmission::loss`], of the last entry into `TCP_CA_Loss`.
    pub loss: Shared<u8>,
    /// Where the ring of [`crate::drops::losses`] has the first drop of the last attempt to send data of which this host dropped some,
    /// counted from 1; 0 for none.
    pub dropped_attempt: Shared<u16>,
    /// [`Chrono::at`] at the last fold.
    pub chrono: [Shared<u32>; 3],
    /// The kernel's counters at the last fold.
    pub snapshot: Snapshot,
}

// The kernel puts 72 bytes before the value: more than 184 would take 512 bytes of a flow instead of 256.
const _: () = assert!(size_of::<FlowState>() <= 184 && align_of::<FlowState>() == 8);
const _: () = assert!(core::mem::offset_of!(FlowState, started) <= 56);

/// What the holder of the socket's lock records: nobody else writes these fields.
impl FlowState {
    /// Records a round-trip time of `micros` and the retransmission time-out of that moment.
    #[inline(always)]
    pub fn on_rtt(&self, micros: u32, rto_jiffies: u32) {
        let is_first = self.rtt_count.get() == 0;
        if is_first || micros < self.rtt_min.get() {
            self.rtt_min.set(micros);
        }
        if micros > self.rtt_max.get() {
            self.rtt_max.set(micros);
        }
        if is_first || rto_jiffies < self.rto_min.get() {
            self.rto_min.set(rto_jiffies);
        }
        if rto_jiffies > self.rto_max.get() {
            self.rto_max.set(rto_jiffies);
        }
        self.rtt_last.set(micros);
        self.rtt_sum.grow(u64::from(micros));
        self.rtt_count.grow(1);
    }

    /// Segments that the kernel has retransmitted by now, by its own total, and that have no kind yet. Of a socket that was disconnected,
    /// whose total is zero again, none.
    #[inline(always)]
    pub fn without_kind(&self, total_retrans: u32) -> u32 {
        let [other, timeout, probe, fast] = &self.retransmitted;
        let segments = total_retrans
            .wrapping_sub(self.retransmitted_before.get())
            .wrapping_sub(other.get())
            .wrapping_sub(timeout.get())
            .wrapping_sub(probe.get())
            .wrapping_sub(fast.get());
        if segments > u32::MAX / 2 { 0 } else { segments }
    }

    /// Records retransmissions of `segments`.
    #[inline(always)]
    pub fn on_retransmit(&self, kind: RetransmissionKind, segments: u32) {
        let [other, timeout, probe, fast] = &self.retransmitted;
        match kind {
            RetransmissionKind::Other => other.grow(segments),
            RetransmissionKind::Timeout => timeout.grow(segments),
            RetransmissionKind::TailLossProbe => probe.grow(segments),
            RetransmissionKind::Fast => fast.grow(segments),
        }
    }
}

/// Which fold it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Of a live flow, without its lock: what is read may be older than the snapshot, or torn.
    Live,
    /// The last one, under the socket's lock: what is read is true.
    Last,
    /// The last one of a flow whose end no hook saw: a socket that was disconnected meanwhile has its counters at zero again, so that
    /// what is less counts as nothing.
    Late,
}

/// A counter of the kernel.
pub trait KernelCounter: Scalar {
    /// What to add to a group when the counter goes from `snapshot` to `now`; 0 when there is nothing to do.
    fn delta(snapshot: Self, now: Self, fold: Fold) -> u64;
}

impl KernelCounter for u32 {
    #[inline(always)]
    fn delta(snapshot: Self, now: Self, fold: Fold) -> u64 {
        delta32(snapshot, now, fold)
    }
}

impl KernelCounter for u64 {
    #[inline(always)]
    fn delta(snapshot: Self, now: Self, fold: Fold) -> u64 {
        delta64(snapshot, now, fold)
    }
}

/// A value this far behind the snapshot is an older reading, not a wrapped counter.
const STALE: u32 = 1 << 24;

/// What to add to a group when a 32-bit counter, which may have wrapped, goes from `snapshot` to `now`.
///
/// 0 means that there is nothing to do: no change, or a reading older than the snapshot. In the last fold an older value
/// is the truth, and the delta is negative (two's complement).
#[inline(always)]
const fn delta32(snapshot: u32, now: u32, fold: Fold) -> u64 {
    let behind = snapshot.wrapping_sub(now);
    match fold {
        Fold::Live if behind < STALE => 0,
        Fold::Late if behind <= u32::MAX / 2 => 0,
        Fold::Last if behind < STALE => (behind as u64).wrapping_neg(),
        Fold::Live | Fold::Last | Fold::Late => now.wrapping_sub(snapshot) as u64,
    }
}

/// The same for a 64-bit counter.
#[inline(always)]
const fn delta64(snapshot: u64, now: u64, fold: Fold) -> u64 {
    // It does not wrap in the life of a machine.
    let is_behind = snapshot.wrapping_sub(now) <= u64::MAX / 2;
    match fold {
        Fold::Live | Fold::Late if is_behind => 0,
        Fold::Live | Fold::Last | Fold::Late => now.wrapping_sub(snapshot),
    }
}

/// `tcp_sock.chrono_*`: for how long the sender was busy, and why it could not send more. All in jiffies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chrono {
    /// `chrono_stat`: what ended so far as busy, as limited by the receive window, as limited by the send buffer.
    pub ended: [u32; 3],
    /// `chrono_type`: what runs now, counted from 1; 0 is nothing.
    pub running: u32,
    /// `chrono_start`: since when.
    pub since: u32,
}

impl Chrono {
    /// Busy, receive-window-limited and send-buffer-limited time at jiffy `now`; the last two are part of the first, as in
    /// `tcp_get_info_chrono_stats`.
    #[inline(always)]
    pub const fn at(&self, now: u32) -> [u32; 3] {
        let running = now.wrapping_sub(self.since);
        let [mut busy, mut receive_window, mut send_buffer] = self.ended;
        match self.running {
            1 => busy = busy.wrapping_add(running),
            2 => receive_window = receive_window.wrapping_add(running),
            3 => send_buffer = send_buffer.wrapping_add(running),
            _ => {}
        }
        [
            busy.wrapping_add(receive_window).wrapping_add(send_buffer),
            receive_window,
            send_buffer,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrapped_counter_gives_its_true_delta() {
        assert_eq!(delta32(u32::MAX - 4, 5, Fold::Live), 10);
        assert_eq!(delta32(0, 0, Fold::Live), 0);
        assert_eq!(delta32(0, u32::MAX - STALE, Fold::Live), u64::from(u32::MAX - STALE));
        assert_eq!(delta64(u64::MAX - 4, 5, Fold::Live), 10);
    }

    #[test]
    fn an_older_reading_is_ignored_but_for_the_last_fold() {
        assert_eq!(delta32(100, 90, Fold::Live), 0);
        assert_eq!(delta32(100, 90, Fold::Last), 10u64.wrapping_neg());
        assert_eq!(delta32(4, u32::MAX - 5, Fold::Live), 0);
        assert_eq!(delta64(100, 90, Fold::Live), 0);
        assert_eq!(delta64(100, 90, Fold::Last), 10u64.wrapping_neg());
        assert_eq!(delta64(1 << 40, 0, Fold::Live), 0);
    }

    #[test]
    fn of_a_flow_that_was_disconnected_unseen_what_is_less_counts_as_nothing() {
        assert_eq!(delta32(100_000_000, 0, Fold::Late), 0);
        assert_eq!(delta64(1 << 40, 0, Fold::Late), 0);
        assert_eq!(delta32(100, 190, Fold::Late), 90);
        assert_eq!(delta32(u32::MAX - 4, 5, Fold::Late), 10);
        assert_eq!(delta64(100, 190, Fold::Late), 90);
        // Nor does what was retransmitted have a kind then.
        let flow = FlowState::default();
        flow.on_retransmit(RetransmissionKind::Fast, 3);
        assert_eq!((flow.without_kind(0), flow.without_kind(5)), (0, 2));
    }

    proptest! {
        /// Folds in any order, with readings of any age, end at the truth when the last one is true.
        #[test]
        fn deltas_telescope(
            start: u32,
            steps in prop::collection::vec((0u32..1 << 20, 0u32..1 << 20), 1..50),
        ) {
            let (mut counter, mut snapshot, mut sum, mut grown) = (start, start, 0u64, 0u64);
            let mut folds = std::vec::Vec::new();
            for (growth, age) in steps {
                counter = counter.wrapping_add(growth);
                grown += u64::from(growth);
                // A reading may be as old as the flow, no older.
                let age = u32::try_from(u64::from(age).min(grown)).unwrap();
                folds.push((counter.wrapping_sub(age), Fold::Live));
            }
            folds.push((counter, Fold::Last));
            for (reading, fold) in folds {
                let delta = delta32(snapshot, reading, fold);
                if delta != 0 {
                    sum = sum.wrapping_add(delta);
                    snapshot = reading;
                }
            }
            prop_assert_eq!(sum, grown);
            prop_assert_eq!(snapshot, counter);
        }

        #[test]
        fn round_trip_times_keep_their_extremes(samples in prop::collection::vec((1u32..1 << 27, 1u32..1 << 16), 1..40)) {
            let flow = FlowState::default();
            for (rtt, rto) in &samples {
                flow.on_rtt(*rtt, *rto);
            }
            let rtts = || samples.iter().map(|s| s.0);
            let rtos = || samples.iter().map(|s| s.1);
            prop_assert_eq!(flow.rtt_count.get() as usize, samples.len());
            prop_assert_eq!(flow.rtt_sum.get(), rtts().map(u64::from).sum::<u64>());
            prop_assert_eq!((flow.rtt_min.get(), flow.rtt_max.get()), (rtts().min().unwrap(), rtts().max().unwrap()));
            prop_assert_eq!((flow.rto_min.get(), flow.rto_max.get()), (rtos().min().unwrap(), rtos().max().unwrap()));
            prop_assert_eq!(flow.rtt_last.get(), samples.last().unwrap().0);
        }
    }

    #[test]
    fn limited_time_is_part_of_busy_time() {
        let chrono = |running| Chrono {
            ended: [10, 20, 30],
            running,
            since: u32::MAX,
        };
        assert_eq!(chrono(0).at(4), [60, 20, 30]);
        assert_eq!(chrono(1).at(4), [65, 20, 30]);
        assert_eq!(chrono(2).at(4), [65, 25, 30]);
        assert_eq!(chrono(3).at(4), [65, 20, 35]);
    }

    #[test]
    fn what_the_kernel_has_retransmitted_since_has_no_kind_until_it_is_recorded() {
        let flow = FlowState {
            retransmitted_before: Shared::new(u32::MAX),
            ..FlowState::default()
        };
        assert_eq!(flow.without_kind(u32::MAX), 0);
        assert_eq!(flow.without_kind(9), 10);
        for (more, kind) in (1..).zip(RetransmissionKind::ALL) {
            flow.on_retransmit(kind, more);
            assert_eq!(flow.retransmitted[kind as usize].get(), more);
        }
        assert_eq!(flow.without_kind(9), 0);
        assert_eq!(flow.without_kind(11), 2);
    }
}
