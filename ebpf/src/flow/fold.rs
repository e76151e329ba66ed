//! The fold: what the kernel has counted for a flow since the last fold goes to the flow's group.

use crate::{
    atomic,
    flow::state::Flow,
    kernel::{TcpSock, jiffies, offsets::HAS_SEGMENT_PATH},
    label::groups::Group,
    maps::lost::count_lost,
};
use common::{
    map::lost::Lost,
    memory::shared::Shared,
    tcp::{
        flow::{FlowState, Fold, KernelCounter},
        group::Counter,
    },
};

/// How often a fold that lost a race starts again. The one other folder of a closing flow is the collecting iterator, which
/// exchanges each snapshot once.
const TRIES: u32 = 4;

/// Leaves out what was retransmitted until now: the SYNs of a flow that is just established.
#[inline(always)]
pub(crate) fn begin_retransmissions(flow: &FlowState, tcp: TcpSock) {
    flow.snapshot.total_retrans.set(tcp.total_retrans().unwrap_or(0));
    flow.snapshot.bytes_retrans.set(tcp.bytes_retrans().unwrap_or(0));
    // Nothing was retransmitted yet that would need a kind.
    flow.retransmitted_before.set(flow.snapshot.total_retrans.get());
}

/// Takes the snapshots of a flow that is counted from now on.
#[inline(always)]
pub(crate) fn begin(flow: &FlowState, tcp: TcpSock) {
    macro_rules! take {
        ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
            Counter::$counter:ident, FlowRecord::$number:ident;)+ }) => {
            $(flow.snapshot.$here.set(tcp.$here().unwrap_or(0));)+
        };
    }
    common::kept_counters!([take]);
    if let Some(chrono) = tcp.chrono() {
        let [busy, receive_window, send_buffer] = chrono.at(jiffies() as u32);
        flow.chrono[0].set(busy);
        flow.chrono[1].set(receive_window);
        flow.chrono[2].set(send_buffer);
    }
    flow.retransmitted_before.set(flow.snapshot.total_retrans.get());
    flow.rtt_stamp.set(tcp.rack_mstamp().unwrap_or(0) as u32);
}

/// Folds a flow into its group. Nothing that was read counts if `is_there` says that the socket has gone meanwhile. Retransmissions are
/// counted by the hooks, which know their kinds: a fold between the kernel's total and the hook would have to guess.
#[inline(always)]
pub(crate) fn fold(flow: Flow, tcp: TcpSock, group: Group, fold: Fold, is_there: impl Fn() -> bool) {
    macro_rules! exchange {
        ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
            Counter::$counter:ident, FlowRecord::$number:ident;)+ }) => {
            $(exchange!($here $counter);)+
        };
        (total_retrans $counter:ident) => {};
        ($here:ident $counter:ident) => {
            exchange(&flow.snapshot.$here, || tcp.$here(), &is_there, group, Counter::$counter, fold);
        };
    }
    common::kept_counters!([exchange]);
    fold_chrono(&flow, tcp, group, fold, &is_there);
    if !HAS_SEGMENT_PATH.is_set()
        && let Some(micros) = tcp.smoothed_rtt()
    {
        group.on_rtt(micros);
    }
}

/// Folds the times of a sender, which are read together or not at all.
#[inline(always)]
fn fold_chrono(flow: &FlowState, tcp: TcpSock, group: Group, fold: Fold, is_there: impl Fn() -> bool) {
    let Some(chrono) = tcp.chrono() else { return };
    let [busy, receive_window, send_buffer] = &flow.chrono;
    // Most flows are at rest most of the time.
    if chrono.running == 0 && chrono.at(0) == [busy.get(), receive_window.get(), send_buffer.get()] {
        return;
    }
    if !matches!(fold, Fold::Last) {
        // Without the lock the sender may change its state meanwhile; the next fold will find it at rest.
        match tcp.chrono() {
            Some(again) if again.since == chrono.since && again.running == chrono.running && is_there() => {}
            _ => return,
        }
    }
    let [busy_now, receive_window_now, send_buffer_now] = chrono.at(jiffies() as u32);
    for (snapshot, now, counter) in [
        (busy, busy_now, Counter::SenderBusyJiffies),
        (receive_window, receive_window_now, Counter::ReceiveWindowJiffies),
        (send_buffer, send_buffer_now, Counter::SendBufferJiffies),
    ] {
        exchange(snapshot, || Some(now), || true, group, counter, fold);
    }
}

/// Moves one snapshot on and adds the difference to the group. The counter is read after the snapshot, so that it is not
/// older than what another CPU has folded, and before `is_there` is asked.
#[inline(always)]
fn exchange<T: KernelCounter>(
    snapshot: &Shared<T>,
    read: impl Fn() -> Option<T>,
    is_there: impl Fn() -> bool,
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
        let delta = T::delta(old, now, fold);
        if delta == 0 || !is_there() {
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
