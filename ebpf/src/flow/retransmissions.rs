//! Why the kernel has sent segments again. Its totals say how many, those included that this host refused; what they grow by
//! between two changes of the congestion state belongs to the state between them.

use crate::{
    flow::state::Flow,
    kernel::{Sock, TcpSock},
    label::groups::{self, Group},
};
use common::tcp::{
    congestion,
    group::{Counter, Role},
};

/// Gives what was retransmitted since the last time the cause that the congestion state of now says, and returns its segments.
/// Called before the state changes.
#[inline(always)]
pub(crate) fn find_cause(flow: Flow, tcp: TcpSock) -> u32 {
    let Some(total) = tcp.total_retrans() else { return 0 };
    let (segments, bytes) = flow.without_cause(total, tcp.bytes_retrans().unwrap_or(0));
    if segments == 0 {
        return 0;
    }
    let in_loss = tcp.congestion_state() == congestion::LOSS;
    flow.on_retransmit(in_loss, segments, bytes);
    // The kernel's own totals are folded as `other`; what belongs to the state Loss moves.
    if in_loss && let Some(group) = Group::at(flow.slot.get()) {
        group.shift(
            Counter::RetransmittedSegmentsOther,
            Counter::RetransmittedSegmentsLoss,
            segments as u64,
        );
        group.shift(Counter::RetransmittedBytesOther, Counter::RetransmittedBytesLoss, bytes);
    }
    segments
}

/// Counts the SYNs, or `segment`s of another kind, that a flow whose handshake is not over has sent again since the last time.
#[inline(always)]
pub(crate) fn count_handshake(flow: Flow, sock: Sock, tcp: TcpSock, segment: Counter) {
    let total = tcp.total_retrans().unwrap_or(0);
    // The fold does not look at a flow before it is established.
    let seen = &flow.snapshot.total_retrans;
    let more = total.wrapping_sub(seen.get());
    seen.set(total);
    if more != 0
        && let Some(group) = Group::at(groups::slot_of_flow(sock, Role::Client))
    {
        group.add(segment, more as u64);
    }
}
