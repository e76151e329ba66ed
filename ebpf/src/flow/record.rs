//! The record of a flow, filled in at one place for the dump and for events.
#![expect(unsafe_code, reason = "fills in memory of maps through a raw pointer")]

use crate::{
    kernel::{
        Sock, TcpSock, jiffies, now,
        offsets::{HAS_LOSSES, JIFFY_NANOSECONDS},
    },
    label::{groups, workloads},
};
use common::tcp::{
    flow::{Chrono, FlowState},
    record::{FlowRecord, delivery_rate, in_flight, not_sent},
    retransmission::RetransmissionKind,
};

/// Says what a flow looks like now. A field that the kernel does not have is 0.
///
/// # Safety
/// `record` points to memory of a map that the verifier has checked and nobody else writes.
#[inline(always)]
pub(crate) unsafe fn fill(record: *mut FlowRecord, sock: Sock, cookie: u64, tcp: TcpSock, flow: &FlowState) {
    macro_rules! set {
        ($($field:ident = $value:expr;)+) => {
            $(
                let value = $value;
                // SAFETY: by the contract of this function. Volatile, so that each value is written when it is known and does not
                // wait for the others on the stack.
                unsafe { (&raw mut (*record).$field).write_volatile(value) };
            )+
        };
    }
    let (local, remote) = (sock.local(), sock.remote());
    let chrono = settled_chrono(tcp);
    let now = now();
    let [busy, receive_window, send_buffer] = chrono.at(jiffies() as u32);
    let mss = tcp.mss_cache().unwrap_or(0);
    set! {
        now = now;
        started = flow.started.get();
        cookie = cookie;
        local = local.words;
        remote = remote.words;
        family = remote.family as u8;
        local_port = tcp.local_port();
        remote_port = sock.remote_port();
        cgroup = workloads::cgroup_of(sock);
        labels = groups::labels_of_flow(sock, tcp, flow).words();
        slot = flow.slot.get();
        state = sock.state() as u8;
        flags = flow.flags.get() as u8;
        reserved = [0; 3];
    }
    set! {
        snd_cwnd = tcp.snd_cwnd().unwrap_or(0);
        mss = mss;
        ssthresh = tcp.snd_ssthresh().unwrap_or(0);
        srtt_us = tcp.smoothed_rtt().unwrap_or(0);
        rto_ms = millis(tcp.icsk_rto().unwrap_or(0));
        ca_state = tcp.congestion_state();
        algorithm = tcp.algorithm().unwrap_or([0; 2]);
        pacing_rate = tcp.pacing_rate().unwrap_or(0);
        delivery_rate = delivery_rate(tcp.rate_delivered().unwrap_or(0), tcp.rate_interval_us().unwrap_or(0), mss);
        limit = chrono.running as u8;
        busy_us = micros(busy);
        receive_window_us = micros(receive_window);
        send_buffer_us = micros(send_buffer);
    }
    macro_rules! set_kept {
        ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
            Counter::$counter:ident, FlowRecord::$number:ident;)+ }) => {
            set! { $($number = tcp.$here().unwrap_or(0);)+ }
        };
    }
    common::kept_counters!([set_kept]);
    let unacked = tcp.packets_out().unwrap_or(0);
    set! {
        unacked = unacked;
        in_flight = in_flight(
            unacked,
            tcp.sacked_out().unwrap_or(0),
            tcp.lost_out().unwrap_or(0),
            tcp.retrans_out().unwrap_or(0),
        );
        not_sent = not_sent(tcp.write_seq().unwrap_or(0), tcp.snd_nxt().unwrap_or(0));
        snd_wnd = tcp.snd_wnd().unwrap_or(0);
    }
    set! {
        other_segs_retrans = flow.retransmitted[RetransmissionKind::Other as usize].get();
        timeout_segs_retrans = flow.retransmitted[RetransmissionKind::Timeout as usize].get();
        probe_segs_retrans = flow.retransmitted[RetransmissionKind::TailLossProbe as usize].get();
        fast_segs_retrans = flow.retransmitted[RetransmissionKind::Fast as usize].get();
        max_rtt_us = flow.rtt_max.get();
        min_rtt_us = flow.rtt_min.get();
        count_rtt = flow.rtt_count.get();
        sum_rtt_us = flow.rtt_sum.get();
        rtt_sample_us = flow.rtt_last.get();
        max_rto_ms = millis(flow.rto_max.get());
        min_rto_ms = millis(flow.rto_min.get());
        dup_acks_in = flow.duplicate_acks.get();
        sacks_in = flow.sacks.get();
        sack_blks_in = flow.sack_blocks.get();
        locally_dropped = flow.locally_dropped.get();
        after_local_drop = if HAS_LOSSES.is_set() { flow.after_local_drop.get() as u64 } else { u64::MAX };
    }
}

/// The times of a sender. Without the socket's lock they may change while they are read: then they are read again.
#[inline(always)]
fn settled_chrono(tcp: TcpSock) -> Chrono {
    let first = tcp.chrono().unwrap_or_default();
    let second = tcp.chrono().unwrap_or_default();
    if first.since == second.since && first.running == second.running {
        return first;
    }
    tcp.chrono().unwrap_or_default()
}

#[inline(always)]
fn millis(jiffies: u32) -> u32 {
    (micros(jiffies) / 1000) as u32
}

#[inline(always)]
fn micros(jiffies: u32) -> u64 {
    jiffies as u64 * JIFFY_NANOSECONDS.get() / 1000
}
