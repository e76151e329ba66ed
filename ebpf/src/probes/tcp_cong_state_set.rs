//! `tcp_cong_state_set(struct sock *sk, const u8 ca_state)`, 6.1 to 7.2: the congestion state is about to be set, perhaps to what
//! it is already. The socket is locked.

use crate::{groups::Group, kernel::Sock, storage};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use common::{group::Counter, tcp::congestion};

#[btf_tracepoint(function = "tcp_cong_state_set")]
fn tcp_cong_state_set(context: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::argument(&context, 0) else {
        return 0;
    };
    let counter = match context.arg::<u8>(1) {
        congestion::DISORDER => Counter::DisorderEntries,
        congestion::CWR => Counter::CwrEntries,
        congestion::RECOVERY => Counter::RecoveryEntries,
        congestion::LOSS => Counter::LossEntries,
        _ => return 0,
    };
    let Some(tcp) = sock.known_tcp() else { return 0 };
    if tcp.congestion_state() == context.arg::<u8>(1) {
        return 0;
    }
    if let Some(flow) = storage::find_or_adopt(sock, tcp)
        && let Some(group) = Group::at(flow.state().slot)
    {
        group.add(counter, 1);
    }
    0
}
