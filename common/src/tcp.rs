//! TCP as the wire and the kernel have it: states, congestion states, header, options, and what they mean for a flow.

pub mod accept_queue;
pub mod event;
pub mod flow;
pub mod group;
pub mod kept;
pub mod listener;
pub mod record;
pub mod retransmission;
pub mod samples;

/// `TCP_*` states of `sock.sk_state` (include/net/tcp_states.h).
pub mod state {
    /// `TCP_ESTABLISHED`
    pub const ESTABLISHED: u32 = 1;
    /// `TCP_SYN_SENT`
    pub const SYN_SENT: u32 = 2;
    /// `TCP_SYN_RECV`
    pub const SYN_RECV: u32 = 3;
    /// `TCP_FIN_WAIT1`
    pub const FIN_WAIT1: u32 = 4;
    /// `TCP_FIN_WAIT2`
    pub const FIN_WAIT2: u32 = 5;
    /// `TCP_TIME_WAIT`: what is left of a closed connection, not a full socket.
    pub const TIME_WAIT: u32 = 6;
    /// `TCP_CLOSE`
    pub const CLOSE: u32 = 7;
    /// `TCP_CLOSE_WAIT`
    pub const CLOSE_WAIT: u32 = 8;
    /// `TCP_LAST_ACK`
    pub const LAST_ACK: u32 = 9;
    /// `TCP_LISTEN`
    pub const LISTEN: u32 = 10;
    /// `TCP_CLOSING`
    pub const CLOSING: u32 = 11;
    /// `TCP_NEW_SYN_RECV`: a request, not a full socket.
    pub const NEW_SYN_RECV: u32 = 12;

    /// Its name as in `ss`, with underscores; "" for none.
    pub const fn name(state: u32) -> &'static str {
        match state {
            ESTABLISHED => "established",
            SYN_SENT => "syn_sent",
            SYN_RECV => "syn_recv",
            FIN_WAIT1 => "fin_wait1",
            FIN_WAIT2 => "fin_wait2",
            TIME_WAIT => "time_wait",
            CLOSE => "close",
            CLOSE_WAIT => "close_wait",
            LAST_ACK => "last_ack",
            LISTEN => "listen",
            CLOSING => "closing",
            NEW_SYN_RECV => "new_syn_recv",
            _ => "",
        }
    }

    /// Whether a socket in this state carries a connection whose handshake is over.
    #[inline(always)]
    pub const fn is_connected(state: u32) -> bool {
        matches!(
            state,
            ESTABLISHED | FIN_WAIT1 | FIN_WAIT2 | CLOSE_WAIT | LAST_ACK | CLOSING
        )
    }
}

/// `enum tcp_ca_state` of `inet_connection_sock.icsk_ca_state`.
pub mod congestion {
    /// `TCP_CA_Disorder`
    pub const DISORDER: u8 = 1;
    /// `TCP_CA_CWR`
    pub const CWR: u8 = 2;
    /// `TCP_CA_Recovery`
    pub const RECOVERY: u8 = 3;
    /// `TCP_CA_Loss`
    pub const LOSS: u8 = 4;

    /// Its name; "" for none.
    pub const fn name(state: u8) -> &'static str {
        match state {
            0 => "open",
            DISORDER => "disorder",
            CWR => "cwr",
            RECOVERY => "recovery",
            LOSS => "loss",
            _ => "",
        }
    }
}

/// Whether a connection is in use: its last data went or came at `last` and now it is `now`, both in jiffies, not more than a second later.
#[inline(always)]
pub const fn is_in_use(now: u32, last: u32, jiffy_nanoseconds: u64) -> bool {
    now.wrapping_sub(last) as u64 * jiffy_nanoseconds <= 1_000_000_000
}

/// `TCP_INFINITE_SSTHRESH`: no slow-start threshold has been set yet.
pub const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;

/// What a change of `sock.sk_state` means for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// An active open begins.
    Connecting,
    /// The handshake is over.
    Established,
    /// An active open has failed.
    ConnectFailed,
    /// A connection whose handshake the peer had begun has failed, or both ends had begun it at the same time.
    HalfOpenFailed,
    /// A socket begins to listen.
    Listening,
    /// A socket listens no more.
    ListenerClosed,
    /// A connection is over.
    Closed,
    /// A connection goes on towards its end.
    Closing,
    /// No connection is concerned, or one that never was established.
    None,
}

impl Transition {
    /// Classifies a change of state.
    #[inline(always)]
    pub const fn of(old: u32, new: u32) -> Self {
        match (old, new) {
            (_, state::SYN_SENT) => Self::Connecting,
            // A fast-open server may be closed before its handshake ends: it was a connection all the same.
            (state::SYN_RECV, state::FIN_WAIT1) | (_, state::ESTABLISHED) => Self::Established,
            (state::SYN_SENT, state::CLOSE) => Self::ConnectFailed,
            (state::SYN_RECV, state::CLOSE) => Self::HalfOpenFailed,
            (_, state::LISTEN) => Self::Listening,
            (state::LISTEN, state::CLOSE) => Self::ListenerClosed,
            (old, state::CLOSE) if state::is_connected(old) => Self::Closed,
            (old, _) if state::is_connected(old) => Self::Closing,
            _ => Self::None,
        }
    }
}

/// Longest TCP header: 15 words.
pub const LONGEST_HEADER: usize = 60;

/// The parts of a TCP header (RFC 9293, 3.1) that the programs look at, in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Length of header and options in bytes.
    pub length: u32,
    /// SYN, FIN or RST is set.
    pub control: bool,
    /// ACK is set.
    pub ack: bool,
    /// RST is set.
    pub reset: bool,
    /// Window, not scaled.
    pub window: u16,
}

impl Header {
    /// Decodes the fixed 20 bytes, given as five words in network byte order.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a half of a word")]
    pub const fn decode(words: &[u32; 5]) -> Self {
        const FIN_SYN_RST: u32 = 0x0007;
        const RST: u32 = 0x0004;
        const ACK: u32 = 0x0010;
        let word = u32::from_be(words[3]);
        let flags = word >> 16;
        Self {
            acknowledgment: u32::from_be(words[2]),
            length: (word >> 28) * 4,
            control: flags & FIN_SYN_RST != 0,
            ack: flags & ACK != 0,
            reset: flags & RST != 0,
            window: word as u16,
        }
    }
}

/// What the sender knew when a segment came in.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// `tcp_sock.snd_una`: the oldest unacknowledged sequence number.
    pub unacknowledged: u32,
    /// `tcp_sock.packets_out`: segments in flight.
    pub in_flight: u32,
    /// `tcp_sock.snd_wnd`: the window that the peer last announced, in bytes.
    pub window: u32,
    /// `tcp_options_received.snd_wscale`: shift of the window field.
    pub window_scale: u8,
}

/// Whether a segment without payload is a duplicate acknowledgment by RFC 5681: data is in flight, no SYN, FIN or RST,
/// nothing new is acknowledged, and the window is unchanged.
#[inline(always)]
pub const fn is_duplicate_ack(header: &Header, sender: &Sender) -> bool {
    header.ack
        && !header.control
        && sender.in_flight != 0
        && header.acknowledgment == sender.unacknowledged
        && (header.window as u32) << (sender.window_scale & 15) == sender.window
}

/// Whether the options of a header of `length` bytes, of which `first` is the first word in network byte order, are what most
/// segments carry: two NOPs and a timestamp (RFC 7323, appendix A), and so no SACK.
#[inline(always)]
pub const fn has_only_timestamps(length: u32, first: u32) -> bool {
    length == 32 && first == 0x0101_080a_u32.to_be()
}

/// How many options of a header are looked at, padding included. Stacks send at most six before the SACK option ends; the
/// verifier follows every further one on every path.
const OPTIONS: u32 = 16;

/// Number of SACK blocks (RFC 2018) in the options of a TCP header; 0 when the option is absent or malformed.
///
/// `options` holds the bytes after the fixed header; only the first `length` count.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the size of an option is one byte")]
pub fn sack_blocks(options: &[u8; LONGEST_HEADER - 20], length: usize) -> u32 {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const SACK: u8 = 5;
    let mut at = 0;
    let mut left = OPTIONS;
    while left > 0 {
        left -= 1;
        // Two tests, so that the verifier sees a bound of its own on every index.
        if at >= length || at >= options.len() - 1 {
            return 0;
        }
        let kind = options[at];
        if kind == END {
            return 0;
        }
        if kind == NOP {
            at += 1;
            continue;
        }
        let size = options[at + 1] as usize;
        if size < 2 || at + size > length {
            return 0;
        }
        if kind == SACK {
            let blocks = (size as u32 - 2) / 8;
            return if blocks * 8 + 2 == size as u32 { blocks } else { 0 };
        }
        at += size;
    }
    0
}

/// What is left of an active open that failed, when its socket closes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// `sock.sk_err`, else `sk_err_soft`; 0 when nobody reported an error.
    pub error: i32,
    /// `tcp_sock.segs_out`: SYNs sent, those that this host dropped included; `None` when the kernel does not say.
    pub syns: Option<u32>,
    /// `tcp_sock.total_retrans`: how many of them were retransmissions.
    pub retransmissions: u32,
    /// The socket got a port that is free for this connection.
    pub has_port: bool,
    /// `sock.sk_shutdown` is not 0: the application has closed the socket.
    pub is_shut_down: bool,
}

/// Why an active open failed: the value of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The peer answered with a reset, or a router with "port unreachable".
    Refused,
    /// No answer came in time: the kernel gave up.
    TimedOut,
    /// The application gave up after at least one SYN was retransmitted.
    Unanswered,
    /// The application gave up before that.
    Cancelled,
    /// The connection was reset.
    Reset,
    /// `EHOSTUNREACH` and its kin: by ICMP, or because a neighbor does not answer.
    HostUnreachable,
    /// `ENETUNREACH` and its kin: by ICMP.
    NetworkUnreachable,
    /// `EACCES`: by ICMPv6, a policy forbids it.
    Prohibited,
    /// Before the SYN: the route was gone.
    NoRoute,
    /// Before the SYN: no local port was free.
    NoLocalPort,
    /// Anything else.
    Other,
}

impl ConnectFailure {
    /// Classifies a failed attempt; error numbers are those of Linux (asm-generic/errno.h).
    #[inline(always)]
    pub const fn of(attempt: &Attempt) -> Self {
        const EACCES: i32 = 13;
        const EPIPE: i32 = 32;
        const ENONET: i32 = 64;
        const ENETDOWN: i32 = 100;
        const ENETUNREACH: i32 = 101;
        const ECONNRESET: i32 = 104;
        const ETIMEDOUT: i32 = 110;
        const ECONNREFUSED: i32 = 111;
        const EHOSTDOWN: i32 = 112;
        const EHOSTUNREACH: i32 = 113;
        match attempt.error {
            0 => Self::without_error(attempt),
            ECONNREFUSED => Self::Refused,
            ETIMEDOUT => Self::TimedOut,
            ECONNRESET | EPIPE => Self::Reset,
            EHOSTUNREACH | EHOSTDOWN | ENONET => Self::HostUnreachable,
            ENETUNREACH | ENETDOWN => Self::NetworkUnreachable,
            EACCES => Self::Prohibited,
            _ => Self::Other,
        }
    }

    #[inline(always)]
    const fn without_error(attempt: &Attempt) -> Self {
        let is_before_syn = matches!(attempt.syns, Some(0)) && !attempt.is_shut_down;
        match (is_before_syn, attempt.has_port, attempt.retransmissions) {
            (true, false, _) => Self::NoLocalPort,
            (true, true, _) => Self::NoRoute,
            (false, _, 0) => Self::Cancelled,
            (false, _, _) => Self::Unanswered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn transitions_tell_a_flow_from_a_failed_connect() {
        use state::*;
        let cases = [
            (CLOSE, SYN_SENT, Transition::Connecting),
            (SYN_SENT, ESTABLISHED, Transition::Established),
            (SYN_RECV, ESTABLISHED, Transition::Established),
            (SYN_RECV, FIN_WAIT1, Transition::Established),
            (SYN_SENT, CLOSE, Transition::ConnectFailed),
            (SYN_RECV, CLOSE, Transition::HalfOpenFailed),
            (CLOSE, LISTEN, Transition::Listening),
            (LISTEN, CLOSE, Transition::ListenerClosed),
            (LISTEN, SYN_RECV, Transition::None),
            (ESTABLISHED, FIN_WAIT1, Transition::Closing),
            (FIN_WAIT1, FIN_WAIT2, Transition::Closing),
            (ESTABLISHED, CLOSE, Transition::Closed),
            (LAST_ACK, CLOSE, Transition::Closed),
            (FIN_WAIT2, CLOSE, Transition::Closed),
        ];
        for (old, new, expected) in cases {
            assert_eq!(Transition::of(old, new), expected, "{old} to {new}");
        }
    }

    fn options(bytes: &[u8]) -> u32 {
        let mut all = [0; 40];
        all[..bytes.len()].copy_from_slice(bytes);
        sack_blocks(&all, bytes.len())
    }

    #[test]
    fn sack_blocks_are_counted_wherever_the_option_stands() {
        const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(options(&[]), 0);
        assert_eq!(options(&TIMESTAMPS), 0);
        for blocks in 1..=4u8 {
            let mut bytes = std::vec![1, 1, 5, 2 + 8 * blocks];
            bytes.resize(4 + 8 * usize::from(blocks), 0xaa);
            assert_eq!(options(&bytes), u32::from(blocks));
            if blocks < 4 {
                let after_timestamps: std::vec::Vec<u8> = TIMESTAMPS.into_iter().chain(bytes.clone()).collect();
                assert_eq!(options(&after_timestamps), u32::from(blocks));
            }
        }
    }

    #[test]
    fn malformed_options_hold_no_blocks() {
        assert_eq!(options(&[5]), 0);
        assert_eq!(options(&[5, 10, 0]), 0);
        assert_eq!(options(&[5, 2]), 0);
        assert_eq!(options(&[5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 0);
        assert_eq!(options(&[8, 0, 5, 10]), 0);
        assert_eq!(options(&[0, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0]), 0);
    }

    proptest! {
        #[test]
        fn any_options_give_at_most_four_blocks(bytes: [u8; 40], length in 0usize..64) {
            prop_assert!(sack_blocks(&bytes, length.min(40)) <= 4);
        }
    }

    const SENDER: Sender = Sender {
        unacknowledged: 1000,
        in_flight: 3,
        window: 512 << 7,
        window_scale: 7,
    };

    fn header(acknowledgment: u32, flags: u16, window: u16) -> Header {
        let word = 8 << 28 | u32::from(flags) << 16 | u32::from(window);
        Header::decode(&[0, 0, acknowledgment.to_be(), word.to_be(), 0])
    }

    #[test]
    fn a_duplicate_ack_is_one_by_rfc_5681() {
        assert!(is_duplicate_ack(&header(1000, 0x10, 512), &SENDER));
        assert!(
            !is_duplicate_ack(&header(1001, 0x10, 512), &SENDER),
            "new data is acknowledged"
        );
        assert!(!is_duplicate_ack(&header(1000, 0x10, 513), &SENDER), "a window update");
        assert!(!is_duplicate_ack(&header(1000, 0x11, 512), &SENDER), "a FIN");
        let idle = Sender { in_flight: 0, ..SENDER };
        assert!(!is_duplicate_ack(&header(1000, 0x10, 512), &idle), "nothing in flight");
    }

    #[test]
    fn a_header_is_decoded() {
        let decoded = header(0x0102_0304, 0x10, 77);
        assert_eq!(
            (decoded.acknowledgment, decoded.length, decoded.window),
            (0x0102_0304, 32, 77)
        );
        assert!(decoded.ack && !decoded.control && !decoded.reset);
        assert!(header(0, 0x04, 0).reset && header(0, 0x04, 0).control);
    }

    #[test]
    fn a_connection_is_in_use_for_a_second_after_its_last_data() {
        let check = |now, last, expected| assert_eq!(is_in_use(now, last, 4_000_000), expected, "{now} {last}");
        check(1000, 1000, true);
        check(1250, 1000, true);
        check(1251, 1000, false);
        // The clock has overflowed meanwhile.
        check(99, u32::MAX - 100, true);
        check(200, u32::MAX - 100, false);
    }

    #[test]
    fn connect_failures_are_told_apart_by_their_error() {
        for (error, expected) in [
            (111, ConnectFailure::Refused),
            (110, ConnectFailure::TimedOut),
            (104, ConnectFailure::Reset),
            (113, ConnectFailure::HostUnreachable),
            (64, ConnectFailure::HostUnreachable),
            (101, ConnectFailure::NetworkUnreachable),
            (13, ConnectFailure::Prohibited),
            (103, ConnectFailure::Other),
        ] {
            let attempt = Attempt {
                error,
                syns: Some(1),
                has_port: true,
                ..Attempt::default()
            };
            assert_eq!(ConnectFailure::of(&attempt), expected, "{error}");
        }
    }

    #[test]
    fn a_connect_without_error_failed_before_its_syn_or_was_given_up() {
        let check = |syns, retransmissions, has_port, is_shut_down, expected| {
            let attempt = Attempt {
                error: 0,
                syns,
                retransmissions,
                has_port,
                is_shut_down,
            };
            assert_eq!(ConnectFailure::of(&attempt), expected, "{attempt:?}");
        };
        check(Some(0), 0, false, false, ConnectFailure::NoLocalPort);
        check(Some(0), 0, true, false, ConnectFailure::NoRoute);
        // Its SYN was put off (TCP_FASTOPEN_CONNECT), and never sent.
        check(Some(0), 0, true, true, ConnectFailure::Cancelled);
        check(Some(1), 0, true, true, ConnectFailure::Cancelled);
        check(Some(2), 1, true, true, ConnectFailure::Unanswered);
        // By connect() to nowhere (AF_UNSPEC): the socket stays open.
        check(Some(2), 1, true, false, ConnectFailure::Unanswered);
        check(None, 0, false, false, ConnectFailure::Cancelled);
    }
}
