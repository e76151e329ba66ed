//! Why TCP retransmits: the kind of a retransmission, by the state of its sender when it is sent.

use crate::{
    closed::closed_set,
    tcp::{congestion, group::Counter},
};

closed_set! {
    /// The kind of a retransmission: the value of the label `kind`. Each retransmitted segment is of one kind.
    RetransmissionKind {
        /// Neither of the others: segments that are too long for a path whose MTU has shrunk (`tcp_simple_retransmit()`, after ICMP or
        /// a lost probe of the MTU), and data of a SYN that the peer did not take (TCP Fast Open).
        Other = "other",
        /// The retransmission timer had expired (RFC 6298): its own retransmissions, and those that follow in `TCP_CA_Loss`.
        Timeout = "timeout",
        /// The last segment in flight, since no acknowledgment came for some two round-trip times (RFC 8985, 7).
        TailLossProbe = "tail_loss_probe",
        /// In `TCP_CA_Recovery`: acknowledgments tell what is lost (RFC 5681, 6675, 8985), or the reordering timer does.
        Fast = "fast",
    }
}

impl RetransmissionKind {
    /// The counter of retransmitted segments of this kind.
    pub const fn counter(self) -> Counter {
        match self {
            Self::Other => Counter::RetransmittedSegmentsOther,
            Self::Timeout => Counter::RetransmittedSegmentsTimeout,
            Self::TailLossProbe => Counter::RetransmittedSegmentsTailLossProbe,
            Self::Fast => Counter::RetransmittedSegmentsFast,
        }
    }
}

/// Bits of [`FlowState::loss`](crate::tcp::flow::FlowState::loss): how the flow came into `TCP_CA_Loss`.
pub mod loss {
    /// Not by the retransmission timer: `tcp_simple_retransmit()`, or data of a SYN that was not taken.
    pub const WITHOUT_TIMEOUT: u8 = 1;
    /// The sender had noted where that began, and could undo it (`tcp_sock.undo_marker`).
    pub const CAN_BE_UNDONE: u8 = 2;

    /// The bits of a flow that enters `TCP_CA_Loss`, again or from another state: while the kernel handles a timer that has expired, none is
    /// pending; and only a time-out sets the state again.
    #[inline(always)]
    pub const fn entered(again: bool, timer_is_pending: bool, undo_marker: u32) -> u8 {
        let timeout = if again || !timer_is_pending { 0 } else { WITHOUT_TIMEOUT };
        timeout | if undo_marker != 0 { CAN_BE_UNDONE } else { 0 }
    }
}

/// What the sender looks like as it retransmits.
#[derive(Clone, Copy, Debug)]
pub struct Retransmitting {
    /// `icsk_ca_state`
    pub congestion_state: u8,
    /// Bits of [`loss`].
    pub loss: u8,
    /// `icsk_pending` is [`LOSS_PROBE`]: the kernel forgets that timer only after the probe is sent.
    pub probe_is_pending: bool,
    /// What is sent ends where everything sent ends.
    pub is_tail: bool,
}

/// `ICSK_TIME_LOSS_PROBE` (include/net/inet_connection_sock.h), the same since Linux 3.10.
pub const LOSS_PROBE: u8 = 5;

impl Retransmitting {
    /// The kind of what is being sent. `tlp_high_seq` would not tell: it is set after the probe was sent, and as long as it is there no
    /// other probe is sent.
    ///
    /// The timer of a probe may still be pending when acknowledgments bring the flow into `TCP_CA_Recovery`. What the flow then
    /// retransmits is not its tail: a tail counts as lost only after something that was sent later was delivered.
    #[inline(always)]
    pub const fn kind(&self) -> RetransmissionKind {
        match self.congestion_state {
            congestion::LOSS => {
                if self.loss & loss::WITHOUT_TIMEOUT == 0 {
                    RetransmissionKind::Timeout
                } else {
                    RetransmissionKind::Other
                }
            }
            congestion::RECOVERY if self.probe_is_pending && self.is_tail => RetransmissionKind::TailLossProbe,
            congestion::RECOVERY => RetransmissionKind::Fast,
            _ if self.probe_is_pending => RetransmissionKind::TailLossProbe,
            _ => RetransmissionKind::Other,
        }
    }

    /// The kind of what was sent since the last time, in the state that ends now, and that no hook told of: on kernels before 6.17
    /// what this host refused. In the states without loss nothing else is sent but probes.
    #[inline(always)]
    pub const fn kind_of_the_past(congestion_state: u8, loss: u8) -> RetransmissionKind {
        let before = Self {
            congestion_state,
            loss,
            probe_is_pending: !matches!(congestion_state, congestion::RECOVERY),
            is_tail: false,
        };
        before.kind()
    }
}

/// Whether a flow that leaves `TCP_CA_Recovery` or `TCP_CA_Loss` undoes what it did when it entered it, because nothing had been lost:
/// `undo_marker` is cleared (`tcp_undo_cwnd_reduction()`), or the loss ends before all that was then in flight is acknowledged
/// (F-RTO, RFC 5682).
#[inline(always)]
pub const fn is_undone(old_state: u8, loss: u8, undo_marker: u32, unacknowledged: u32, high_sequence: u32) -> bool {
    match old_state {
        congestion::RECOVERY => undo_marker == 0,
        congestion::LOSS => {
            let ends_early = unacknowledged.wrapping_sub(high_sequence) >= 1 << 31;
            ends_early || loss & loss::CAN_BE_UNDONE != 0 && undo_marker == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_the_sender_tells_the_kind() {
        use RetransmissionKind::*;
        const OPEN: u8 = 0;
        for (congestion_state, loss, probe_is_pending, is_tail, expected) in [
            (congestion::LOSS, 0, false, false, Timeout),
            (congestion::LOSS, 0, false, true, Timeout),
            (congestion::LOSS, loss::WITHOUT_TIMEOUT, false, false, Other),
            (congestion::LOSS, loss::WITHOUT_TIMEOUT, true, true, Other),
            (congestion::RECOVERY, 0, false, true, Fast),
            (congestion::RECOVERY, 0, true, false, Fast),
            (congestion::RECOVERY, loss::WITHOUT_TIMEOUT, true, true, TailLossProbe),
            (OPEN, 0, true, true, TailLossProbe),
            (congestion::DISORDER, 0, true, false, TailLossProbe),
            (congestion::CWR, 0, true, true, TailLossProbe),
            (OPEN, 0, false, true, Other),
        ] {
            let now = Retransmitting {
                congestion_state,
                loss,
                probe_is_pending,
                is_tail,
            };
            assert_eq!(now.kind(), expected, "{now:?}");
        }
    }

    #[test]
    fn what_no_hook_told_of_is_of_the_kind_of_its_state() {
        use RetransmissionKind::*;
        for (state, loss, expected) in [
            (0, 0, TailLossProbe),
            (congestion::DISORDER, 0, TailLossProbe),
            (congestion::CWR, 0, TailLossProbe),
            (congestion::RECOVERY, 0, Fast),
            (congestion::LOSS, 0, Timeout),
            (congestion::LOSS, loss::WITHOUT_TIMEOUT, Other),
        ] {
            assert_eq!(
                Retransmitting::kind_of_the_past(state, loss),
                expected,
                "{state} {loss}"
            );
        }
    }

    #[test]
    fn a_loss_is_entered_by_the_timer_unless_one_is_pending() {
        assert_eq!(loss::entered(false, false, 7), loss::CAN_BE_UNDONE);
        assert_eq!(loss::entered(false, false, 0), 0);
        assert_eq!(loss::entered(false, true, 0), loss::WITHOUT_TIMEOUT);
        // A time-out in a loss that began without one.
        assert_eq!(loss::entered(true, true, 0), 0);
    }

    #[test]
    fn what_nothing_was_lost_for_is_undone() {
        let check = |old, loss, marker, unacknowledged, high, expected| {
            assert_eq!(
                is_undone(old, loss, marker, unacknowledged, high),
                expected,
                "{old} {loss} {marker} {unacknowledged} {high}"
            );
        };
        check(congestion::RECOVERY, 0, 0, 10, 10, true);
        check(congestion::RECOVERY, 0, 5, 10, 10, false);
        check(congestion::LOSS, loss::CAN_BE_UNDONE, 0, 10, 10, true);
        check(congestion::LOSS, loss::CAN_BE_UNDONE, 5, 10, 10, false);
        // The sender could not have undone it: it had reduced its window before.
        check(congestion::LOSS, 0, 0, 10, 10, false);
        // F-RTO.
        check(congestion::LOSS, 0, 0, u32::MAX, 10, true);
        check(congestion::CWR, 0, 0, 10, 10, false);
    }

    #[test]
    fn kinds_have_counters_of_their_own() {
        for (number, kind) in RetransmissionKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            let same = |other: &&RetransmissionKind| other.counter() == kind.counter();
            assert_eq!(RetransmissionKind::ALL.iter().filter(same).count(), 1);
        }
    }
}
