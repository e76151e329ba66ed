//! The fold: what the kernel has counted for a flow since the last fold goes to the flow's group.
#![expect(unsafe_code, reason = "calls a helper")]

use crate::{
    atomic,
    flow::state::Flow,
    kernel::{TcpSock, offsets::HAS_SEGMENT_PATH},
    label::groups::{Group, count_lost},
};
use aya_ebpf::helpers::generated::bpf_jiffies64;
use common::{
    map::{
        lost::Lost,
        shared::{Number, Shared},
    },
    tcp::{
        flow::{FlowState, Fold, delta32, delta64, folded},
        group::Counter,
    },
};

/// How often a fold that lost a race starts again. The one other folder of a closing flow is the collecting iterator, which
/// exchanges each snapshot once.
const TRIES: u32 = 4;

/// A 32-bit counter of the kernel, its snapshot, and where it goes.
macro_rules! for_each_folded {
    ($call:ident) => {
        $call!(folded::SEGMENTS_TRANSMITTED, segs_out, SegmentsTransmitted);
        $call!(folded::SEGMENTS_RECEIVED, segs_in, SegmentsReceived);
        $call!(
            folded::DATA_SEGMENTS_TRANSMITTED,
            data_segs_out,
            DataSegmentsTransmitted
        );
        $call!(folded::DATA_SEGMENTS_RECEIVED, data_segs_in, DataSegmentsReceived);
        $call!(folded::OUT_OF_ORDER_SEGMENTS, rcv_ooopack, OutOfOrderSegments);
        $call!(folded::DSACKS, dsack_dups, Dsacks);
        $call!(folded::REORDERING_EVENTS, reord_seen, ReorderingEvents);
        $call!(folded::ECN_MARKED_SEGMENTS, delivered_ce, EcnMarkedSegments);
        // Those of the state Loss are moved to their own counter by the hook.
        $call!(
            folded::RETRANSMITTED_SEGMENTS,
            total_retrans,
            RetransmittedSegmentsOther
        );
    };
}

/// Leaves out what was retransmitted until now: the SYNs of a flow that is just established.
#[inline(always)]
pub(crate) fn begin_retransmissions(flow: &FlowState, tcp: TcpSock) {
    flow.snapshot[folded::RETRANSMITTED_SEGMENTS].set(tcp.total_retrans().unwrap_or(0));
    flow.bytes_retransmitted.set(tcp.bytes_retrans().unwrap_or(0));
    begin_causes(flow);
}

/// Nothing was retransmitted yet that would need a cause.
#[inline(always)]
fn begin_causes(flow: &FlowState) {
    let segments = flow.snapshot[folded::RETRANSMITTED_SEGMENTS].get();
    flow.retransmitted_segments_before.set(segments);
    flow.retransmitted_bytes_before.set(flow.bytes_retransmitted.get());
}

/// Takes the snapshots of a flow that is counted from now on.
#[inline(always)]
pub(crate) fn begin(flow: &FlowState, tcp: TcpSock) {
    macro_rules! take {
        ($index:expr, $reader:ident, $counter:ident) => {
            flow.snapshot[$index].set(tcp.$reader().unwrap_or(0));
        };
    }
    for_each_folded!(take);
    if let Some(chrono) = tcp.chrono() {
        let [busy, receive_window, send_buffer] = chrono.at(jiffies());
        flow.snapshot[folded::SENDER_BUSY_JIFFIES].set(busy);
        flow.snapshot[folded::RECEIVE_WINDOW_JIFFIES].set(receive_window);
        flow.snapshot[folded::SEND_BUFFER_JIFFIES].set(send_buffer);
    }
    flow.bytes_sent.set(tcp.bytes_sent().unwrap_or(0));
    flow.bytes_received.set(tcp.bytes_received().unwrap_or(0));
    flow.bytes_retransmitted.set(tcp.bytes_retrans().unwrap_or(0));
    begin_causes(flow);
    flow.rtt_stamp.set(tcp.rack_mstamp().unwrap_or(0) as u32);
}

/// Folds a flow into its group.
#[inline(always)]
pub(crate) fn fold(flow: Flow, tcp: TcpSock, group: Group, fold: Fold) {
    macro_rules! exchange {
        ($index:expr, $reader:ident, $counter:ident) => {
            exchange(
                &flow.snapshot[$index],
                || tcp.$reader(),
                |old, now| delta32(old, now, fold),
                group,
                Counter::$counter,
                fold,
            );
        };
    }
    for_each_folded!(exchange);
    fold_chrono(&flow, tcp, group, fold);
    macro_rules! exchange_bytes {
        ($snapshot:ident, $reader:ident, $counter:ident) => {
            let delta = |old, now| delta64(old, now, fold);
            exchange(
                &flow.$snapshot,
                || tcp.$reader(),
                delta,
                group,
                Counter::$counter,
                fold,
            );
        };
    }
    exchange_bytes!(bytes_sent, bytes_sent, DataBytesTransmitted);
    exchange_bytes!(bytes_received, bytes_received, DataBytesReceived);
    exchange_bytes!(bytes_retransmitted, bytes_retrans, RetransmittedBytesOther);
    if !HAS_SEGMENT_PATH.is_set()
        && let Some(micros) = tcp.smoothed_rtt()
    {
        group.on_rtt(micros);
    }
}

/// Folds the times of a sender, which are read together or not at all.
#[inline(always)]
fn fold_chrono(flow: &FlowState, tcp: TcpSock, group: Group, fold: Fold) {
    let Some(chrono) = tcp.chrono() else { return };
    let seen = [
        folded::SENDER_BUSY_JIFFIES,
        folded::RECEIVE_WINDOW_JIFFIES,
        folded::SEND_BUFFER_JIFFIES,
    ]
    .map(|index| flow.snapshot[index].get());
    // Most flows are at rest most of the time.
    if chrono.running == 0 && chrono.at(0) == seen {
        return;
    }
    if matches!(fold, Fold::Live) {
        // Without the lock the sender may change its state meanwhile; the next fold will find it at rest.
        match tcp.chrono() {
            Some(again) if again.since == chrono.since && again.running == chrono.running => {}
            _ => return,
        }
    }
    let [busy, receive_window, send_buffer] = chrono.at(jiffies());
    macro_rules! exchange {
        ($index:expr, $now:ident, $counter:ident) => {
            exchange(
                &flow.snapshot[$index],
                || Some($now),
                |old, now| delta32(old, now, fold),
                group,
                Counter::$counter,
                fold,
            );
        };
    }
    exchange!(folded::SENDER_BUSY_JIFFIES, busy, SenderBusyJiffies);
    exchange!(folded::RECEIVE_WINDOW_JIFFIES, receive_window, ReceiveWindowJiffies);
    exchange!(folded::SEND_BUFFER_JIFFIES, send_buffer, SendBufferJiffies);
}

/// Moves one snapshot on and adds the difference to the group. The counter is read after the snapshot, so that it is not
/// older than what another CPU has folded.
#[inline(always)]
fn exchange<T: Number>(
    snapshot: &Shared<T>,
    read: impl Fn() -> Option<T>,
    delta: impl Fn(T, T) -> u64,
    group: Group,
    counter: Counter,
    fold: Fold,
) {
    let mut tries = 0;
    while tries < TRIES {
        let old = snapshot.get();
        let Some(now) = read() else { return };
        if now == old {
            return;
        }
        let delta = delta(old, now);
        if delta == 0 {
            return;
        }
        if atomic::replace(snapshot, old, now) {
            group.add(counter, delta);
            return;
        }
        tries += 1;
    }
    if matches!(fold, Fold::Last) {
        count_lost(Lost::FoldsContended);
    }
}

/// The kernel's clock of `chrono_*`.
#[inline(always)]
fn jiffies() -> u32 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_jiffies64() as u32 }
}
