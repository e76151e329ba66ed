//! `tcp_probe(struct sock *sk, const struct sk_buff *skb)`, 5.10 to 7.2 (`skb` const from 6.18 on): every segment received on an
//! established flow, before it is processed. The socket is locked. Attached only in `detail: full`.

use crate::{
    flow::{adopt, state::Flow},
    kernel::{SkBuff, Sock, TcpSock},
    label::groups::Group,
    nested::programs,
};
use aya_ebpf::programs::BtfTracePointContext;
use common::tcp::{Header, group::Counter, has_only_timestamps, is_duplicate_ack, sack_blocks};

programs!(TcpProbe, "tcp_probe", tcp_probe, tcp_probe_nested, on_event);

#[inline(always)]
fn on_event(context: &BtfTracePointContext) {
    let (Some(sock), Some(packet)) = (Sock::argument(context, 0), SkBuff::argument(context, 1)) else {
        return;
    };
    let Some(tcp) = sock.known_tcp() else { return };
    let Some(flow) = adopt::find_or_adopt(sock, tcp) else {
        return;
    };
    let Some(group) = Group::at(flow.slot.get()) else {
        return;
    };
    sample_rtt(flow, tcp, group);
    acknowledgment(packet, flow, tcp, group);
}

/// Records the round-trip time that the previous acknowledgment measured, if it measured one: `rack.mstamp` is the time at
/// which the segment it covered was sent, and moves with every unambiguous sample (RFC 8985, 6.1).
#[inline(always)]
pub(crate) fn sample_rtt(flow: Flow, tcp: TcpSock, group: Group) {
    let (Some(stamp), Some(micros)) = (tcp.rack_mstamp(), tcp.rack_rtt_us()) else {
        return;
    };
    let stamp = stamp as u32;
    if stamp == flow.rtt_stamp.get() || micros == 0 {
        return;
    }
    flow.rtt_stamp.set(stamp);
    flow.on_rtt(micros, tcp.icsk_rto().unwrap_or(0));
    group.on_rtt(micros);
}

/// Records what the segment acknowledges.
#[inline(always)]
fn acknowledgment(packet: SkBuff, flow: Flow, tcp: TcpSock, group: Group) {
    let Some([ports, sequence, acknowledgment, flags, checksum, options]) = packet.transport_words::<6>() else {
        return;
    };
    let header = Header::decode(&[ports, sequence, acknowledgment, flags, checksum]);
    if packet.length() == header.length
        && let Some(sender) = tcp.sender()
        && is_duplicate_ack(&header, &sender)
    {
        flow.duplicate_acks.grow(1);
        group.add(Counter::DuplicateAcks, 1);
    }
    if header.length > 20
        && !has_only_timestamps(header.length, options)
        && let Some(options) = packet.tcp_options()
    {
        let blocks = sack_blocks(&options, (header.length - 20) as usize);
        if blocks != 0 {
            flow.sacks.grow(1);
            flow.sack_blocks.grow(blocks);
            group.add(Counter::Sacks, 1);
            group.add(Counter::SackBlocks, blocks as u64);
        }
    }
}
