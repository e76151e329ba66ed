//! `tcp_cong_state_set(struct sock *sk, const u8 ca_state)`, 6.1 to 7.2: the congestion state is about to be set, perhaps to what
//! it is already. The socket is locked.

use crate::{
    flow::{adopt, retransmissions},
    kernel::Sock,
    label::groups::Group,
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::tcp::{congestion, group::Counter};

programs!(
    TcpCongStateSet,
    "tcp_cong_state_set",
    tcp_cong_state_set,
    tcp_cong_state_set_nested,
    on_event
);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let Some(sock) = Sock::argument(context, 0) else {
        return;
    };
    let state = context.arg::<u8>(1);
    let entered = match state {
        congestion::DISORDER => Some(Counter::DisorderEntries),
        congestion::CWR => Some(Counter::CwrEntries),
        congestion::RECOVERY => Some(Counter::RecoveryEntries),
        congestion::LOSS => Some(Counter::LossEntries),
        _ => None,
    };
    let Some(tcp) = sock.known_tcp() else { return };
    let is_there = tcp.congestion_state() == state;
    if is_there && state != congestion::LOSS {
        return;
    }
    let Some(flow) = adopt::find_or_adopt(sock, tcp) else {
        return;
    };
    retransmissions::find_kind_of_the_past(flow, tcp);
    if state == congestion::LOSS {
        retransmissions::enter_loss(flow, tcp, is_there);
    }
    if is_there {
        return;
    }
    let undone = retransmissions::undone(flow, tcp, state);
    if let Some(group) = Group::at(flow.slot.get()) {
        if let Some(counter) = entered {
            group.add(counter, 1);
        }
        if let Some(counter) = undone {
            group.add(counter, 1);
        }
    }
}
