//! `struct tcp_sock`, and the structures that it begins with.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::{
    memory::{cast::cast, load, load_bits, load_pointer, load_words},
    offsets::*,
    sock::{IPPROTO_TCP, Sock},
};
use aya_ebpf::helpers::bpf_skc_to_tcp_sock;
use common::{
    net::{address::Address, connection::Name},
    tcp::{Sender, flow::Chrono, group::Role, listener::Queues, record::delivery_rate},
};

/// `struct tcp_sock`.
#[derive(Clone, Copy)]
pub(crate) struct TcpSock(pub(super) *const u8);

macro_rules! tcp_sock_readers {
    ({ $($(#[$row:meta])* $kept:ident: $kept_type:ty = $structure:literal . $member:literal as $here:ident =>
        Counter::$counter:ident, FlowRecord::$number:ident;)+ }
     $($reader:ident: $type:ty = $field:ident;)+) => {
        tcp_sock_readers! {
            $($here: $kept_type = $kept;)+
            $($reader: $type = $field;)+
        }
    };
    ($($reader:ident: $type:ty = $field:ident;)+) => {
        impl TcpSock {
            $(
                #[doc = concat!("`", stringify!($field), "`")]
                #[inline(always)]
                pub(crate) fn $reader(self) -> Option<$type> {
                    // SAFETY: a member of `struct tcp_sock` or of the structures it begins with.
                    unsafe { load(self.0, &$field) }
                }
            )+
        }
    };
}

common::kept_counters! { [tcp_sock_readers]
    srtt_us: u32 = TCP_SOCK_SRTT_US;
    rack_rtt_us: u32 = TCP_SOCK_RACK_RTT_US;
    rack_mstamp: u64 = TCP_SOCK_RACK_MSTAMP;
    snd_cwnd: u32 = TCP_SOCK_SND_CWND;
    snd_ssthresh: u32 = TCP_SOCK_SND_SSTHRESH;
    mss_cache: u32 = TCP_SOCK_MSS_CACHE;
    icsk_rto: u32 = ICSK_RTO;
    pacing_rate: u64 = SOCK_PACING_RATE;
    packets_out: u32 = TCP_SOCK_PACKETS_OUT;
    sacked_out: u32 = TCP_SOCK_SACKED_OUT;
    lost_out: u32 = TCP_SOCK_LOST_OUT;
    retrans_out: u32 = TCP_SOCK_RETRANS_OUT;
    write_seq: u32 = TCP_SOCK_WRITE_SEQ;
    snd_nxt: u32 = TCP_SOCK_SND_NXT;
    snd_wnd: u32 = TCP_SOCK_SND_WND;
    snd_una: u32 = TCP_SOCK_SND_UNA;
    rcv_wnd: u32 = TCP_SOCK_RCV_WND;
    path_mtu: u32 = ICSK_PMTU_COOKIE;
    peer_mss: u16 = TCP_SOCK_MSS_CLAMP;
    last_sent: u32 = TCP_SOCK_LSNDTIME;
    last_received: u32 = ICSK_ACK_LRCVTIME;
    pending_timer: u8 = ICSK_PENDING;
    undo_marker: u32 = TCP_SOCK_UNDO_MARKER;
    high_sequence: u32 = TCP_SOCK_HIGH_SEQ;
    rate_delivered: u32 = TCP_SOCK_RATE_DELIVERED;
    rate_interval_us: u32 = TCP_SOCK_RATE_INTERVAL_US;
    clock: u64 = TCP_SOCK_CLOCK;
    ack_backlog: u32 = SOCK_ACK_BACKLOG;
    max_ack_backlog: u32 = SOCK_MAX_ACK_BACKLOG;
}

impl TcpSock {
    /// A full TCP socket at an address that may be none: then every field is zero. `None` where addresses cannot be given types.
    #[inline(always)]
    pub(crate) fn at(address: u64) -> Option<Self> {
        cast(address, &TYPE_TCP_SOCK).map(Self)
    }

    /// Asks for the cache lines that a fold reads, one word of each.
    #[inline(always)]
    pub(crate) fn fetch(self) {
        let _fetched = (
            self.icsk_rto(),
            self.mss_cache(),
            self.snd_ssthresh(),
            self.segs_out(),
            self.srtt_us(),
            self.bytes_received(),
            self.dsack_dups(),
            self.reord_seen(),
            self.total_retrans(),
            self.rcv_ooopack(),
        );
    }

    /// The same socket as `struct sock`.
    #[inline(always)]
    pub(crate) const fn as_sock(self) -> Sock {
        Sock(self.0)
    }

    /// Which end this is of a connection that is or was established. The socket that the kernel makes for a server keeps, as its
    /// device for multicast, the one by which the handshake came in; a stream socket cannot choose such a device, so that a client
    /// has none. Unknown where the kernel does not have these fields.
    #[inline(always)]
    pub(crate) fn role(self) -> Role {
        // SAFETY: members of `struct inet_sock`, which `struct tcp_sock` begins with, and a typed pointer to `struct ipv6_pinfo`.
        let device = unsafe {
            match load_pointer(self.0, &INET_SOCK_PINET6) {
                Some(pinet6) => load(pinet6, &IPV6_PINFO_MCAST_OIF),
                None => load(self.0, &INET_SOCK_MC_INDEX),
            }
        };
        match device {
            None => Role::Unknown,
            Some(0) => Role::Client,
            Some(_) => Role::Server,
        }
    }

    /// The local port in host byte order. A socket that closes gives `skc_num` back first, but keeps `inet_sport`.
    #[inline(always)]
    pub(crate) fn local_port(self) -> u16 {
        // SAFETY: a member of `struct inet_sock`, which `struct tcp_sock` begins with.
        match unsafe { load(self.0, &INET_SOCK_SPORT) } {
            Some(port) if port != 0 => u16::from_be(port),
            _ => self.as_sock().local_port(),
        }
    }

    /// Where `connect()` wanted to go if no route led there: the destination of the route that was looked up, and its port, which is
    /// only known of IPv4. None if the socket got beyond that, or was never to be connected. The kernel sets `mss_clamp` when it has
    /// found a route, just before the connection's first state, and clears it again when it takes a connection back, but not
    /// `write_seq`.
    #[inline(always)]
    pub(crate) fn unrouted(self) -> (Address, u16) {
        // SAFETY: members of `struct tcp_sock` and of the structures that it begins with.
        let (clamp, destination, port) = unsafe {
            (
                load(self.0, &TCP_SOCK_MSS_CLAMP),
                load(self.0, &INET_SOCK_FLOW_DADDR).unwrap_or(0),
                load(self.0, &INET_SOCK_FLOW_DPORT).unwrap_or(0),
            )
        };
        if clamp != Some(0) || self.write_seq() != Some(0) {
            return (Address::NONE, 0);
        }
        let remote = self.as_sock().remote();
        match remote.family {
            Address::V6 if remote.words != [0; 4] => (remote, 0),
            Address::V4 if destination != 0 => (Address::from_v4(destination), u16::from_be(port)),
            _ => (Address::NONE, 0),
        }
    }

    /// Whether the socket was given a port that is free for the connection it tries: the kernel chooses `write_seq` then.
    #[inline(always)]
    pub(crate) fn has_port(self) -> bool {
        // SAFETY: a member of `struct inet_sock`, which `struct tcp_sock` begins with.
        let port = unsafe { load(self.0, &INET_SOCK_SPORT) }.unwrap_or(0);
        port != 0 && self.write_seq() != Some(0)
    }

    /// `fastopen_connect`: the SYN waits for the first data, perhaps for long.
    #[inline(always)]
    pub(crate) fn puts_off_syn(self) -> bool {
        // SAFETY: a member of `struct tcp_sock`.
        unsafe { load_bits(self.0, &TCP_SOCK_FASTOPEN_CONNECT) }.unwrap_or(0) != 0
    }

    /// `sk_drops`, of a listener mostly handshakes that it turned away.
    #[inline(always)]
    pub(crate) fn drops(self) -> Option<u32> {
        // SAFETY: a member of `struct sock`.
        unsafe { load(self.0, &SOCK_DROPS) }
    }

    /// The queues of a listener.
    #[inline(always)]
    pub(crate) fn queues(self) -> Option<Queues> {
        // SAFETY: members of `struct sock` and `struct inet_connection_sock`, and a typed pointer to `struct net`.
        unsafe {
            let network = load_pointer(self.0, &SOCK_COMMON_NET)?;
            Some(Queues {
                waiting: self.ack_backlog()?,
                limit: self.max_ack_backlog()?,
                half_open: load(self.0, &ICSK_SYN_QUEUE)?,
                backlog: load(network, &NET_SYN_BACKLOG)?,
                cookies: load(network, &NET_SYN_COOKIES)? != 0,
            })
        }
    }

    /// The smoothed round-trip time in microseconds; `None` before the first sample.
    #[inline(always)]
    pub(crate) fn smoothed_rtt(self) -> Option<u32> {
        match self.srtt_us()? >> 3 {
            0 => None,
            micros => Some(micros),
        }
    }

    /// The last delivery rate that was measured, in bytes per second; `None` before the first, and where the application had too little
    /// to send.
    #[inline(always)]
    pub(crate) fn delivery_rate(self) -> Option<u64> {
        // SAFETY: a member of `struct tcp_sock`.
        let is_limited = unsafe { load_bits(self.0, &TCP_SOCK_RATE_APP_LIMITED) }? != 0;
        let rate = delivery_rate(self.rate_delivered()?, self.rate_interval_us()?, self.mss_cache()?);
        if is_limited || rate == 0 { None } else { Some(rate) }
    }

    /// `icsk_ca_state`
    #[inline(always)]
    pub(crate) fn congestion_state(self) -> u8 {
        // SAFETY: a member of `struct inet_connection_sock`, which `struct tcp_sock` begins with.
        unsafe { load_bits(self.0, &ICSK_CA_STATE) }.unwrap_or(0)
    }

    /// `chrono_*`
    #[inline(always)]
    pub(crate) fn chrono(self) -> Option<Chrono> {
        // SAFETY: members of `struct tcp_sock`.
        unsafe {
            Some(Chrono {
                running: load_bits(self.0, &TCP_SOCK_CHRONO_TYPE)? as u32,
                since: load(self.0, &TCP_SOCK_CHRONO_START)?,
                ended: [
                    load(self.0, &TCP_SOCK_CHRONO_BUSY)?,
                    load(self.0, &TCP_SOCK_CHRONO_RECEIVE_WINDOW)?,
                    load(self.0, &TCP_SOCK_CHRONO_SEND_BUFFER)?,
                ],
            })
        }
    }

    /// What duplicate acknowledgments are told by.
    #[inline(always)]
    pub(crate) fn sender(self) -> Option<Sender> {
        // SAFETY: members of `struct tcp_sock`.
        unsafe {
            Some(Sender {
                unacknowledged: load(self.0, &TCP_SOCK_SND_UNA)?,
                in_flight: load(self.0, &TCP_SOCK_PACKETS_OUT)?,
                window: load(self.0, &TCP_SOCK_SND_WND)?,
                window_scale: load_bits(self.0, &TCP_SOCK_SND_WSCALE)?,
            })
        }
    }

    /// Name of the congestion-control algorithm.
    #[inline(always)]
    pub(crate) fn algorithm(self) -> Option<Name> {
        // SAFETY: a typed pointer from `struct inet_connection_sock` to `struct tcp_congestion_ops`.
        unsafe {
            let operations = load_pointer(self.0, &ICSK_CA_OPS)?;
            Some(load_words(operations, &TCP_CONGESTION_OPS_NAME))
        }
    }
}

impl Sock {
    /// The same socket as `struct tcp_sock`; `None` when it is no full TCP socket.
    #[inline(always)]
    pub(crate) fn tcp(self) -> Option<TcpSock> {
        // SAFETY: the helper checks the socket's kind; the verifier checks its type.
        let pointer = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut().cast()) } as *const u8;
        if pointer.is_null() {
            None
        } else {
            Some(TcpSock(pointer))
        }
    }

    /// The same for a socket that is known to be a full one, and no raw one, as those of `inet_sock_set_state` are: its protocol says
    /// enough.
    #[inline(always)]
    pub(crate) fn full_tcp(self) -> Option<TcpSock> {
        if !TYPE_TCP_SOCK.is_set() {
            return self.tcp();
        }
        // SAFETY: a member of `struct sock`.
        match unsafe { load(self.0, &SOCK_PROTOCOL) } {
            Some(IPPROTO_TCP) => self.known_tcp(),
            Some(_) => None,
            None => self.tcp(),
        }
    }

    /// The same for a socket that is known to be a full TCP socket, which need not be asked then: those of `tcp_probe`,
    /// `tcp_retransmit_skb` and `tcp_cong_state_set` are, and those that have storage, which is made for no others.
    #[inline(always)]
    pub(crate) fn known_tcp(self) -> Option<TcpSock> {
        match cast(self.0 as u64, &TYPE_TCP_SOCK) {
            Some(pointer) => Some(TcpSock(pointer)),
            None => self.tcp(),
        }
    }
}
