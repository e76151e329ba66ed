//! What the kernel has retransmitted, by kind. Its totals say how many segments, those included that this host refused; what they grow by
//! between two hooks is of the kind that the later one knows. Spurious ones are known when the sender undoes what it did for them.

use crate::{
    flow::state::Flow,
    kernel::{SkBuff, Sock, TcpSock},
    label::groups::{self, Group},
};
use common::tcp::{
    congestion,
    group::{Counter, Role},
    retransmission::{LOSS_PROBE, RetransmissionKind, Retransmitting, is_undone, loss},
};

/// Gives a kind to what was retransmitted until now, of which `packet` was the last, and returns its segments.
#[inline(always)]
pub(crate) fn find_kind(flow: Flow, tcp: TcpSock, packet: Option<SkBuff>) -> u32 {
    let end = packet.and_then(SkBuff::end_of_queue);
    let now = Retransmitting {
        congestion_state: tcp.congestion_state(),
        loss: flow.loss.get(),
        probe_is_pending: tcp.pending_timer() == Some(LOSS_PROBE),
        is_tail: end.is_some() && end == tcp.snd_nxt(),
    };
    count(flow, tcp, now.kind())
}

/// The same where no hook told of it, before the congestion state changes or the flow ends.
#[inline(always)]
pub(crate) fn find_kind_of_the_past(flow: Flow, tcp: TcpSock) {
    count(
        flow,
        tcp,
        Retransmitting::kind_of_the_past(tcp.congestion_state(), flow.loss.get()),
    );
}

#[inline(always)]
fn count(flow: Flow, tcp: TcpSock, kind: RetransmissionKind) -> u32 {
    let Some(total) = tcp.total_retrans() else { return 0 };
    let segments = flow.without_kind(total);
    if segments == 0 {
        return 0;
    }
    flow.on_retransmit(kind, segments);
    if let Some(group) = Group::at(flow.slot.get()) {
        group.add(kind.counter(), segments as u64);
    }
    segments
}

/// Notes how a flow comes into `TCP_CA_Loss`, from another state or `again`.
#[inline(always)]
pub(crate) fn enter_loss(flow: Flow, tcp: TcpSock, again: bool) {
    let timer_is_pending = tcp.pending_timer().unwrap_or(0) != 0;
    let marker = tcp.undo_marker().unwrap_or(0);
    flow.loss.set(loss::entered(again, timer_is_pending, marker));
}

/// The counter of what a flow undoes that leaves a congestion state for `entered`.
#[inline(always)]
pub(crate) fn undone(flow: Flow, tcp: TcpSock, entered: u8) -> Option<Counter> {
    let old = tcp.congestion_state();
    if entered >= congestion::RECOVERY {
        return None;
    }
    let (marker, unacknowledged, high) = (tcp.undo_marker()?, tcp.snd_una()?, tcp.high_sequence()?);
    if !is_undone(old, flow.loss.get(), marker, unacknowledged, high) {
        return None;
    }
    Some(if old == congestion::LOSS {
        Counter::LossesUndone
    } else {
        Counter::RecoveriesUndone
    })
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
