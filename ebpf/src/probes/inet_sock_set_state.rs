//! `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, 5.10 to 7.2: a connection opens,
//! fails or closes. The socket is locked.
#![expect(unsafe_code, reason = "calls a helper")]

use crate::{
    events, fold,
    groups::{self, Group, Place, count_lost},
    kernel::{Sock, TcpSock},
    offsets::{HAS_SECOND_LOOK, HAS_SEGMENT_PATH},
    probes::tcp_probe,
    storage,
};
use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use common::{
    event::EventKind,
    flow::{ADOPTED, CLOSED, ESTABLISHED, Fold},
    group::{Counter, Role},
    lost::Lost,
    tcp::{ConnectFailure, Transition, state},
};

#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(context: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::argument(&context, 0) else {
        return 0;
    };
    let (old, new): (u32, u32) = (context.arg(1), context.arg(2));
    let transition = Transition::of(old, new);
    if matches!(transition, Transition::None) {
        if new == state::CLOSE {
            storage::delete(sock);
        }
        return 0;
    }
    let Some(tcp) = sock.full_tcp() else { return 0 };
    match transition {
        Transition::Connecting => connecting(sock),
        Transition::Established => established(sock, tcp, old, HAS_SECOND_LOOK.is_set()),
        Transition::ConnectFailed => connect_failed(sock),
        Transition::Closed => closed(sock, tcp),
        Transition::Closing => {
            storage::find_or_adopt(sock, tcp);
        }
        Transition::None => {}
    }
    0
}

/// The same once more, a program of its own, for what the first did not do. Attached only where tracepoints can be
/// preempted (Linux 7.0 and newer): a task that loses its processor within a program makes the kernel skip every run of
/// that program there until it is back, but not those of another.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state_again(context: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::argument(&context, 0) else {
        return 0;
    };
    let (old, new): (u32, u32) = (context.arg(1), context.arg(2));
    let transition = Transition::of(old, new);
    if let Some(tcp) = sock.full_tcp() {
        match (transition, storage::find(sock)) {
            (Transition::Connecting, None) => connecting(sock),
            (Transition::Established, None) => established(sock, tcp, old, false),
            (Transition::Established, Some(flow)) if !flow.has_slot() => established(sock, tcp, old, false),
            (Transition::ConnectFailed, Some(_)) => connect_failed(sock),
            (Transition::Closed, Some(_)) => closed(sock, tcp),
            (Transition::Closing, _) => {
                storage::find_or_adopt(sock, tcp);
            }
            _ => {}
        }
    }
    0
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
fn established(sock: Sock, tcp: TcpSock, old: u32, is_seen_again: bool) {
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
        // To the second program it is as if this one had not run.
        None if is_seen_again => return,
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
        if let Some(group) = Group::at(groups::slot_of_flow(sock, None)) {
            group.add(Counter::Closed, 1);
        }
        return;
    };
    let state = flow.state();
    if !flow.is_established() {
        return;
    }
    if let Some(group) = Group::at(state.slot) {
        if HAS_SEGMENT_PATH.is_set() {
            tcp_probe::sample_rtt(flow, tcp, group);
        }
        fold::fold(flow, tcp, group, Fold::Last);
        group.add(Counter::Closed, 1);
        if state.flags & ADOPTED == 0 {
            group.on_close((now() - state.started) / 1000);
        }
    }
    state.flags = CLOSED;
    events::emit(EventKind::Close, tcp, state);
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}
