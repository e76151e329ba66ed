//! `tcp_retransmit_skb(const struct sock *sk, const struct sk_buff *skb)`, 5.10 to 6.12; `int err` follows on 6.18 and 7.2, where the
//! hook also sees retransmissions that could not be sent. The socket is locked.

use crate::{
    events,
    groups::{self, Group},
    kernel::{SkBuff, Sock},
    nested::programs,
    offsets::HAS_RETRANSMIT_ERROR,
    storage,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    event::EventKind,
    group::{Counter, Role},
    tcp::{congestion, state},
};

programs!(
    TcpRetransmitSkb,
    "tcp_retransmit_skb",
    tcp_retransmit_skb,
    tcp_retransmit_skb_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    if HAS_RETRANSMIT_ERROR.is_set() && context.arg::<i32>(2) != 0 {
        return;
    }
    let (Some(sock), Some(packet)) = (Sock::argument(context, 0), SkBuff::argument(context, 1)) else {
        return;
    };
    if sock.state() == state::SYN_SENT {
        if let Some(group) = Group::at(groups::slot_of_flow(sock, Some(Role::Client))) {
            group.add(Counter::SynRetransmits, 1);
        }
        return;
    }
    let Some(tcp) = sock.known_tcp() else { return };
    let in_loss = tcp.congestion_state() == congestion::LOSS;
    let kind = if in_loss {
        EventKind::RetransLoss
    } else {
        EventKind::Retrans
    };
    let Some(flow) = storage::find(sock) else {
        // What the kernel has counted until now, this retransmission included, is before the flow's beginning.
        if let Some(flow) = storage::find_or_adopt(sock, tcp) {
            events::emit(kind, tcp, flow.state());
        }
        return;
    };
    if !flow.is_established() {
        return;
    }
    let (segments, bytes) = (packet.queued_segments(), packet.length());
    let state = flow.state();
    state.on_retransmit(in_loss, segments, bytes);
    // The kernel's own totals are folded as `other`; what belongs to the state Loss moves.
    if in_loss && let Some(group) = Group::at(state.slot) {
        group.shift(
            Counter::RetransmittedSegmentsOther,
            Counter::RetransmittedSegmentsLoss,
            segments as u64,
        );
        group.shift(
            Counter::RetransmittedBytesOther,
            Counter::RetransmittedBytesLoss,
            bytes as u64,
        );
    }
    events::emit(kind, tcp, state);
}
