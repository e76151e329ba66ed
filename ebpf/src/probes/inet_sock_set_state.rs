//! `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, 5.10 to 7.2: a connection opens,
//! fails or closes. The socket is locked.
#![expect(unsafe_code, reason = "calls a helper")]

use crate::{
    events, fold,
    groups::{self, Group, Place, count_lost},
    kernel::{Sock, TcpSock},
    nested::programs,
    offsets::HAS_SEGMENT_PATH,
    probes::tcp_probe,
    storage::{self, Flow},
};
use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::BtfTracePointContext};
use common::{
    event::EventKind,
    flow::{ADOPTED, CLOSED, ESTABLISHED, Fold},
    group::{Counter, Role},
    lost::Lost,
    tcp::{ConnectFailure, Transition, state},
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
            storage::delete(sock);
        }
        return;
    }
    let Some(tcp) = sock.full_tcp() else { return };
    match transition {
        Transition::Connecting => connecting(sock),
        Transition::Established => established(sock, tcp, old),
        Transition::ConnectFailed => connect_failed(sock),
        Transition::Closed => closed(sock, tcp),
        Transition::Closing => {
            storage::find_or_adopt(sock, tcp);
        }
        Transition::None => {}
    }
}

#[inline(always)]
fn connecting(sock: Sock) {
    // Without storage the handshake's time is not known; the flow itself is tried again when it is established.
    let Some(mut flow) = storage::create(sock) else { return };
    // A socket may be used again after another connection or a failed attempt.
    if flow.has_slot() || flow.state().started != 0 {
        storage::delete(sock);
        match storage::create(sock) {
            Some(anew) => flow = anew,
            None => return,
        }
    }
    flow.state().started = now();
}

#[inline(always)]
fn established(sock: Sock, tcp: TcpSock, old: u32) {
    let now = now();
    let connecting = storage::find(sock);
    let role = match connecting {
        None if old == state::SYN_RECV => Role::Server,
        _ => Role::Client,
    };
    let place = Place::of_flow(sock, Some(role));
    let (flow, handshake_micros) = match connecting {
        Some(flow) => {
            let began = flow.state().started;
            (Some(flow), (now - began) / 1000)
        }
        None => {
            // A server's first sample is the round trip of its SYN-ACK; without timestamps there is none when it was sent again.
            let handshake = if matches!(role, Role::Server) {
                tcp.smoothed_rtt().unwrap_or(0) as u64
            } else {
                0
            };
            (storage::create(sock), handshake)
        }
    };
    match flow {
        Some(flow) => {
            let state = flow.state();
            place.take(state);
            state.started = now;
            fold::begin_retransmissions(state, tcp);
            flow.establish(ESTABLISHED);
            events::emit(EventKind::Established, tcp, flow.state());
        }
        None => count_lost(Lost::FlowsUntracked),
    }
    if let Some(group) = Group::at(place.slot()) {
        group.add(Counter::Opened, 1);
        if handshake_micros != 0 {
            group.on_handshake(handshake_micros);
        }
    }
}

#[inline(always)]
fn connect_failed(sock: Sock) {
    let slot = groups::slot_of_flow(sock, Some(Role::Client));
    if let Some(group) = Group::at(slot) {
        let counter = match ConnectFailure::of_error(sock.error()) {
            ConnectFailure::Refused => Counter::FailedRefused,
            ConnectFailure::TimedOut => Counter::FailedTimedOut,
            ConnectFailure::Reset => Counter::FailedReset,
            ConnectFailure::Unreachable => Counter::FailedUnreachable,
            ConnectFailure::Other => Counter::FailedOther,
        };
        group.add(counter, 1);
    }
    storage::delete(sock);
}

#[inline(always)]
fn closed(sock: Sock, tcp: TcpSock) {
    let Some(flow) = storage::find(sock) else {
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
        storage::adopt(sock, tcp)
    };
    if let Some(flow) = flow
        && flow.is_established()
    {
        close(flow, tcp);
        events::emit(EventKind::Close, tcp, flow.state());
    }
}

/// Counts the end of an established flow, which the caller holds the lock of.
#[inline(always)]
pub(super) fn close(flow: Flow, tcp: TcpSock) {
    let state = flow.state();
    if let Some(group) = Group::at(state.slot) {
        if HAS_SEGMENT_PATH.is_set() {
            tcp_probe::sample_rtt(flow, tcp, group);
        }
        fold::fold(flow, tcp, group, Fold::Last);
        count_end(group, state.flags, state.started);
    }
    state.flags = CLOSED;
}

/// Counts a flow that ends now for its group. How long one lived that was open before the exporter ran, nobody knows.
#[inline(always)]
pub(super) fn count_end(group: Group, flags: u32, started: u64) {
    group.add(Counter::Closed, 1);
    if flags & ADOPTED == 0 {
        group.on_close((now() - started) / 1000);
    }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}
