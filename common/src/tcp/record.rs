//! What is said of one flow at one moment: a line of `trace` and `top`, an element of the flows API.
//!
//! The kernel side writes it, whole, into the file of an iterator or into a ring buffer; user space reads its bytes. All
//! numbers are in host byte order, all addresses in network byte order. Where `TCP_INFO` has the value too, it is the same.
#![expect(
    unnameable_types,
    reason = "a derive of zerocopy makes types for fields that come from a macro"
)]

use crate::{
    closed::closed_set,
    net::{address::Address, connection::Name},
    tcp::group::{GroupKey, Role},
};
use zerocopy::FromBytes;

macro_rules! record {
    ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
        Counter::$counter:ident, FlowRecord::$number:ident;)+ }
     $($other:tt)+) => {
        /// A flow and what has happened to it so far. Counters are those of the kernel since the socket was made, unless said;
        /// those that are kept by the hooks begin when the hooks first saw the flow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
        #[repr(C)]
        pub struct FlowRecord {
            $(
                #[doc = concat!("`", $structure, ".", $member, "`:")]
                $(#[$row])*
                pub $number: $type,
            )+
            $($other)+
        }
    };
}

crate::kept_counters! { [record]
    /// Slot of the flow's group.
    pub slot: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds: when this was read.
    pub now: u64,
    /// The same clock when the flow was established; 0 when nobody saw it.
    pub started: u64,
    /// The socket's cookie (`SO_COOKIE`): no other socket has it until the next boot.
    pub cookie: u64,
    /// Sum of the round-trip times, in microseconds; kept by the hooks.
    pub sum_rtt_us: u64,
    /// `sock.sk_pacing_rate`, in bytes per second; [`u64::MAX`] is no limit.
    pub pacing_rate: u64,
    /// What the peer acknowledged lately, in bytes per second; 0 before the first measurement.
    pub delivery_rate: u64,
    /// How long there was something to send, in microseconds.
    pub busy_us: u64,
    /// Part of `busy_us`: held up by the peer's receive window.
    pub receive_window_us: u64,
    /// Part of `busy_us`: held up by this end's send buffer.
    pub send_buffer_us: u64,
    /// Segments retransmitted after this host had dropped the transmission before; kept by the hooks; [`u64::MAX`] where nobody looks
    /// for such drops.
    pub after_local_drop: u64,
    /// `kernfs_node.id` of the cgroup of the socket; 0 where workloads are not told apart.
    pub cgroup: u64,
    /// Name of the congestion-control algorithm, NUL-padded.
    pub algorithm: Name,
    /// The local address as in [`Address::words`].
    pub local: [u32; 4],
    /// The remote address as in [`Address::words`].
    pub remote: [u32; 4],
    /// Subnet, application protocol, connection type, role and workload by their numbers: [`GroupKey::words`].
    pub labels: [u64; GroupKey::WORDS],
    /// `tcp_sock.snd_cwnd`, in segments.
    pub snd_cwnd: u32,
    /// `tcp_sock.mss_cache`, in bytes.
    pub mss: u32,
    /// `tcp_sock.snd_ssthresh`, in segments.
    pub ssthresh: u32,
    /// `tcp_sock.srtt_us` / 8: smoothed round-trip time in microseconds; 0 before the first sample.
    pub srtt_us: u32,
    /// `icsk_rto`: retransmission time-out in milliseconds.
    pub rto_ms: u32,
    /// Retransmitted segments of no other [kind](crate::tcp::retransmission::RetransmissionKind); kept by the hooks.
    pub other_segs_retrans: u32,
    /// Segments retransmitted after a time-out; kept by the hooks.
    pub timeout_segs_retrans: u32,
    /// Segments retransmitted as tail loss probes; kept by the hooks.
    pub probe_segs_retrans: u32,
    /// Segments retransmitted in `TCP_CA_Recovery`; kept by the hooks.
    pub fast_segs_retrans: u32,
    /// Largest round-trip time in microseconds; kept by the hooks.
    pub max_rtt_us: u32,
    /// Smallest round-trip time in microseconds; kept by the hooks.
    pub min_rtt_us: u32,
    /// Number of round-trip times; kept by the hooks.
    pub count_rtt: u32,
    /// The last round-trip time in microseconds; kept by the hooks.
    pub rtt_sample_us: u32,
    /// Largest retransmission time-out at a round-trip time, in milliseconds; kept by the hooks.
    pub max_rto_ms: u32,
    /// Smallest retransmission time-out at a round-trip time, in milliseconds; kept by the hooks.
    pub min_rto_ms: u32,
    /// Duplicate acknowledgments received; kept by the hooks.
    pub dup_acks_in: u32,
    /// Segments received with a SACK option; kept by the hooks.
    pub sacks_in: u32,
    /// SACK blocks received; kept by the hooks.
    pub sack_blks_in: u32,
    /// Segments that this host itself dropped on their way out; kept by the hooks.
    pub locally_dropped: u32,
    /// `tcp_sock.packets_out`: segments sent and not acknowledged in order.
    pub unacked: u32,
    /// `tcp_packets_in_flight()`: of those the ones that are on their way.
    pub in_flight: u32,
    /// Payload written and not yet sent, in bytes.
    pub not_sent: u32,
    /// `tcp_sock.snd_wnd`: the window that the peer last announced, in bytes.
    pub snd_wnd: u32,
    /// Local port.
    pub local_port: u16,
    /// Remote port.
    pub remote_port: u16,
    /// [`Address::V4`] or [`Address::V6`]; an IPv4-mapped address is an IPv4 address.
    pub family: u8,
    /// `sock.sk_state`
    pub state: u8,
    /// `icsk_ca_state`
    pub ca_state: u8,
    /// A [`Limit`]: what holds the sender up now.
    pub limit: u8,
    /// [`crate::tcp::flow::ESTABLISHED`], [`crate::tcp::flow::ADOPTED`], [`crate::tcp::flow::CLOSED`].
    pub flags: u8,
    /// 0.
    pub reserved: [u8; 3],
}

const _: () = assert!(align_of::<FlowRecord>() == 8);

impl FlowRecord {
    /// The local address.
    pub fn local_address(&self) -> Address {
        Address {
            words: self.local,
            family: self.family.into(),
        }
    }

    /// The remote address.
    pub fn remote_address(&self) -> Address {
        Address {
            words: self.remote,
            family: self.family.into(),
        }
    }

    /// The labels of its group, if that has a slot.
    pub const fn key(&self) -> GroupKey {
        GroupKey::from_words(self.labels)
    }

    /// Who opened the connection.
    pub const fn role(&self) -> Role {
        Role::from_number(self.key().role)
    }
}

closed_set! {
    /// What holds a sender up (`enum tcp_chrono`).
    Limit {
        /// It has nothing to send.
        Idle = "idle",
        /// The network: it sends as the congestion window lets it.
        Network = "network",
        /// The peer's receive window.
        ReceiveWindow = "receive_window",
        /// This end's send buffer.
        SendBuffer = "send_buffer",
    }
}

/// `tcp_compute_delivery_rate()`: bytes per second, from `delivered` segments of `mss` bytes within `interval_us`.
#[inline(always)]
pub const fn delivery_rate(delivered: u32, interval_us: u32, mss: u32) -> u64 {
    if interval_us == 0 {
        return 0;
    }
    delivered as u64 * mss as u64 * 1_000_000 / interval_us as u64
}

/// `tcp_packets_in_flight()`, from counts that may have been read while they changed.
#[inline(always)]
pub const fn in_flight(packets_out: u32, sacked_out: u32, lost_out: u32, retrans_out: u32) -> u32 {
    let gone = sacked_out.wrapping_add(lost_out);
    packets_out.wrapping_add(retrans_out).saturating_sub(gone)
}

/// Bytes between what was sent and what was written, by sequence numbers that may have been read while they changed.
#[inline(always)]
pub const fn not_sent(write_seq: u32, snd_nxt: u32) -> u32 {
    let ahead = write_seq.wrapping_sub(snd_nxt);
    if ahead < 1 << 31 { ahead } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_counts_survive_what_is_not_there() {
        assert_eq!(delivery_rate(10, 0, 1448), 0);
        assert_eq!(delivery_rate(10, 20_000, 1448), 724_000);
        assert_eq!(in_flight(10, 3, 2, 1), 6);
        assert_eq!(in_flight(1, 3, 0, 0), 0);
        assert_eq!(not_sent(5, u32::MAX - 4), 10);
        assert_eq!(not_sent(5, 6), 0);
    }

    #[test]
    fn limits_survive_their_numbers() {
        for limit in Limit::ALL {
            assert_eq!(Limit::from_number(limit as u8), limit);
        }
        assert_eq!(Limit::from_number(200), Limit::Idle);
    }
}
