//! `tcp_retransmit_skb(const struct sock *sk, const struct sk_buff *skb)`, 5.10 to 6.12; `int err` follows on 6.18 and 7.2, where the
//! hook also sees retransmissions that this host refused. Older kernels do not report those, but count them all the same. Newer ones
//! also report attempts that ended before TCP counted a retransmission: no route, no room in the peer's window, no memory, or the
//! packet still waits in a queue of this host. The socket is locked.

use crate::{
    drops::losses,
    flow::{adopt, events, retransmissions, state::Flow},
    kernel::{
        SkBuff, Sock, TcpSock,
        offsets::{HAS_LOSSES, HAS_RETRANSMIT_ERROR},
    },
    label::groups::{self, Group},
    nested::programs,
};
use aya_ebpf::{EbpfContext as _, programs::BtfTracePointContext};
use common::{
    kernel::tracepoints::Run,
    tcp::{
        congestion,
        event::EventKind,
        group::{Counter, Role},
        state,
    },
};

programs!(
    TcpRetransmitSkb,
    "tcp_retransmit_skb",
    tcp_retransmit_skb,
    tcp_retransmit_skb_nested,
    on_event,
    Run
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext, run: Run) {
    let Some(sock) = Sock::argument(context, 0) else {
        return;
    };
    let Some(tcp) = sock.known_tcp() else { return };
    let flow = Flow::find(sock);
    let segment = match sock.state() {
        state::SYN_SENT => Counter::SynRetransmits,
        // Both ends have opened the connection at the same time.
        state::SYN_RECV => Counter::SynAckRetransmits,
        _ => {
            if retransmitted(context, sock, tcp, flow) {
                count_dropped_before(context, sock, run);
            }
            return;
        }
    };
    if let Some(flow) = flow {
        retransmissions::count_handshake(flow, sock, tcp, segment);
    } else if !has_failed(context)
        && let Some(group) = Group::at(groups::slot_of_flow(sock, Role::Client))
    {
        // Older than the exporter: how often before is not known.
        group.add(segment, 1);
    }
}

/// Counts what was retransmitted by its kind; false if TCP retransmitted nothing.
#[inline(always)]
fn retransmitted(context: &BtfTracePointContext, sock: Sock, tcp: TcpSock, flow: Option<Flow>) -> bool {
    let kind = if tcp.congestion_state() == congestion::LOSS {
        EventKind::RetransLoss
    } else {
        EventKind::Retrans
    };
    let Some(flow) = flow else {
        // What the kernel has counted until now, this retransmission included, is before the flow's beginning.
        if let Some(flow) = adopt::find_or_adopt(sock, tcp) {
            events::emit(kind, sock, tcp, &flow);
        }
        return !has_failed(context);
    };
    if !flow.is_established() || retransmissions::find_kind(flow, tcp, SkBuff::argument(context, 1)) == 0 {
        return false;
    }
    events::emit(kind, sock, tcp, &flow);
    true
}

/// Whether the kernel says that the packet was not sent.
#[inline(always)]
fn has_failed(context: &BtfTracePointContext) -> bool {
    HAS_RETRANSMIT_ERROR.is_set() && context.arg::<i32>(2) != 0
}

/// Counts retransmitted segments whose transmission before this host had dropped.
#[inline(always)]
fn count_dropped_before(context: &BtfTracePointContext, sock: Sock, run: Run) {
    if !HAS_LOSSES.is_set() {
        return;
    }
    let segments = losses::sent_again(context.as_ptr(), run);
    if segments == 0 {
        return;
    }
    let Some(flow) = Flow::find(sock) else { return };
    flow.after_local_drop.grow(segments);
    if let Some(group) = Group::at(flow.slot.get()) {
        group.add(Counter::RetransmittedAfterLocalDrop, segments as u64);
    }
}
