//! `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, 5.10 to 7.2: a connection opens,
//! fails or closes. The socket is locked.

use crate::{
    flow::{accept_queues, adopt, events, fold, listeners, retransmissions, state::Flow},
    kernel::{Sock, TcpSock, now, offsets::HAS_SEGMENT_PATH},
    label::groups::{self, Group, SlotAssignment},
    maps::lost::count_lost,
    nested::programs,
    probes::tcp_probe,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::{
    map::lost::Lost,
    tcp::{
        Attempt, ConnectFailure, Transition,
        event::EventKind,
        flow::{ADOPTED, ESTABLISHED, Fold},
        group::{Counter, Role},
        state,
    },
};

programs!(
    InetSockSetState,
    "inet_sock_set_state",
    inet_sock_set_state,
    inet_sock_set_state_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let Some(sock) = Sock::argument(context, 0) else {
        return;
    };
    let (old, new): (u32, u32) = (context.arg(1), context.arg(2));
    let transition = Transition::of(old, new);
    if matches!(transition, Transition::None) {
        if new == state::CLOSE {
            Flow::delete(sock);
        }
        return;
    }
    let Some(tcp) = sock.full_tcp() else { return };
    match transition {
        Transition::Connecting => connecting(sock),
        Transition::Established => established(sock, tcp, old),
        Transition::ConnectFailed => connect_failed(sock, tcp),
        Transition::HalfOpenFailed => half_open_failed(sock, tcp),
        Transition::Closed => closed(sock, tcp),
        Transition::Closing => {
            adopt::find_or_adopt(sock, tcp);
        }
        Transition::Listening => {
            listeners::begin(sock, tcp);
        }
        Transition::ListenerClosed => listener_closed(sock, tcp),
        Transition::None => {}
    }
}

#[inline(always)]
fn connecting(sock: Sock) {
    // Without storage the handshake's time is not known; the flow itself is tried again when it is established.
    let Some(mut flow) = Flow::find_or_create(sock) else {
        return;
    };
    // A socket may be used again after another connection or a failed attempt.
    if flow.has_slot() || flow.started.get() != 0 {
        Flow::delete(sock);
        match Flow::find_or_create(sock) {
            Some(anew) => flow = anew,
            None => return,
        }
    }
    flow.started.set(now());
}

#[inline(always)]
fn established(sock: Sock, tcp: TcpSock, old: u32) {
    let now = now();
    let connecting = Flow::find(sock);
    if old == state::SYN_SENT && tcp.segs_out() == Some(0) {
        // No SYN was sent: somebody restores a connection (`TCP_REPAIR`), and the socket does not tell who had opened it.
        if let Some(flow) = connecting {
            flow.started.set(0);
        }
        adopt::adopt_as(sock, tcp, Role::Unknown);
        return;
    }
    let role = match connecting {
        None if old == state::SYN_RECV => Role::Server,
        _ => Role::Client,
    };
    let assignment = SlotAssignment::of_flow(sock, role);
    if connecting.is_none() && old == state::SYN_RECV {
        accept_queues::on_connection(tcp, assignment.slot());
    }
    let (flow, handshake_micros) = match connecting {
        Some(flow) => {
            retransmissions::count_handshake(flow, sock, tcp, Counter::SynRetransmits);
            let handshake = if tcp.puts_off_syn() {
                tcp.smoothed_rtt().unwrap_or(0) as u64
            } else {
                (now - flow.started.get()) / 1000
            };
            (Some(flow), handshake)
        }
        None => {
            // A server's first sample is the round trip of its SYN-ACK; without timestamps there is none when it was sent again.
            let handshake = if matches!(role, Role::Server) {
                tcp.smoothed_rtt().unwrap_or(0) as u64
            } else {
                0
            };
            (Flow::find_or_create(sock), handshake)
        }
    };
    match flow {
        Some(flow) => {
            assignment.assign_to(&flow);
            flow.started.set(now);
            fold::begin_retransmissions(&flow, tcp);
            flow.establish(ESTABLISHED);
            events::emit(EventKind::Established, sock, tcp, &flow);
        }
        None => count_lost(Lost::FlowsUntracked),
    }
    if let Some(group) = Group::at(assignment.slot()) {
        group.add(Counter::Opened, 1);
        if handshake_micros != 0 {
            group.on_handshake(handshake_micros);
        }
    }
}

#[inline(always)]
fn connect_failed(sock: Sock, tcp: TcpSock) {
    if let Some(flow) = Flow::find(sock) {
        retransmissions::count_handshake(flow, sock, tcp, Counter::SynRetransmits);
    }
    let slot = groups::slot_of_flow(sock, Role::Client);
    if let Some(group) = Group::at(slot) {
        let attempt = Attempt {
            error: sock.error(),
            syns: tcp.segs_out(),
            retransmissions: tcp.total_retrans().unwrap_or(0),
            has_port: tcp.has_port(),
            is_shut_down: sock.is_shut_down(),
        };
        group.add(Counter::of_failure(ConnectFailure::of(&attempt)), 1);
    }
    Flow::delete(sock);
}

/// A connection that both ends had opened at the same time failed; the socket of a server has no storage yet.
#[inline(always)]
fn half_open_failed(sock: Sock, tcp: TcpSock) {
    match Flow::find(sock) {
        Some(flow) if !flow.has_slot() => connect_failed(sock, tcp),
        _ => Flow::delete(sock),
    }
}

#[inline(always)]
fn listener_closed(sock: Sock, tcp: TcpSock) {
    listeners::end(sock, tcp);
    // Of a connection that the socket had before it listened.
    Flow::delete(sock);
}

#[inline(always)]
fn closed(sock: Sock, tcp: TcpSock) {
    let Some(flow) = Flow::find(sock) else {
        // Older than the exporter and silent since, or without storage: it did close.
        if let Some(group) = Group::at(groups::slot_of_flow(sock, tcp.role())) {
            group.add(Counter::Closed, 1);
        }
        return;
    };
    // A client has storage from its SYN on: without a slot, the end of its handshake was not seen.
    let flow = if flow.has_slot() {
        Some(flow)
    } else {
        adopt::adopt(sock, tcp)
    };
    if let Some(flow) = flow
        && flow.is_established()
    {
        close(flow, tcp, Fold::Last);
        events::emit(EventKind::Close, sock, tcp, &flow);
    }
}

/// Counts the end of an established flow, which the caller holds the lock of.
#[inline(always)]
pub(super) fn close(flow: Flow, tcp: TcpSock, fold: Fold) {
    let (flags, started) = (flow.flags.get(), flow.started.get());
    let group = Group::at(flow.slot.get());
    if let Some(group) = group {
        if HAS_SEGMENT_PATH.is_set() {
            tcp_probe::sample_rtt(flow, tcp, group);
        }
        retransmissions::find_kind_of_the_past(flow, tcp);
        fold::fold(flow, tcp, group, fold, || true);
    }
    // Where the end was not seen, the iterator may meet the flow at the same time: one of both counts it.
    if flow.end()
        && let Some(group) = group
    {
        count_end(group, flags, started);
    }
}

/// Counts a flow that ends now for its group. How long one lived that was open before the exporter ran, nobody knows.
#[inline(always)]
pub(super) fn count_end(group: Group, flags: u32, started: u64) {
    group.add(Counter::Closed, 1);
    if flags & ADOPTED == 0 {
        group.on_close((now() - started) / 1000);
    }
}
