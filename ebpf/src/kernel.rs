//! Typed readers of kernel structures: the only place with pointer arithmetic on kernel memory.
//!
//! Loads are direct: the verifier types every pointer from the tracepoint's prototype on and turns a load through a
//! pointer that may be stale into one that yields zero instead of a fault. Memory without a type (packet data, values
//! that are no pointers to BTF) is given one (`cast`), or read with `bpf_probe_read_kernel` where the kernel gives none.
//!
//! Each type here holds a pointer to the structure that it is named after. It is made of a tracepoint's argument, of what an
//! iterator was given, or of a typed pointer in another structure. The verifier knows the kernel's type of each of these: it refuses
//! a program that takes one structure for another where that reads beyond it, so that a mistake does not load. That is what
//! `SAFETY: a member of …` stands for.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

pub(crate) mod cast;
pub(crate) mod cgroup;
mod data;
pub(crate) mod offsets;

use crate::kernel::{cast::cast, offsets::*};
use aya_ebpf::{
    bindings::BPF_F_CURRENT_CPU,
    helpers::{
        bpf_probe_read_kernel,
        generated::{self, bpf_get_current_task_btf, bpf_probe_read_kernel_str, bpf_skc_to_tcp_sock, bpf_this_cpu_ptr},
    },
    programs::BtfTracePointContext,
};
use common::{
    drops::capture::Offsets,
    kernel::kfuncs::PREEMPT_COUNT,
    net::{
        address::Address,
        connection::{Name, until_nul},
    },
    tcp::{
        Header, LONGEST_HEADER, Sender,
        flow::{Chrono, FlowState},
        group::Role,
        listener::Queues,
        record::delivery_rate,
    },
    text::Text,
};
use core::{
    arch::asm,
    ffi::c_void,
    mem::MaybeUninit,
    ptr::{from_ref, read_volatile, write_volatile},
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;

/// Loads a field at a place the verifier knows.
///
/// # Safety
/// `base` points to the structure that `field` is a member of, as the verifier has typed it.
#[inline(always)]
unsafe fn load<T: Copy>(base: *const u8, field: &Global<T>) -> Option<T> {
    let offset = field.offset()?;
    // SAFETY: by the contract of this function; volatile, so that the load stays where it is written.
    Some(unsafe { read_volatile(base.add(offset).cast()) })
}

/// The same for a bit-field that lies within one byte.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
unsafe fn load_bits(base: *const u8, field: &Global<u8>) -> Option<u8> {
    let field = field.bits()?;
    // SAFETY: by the contract of this function.
    let byte = unsafe { read_volatile(base.add(field.offset as usize)) };
    if field.width == 0 {
        return Some(byte);
    }
    Some((byte >> (field.shift & 7)) & ((1u16 << (field.width & 15)) - 1) as u8)
}

/// The same for an array of words; zero when the field is absent.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
unsafe fn load_words<T: Copy + Default, const N: usize>(base: *const u8, field: &Global<[T; N]>) -> [T; N] {
    let offset = field.offset();
    core::array::from_fn(|i| match offset {
        // SAFETY: by the contract of this function; the array lies within the structure.
        Some(offset) => unsafe { read_volatile(base.add(offset + i * size_of::<T>()).cast()) },
        None => T::default(),
    })
}

/// Loads a pointer; `None` when it is NULL or the field is absent.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
unsafe fn load_pointer(base: *const u8, field: &Global<u64>) -> Option<*const u8> {
    let offset = field.offset()?;
    // SAFETY: by the contract of this function.
    let pointer: *const u8 = unsafe { read_volatile(base.add(offset).cast()) };
    if pointer.is_null() { None } else { Some(pointer) }
}

/// `N` words at an address that the verifier does not know as a pointer. Where it can be given a type, memory that is not there
/// reads as zero; elsewhere it is `None`.
#[inline(always)]
pub(crate) fn words_at<const N: usize>(address: u64) -> Option<[u32; N]> {
    if !TYPE_IN6_ADDR.is_set() {
        // SAFETY: the helper checks every address.
        return unsafe { bpf_probe_read_kernel(address as *const [u32; N]) }.ok();
    }
    let mut words = [0; N];
    let mut first = 0;
    while first < N {
        let part = cast(address + 4 * first as u64, &TYPE_IN6_ADDR)?.cast::<u32>();
        let mut i = 0;
        while i < 4 && first + i < N {
            // SAFETY: one of the four words of the type; volatile, so that each is loaded once.
            words[first + i] = unsafe { read_volatile(part.add(i)) };
            i += 1;
        }
        first += 4;
    }
    Some(words)
}

/// A word at an address that the verifier does not know as a pointer; memory that is not there reads as zero. There is no branch on
/// that: the compiler would look at the word before it knows that it is one, which the verifier refuses.
#[inline(always)]
pub(crate) fn word_at(address: u64) -> u32 {
    if TYPE_IN6_ADDR.is_set() {
        return words_at(address).map_or(0, |[word]| word);
    }
    let mut word = 0_u32;
    let place = &raw mut word;
    // SAFETY: the helper checks every address, and writes the word in any case; volatile, since the compiler does not see that.
    unsafe {
        generated::bpf_probe_read_kernel(place.cast(), size_of::<u32>() as u32, address as *const _);
        read_volatile(place)
    }
}

/// An address that lies at an address of this kind.
#[inline(always)]
fn address_at(address: u64) -> Option<u64> {
    words_at(address).map(|[low, high]: [u32; 2]| (high as u64) << 32 | low as u64)
}

/// `struct sock`, or the `struct sock_common` that a request socket begins with.
#[derive(Clone, Copy)]
pub(crate) struct Sock(*const u8);

impl Sock {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        // SAFETY: the verifier knows the type of the argument.
        unsafe { Self::from_pointer(context.arg(n)) }
    }

    /// A socket; `None` when the pointer is NULL.
    ///
    /// # Safety
    /// The kernel has given the pointer to this run of the program, as one to a `struct sock` or a `struct sock_common`.
    #[inline(always)]
    pub(crate) unsafe fn from_pointer(pointer: *const u8) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `sk` of a `struct socket`; `None` when the pointer is NULL.
    ///
    /// # Safety
    /// The kernel has given the pointer to this run of the program, as one to a `struct socket`.
    #[inline(always)]
    pub(crate) unsafe fn of_socket(socket: *const u8) -> Option<Self> {
        if socket.is_null() {
            return None;
        }
        // SAFETY: a typed pointer from `struct socket` to `struct sock`.
        unsafe { load_pointer(socket, &SOCKET_SK).map(Self) }
    }

    /// For helpers.
    #[inline(always)]
    pub(crate) const fn as_ptr(self) -> *const u8 {
        self.0
    }

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

    /// `skc_state`
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: a member of `struct sock_common`.
        unsafe { load(self.0, &SOCK_COMMON_STATE) }.unwrap_or(0) as u32
    }

    /// The peer's address; none for a socket that is neither IPv4 nor IPv6.
    #[inline(always)]
    pub(crate) fn remote(self) -> Address {
        // SAFETY: members of `struct sock_common`.
        unsafe {
            match load(self.0, &SOCK_COMMON_FAMILY) {
                Some(AF_INET) => Address::from_v4(load(self.0, &SOCK_COMMON_DADDR).unwrap_or(0)),
                Some(AF_INET6) => Address::from_v6(load_words(self.0, &SOCK_COMMON_V6_DADDR)),
                _ => Address::NONE,
            }
        }
    }

    /// The local address; none for a socket that is neither IPv4 nor IPv6.
    #[inline(always)]
    pub(crate) fn local(self) -> Address {
        // SAFETY: members of `struct sock_common`.
        unsafe {
            match load(self.0, &SOCK_COMMON_FAMILY) {
                Some(AF_INET) => Address::from_v4(load(self.0, &SOCK_COMMON_RCV_SADDR).unwrap_or(0)),
                Some(AF_INET6) => Address::from_v6(load_words(self.0, &SOCK_COMMON_V6_RCV_SADDR)),
                _ => Address::NONE,
            }
        }
    }

    /// Whether `skc_family` says something.
    #[inline(always)]
    pub(crate) fn has_family(self) -> bool {
        // SAFETY: a member of `struct sock_common`.
        !matches!(unsafe { load(self.0, &SOCK_COMMON_FAMILY) }, Some(0))
    }

    /// Whether `skc_family` is IPv4 or IPv6.
    #[inline(always)]
    pub(crate) fn is_internet(self) -> bool {
        // SAFETY: a member of `struct sock_common`.
        matches!(unsafe { load(self.0, &SOCK_COMMON_FAMILY) }, Some(AF_INET | AF_INET6))
    }

    /// `skc_num`: the local port in host byte order.
    #[inline(always)]
    pub(crate) fn local_port(self) -> u16 {
        // SAFETY: a member of `struct sock_common`.
        unsafe { load(self.0, &SOCK_COMMON_NUM) }.unwrap_or(0)
    }

    /// `skc_dport`: the remote port, in host byte order.
    #[inline(always)]
    pub(crate) fn remote_port(self) -> u16 {
        // SAFETY: a member of `struct sock_common`.
        u16::from_be(unsafe { load(self.0, &SOCK_COMMON_DPORT) }.unwrap_or(0))
    }

    /// `skc_cookie`, as far as the kernel lets a program ask for it: that of a socket of which the address alone is known is read
    /// ([`Self::cookie_field`]).
    #[inline(always)]
    pub(crate) fn cookie(self) -> u64 {
        // SAFETY: the helper takes any socket, whose type the verifier checks.
        unsafe { generated::bpf_get_socket_cookie(self.0.cast_mut().cast()) }
    }

    /// `skc_cookie` as it stands; 0 as long as nobody has asked for it.
    #[inline(always)]
    pub(crate) fn cookie_field(self) -> u64 {
        // SAFETY: a member of `struct sock_common`.
        unsafe { load(self.0, &SOCK_COMMON_COOKIE) }.unwrap_or(0)
    }

    /// `skc_net.net->ns.inum`: the number of its network namespace.
    #[inline(always)]
    pub(crate) fn namespace(self) -> Option<u32> {
        // SAFETY: a typed pointer from `struct sock_common` to `struct net`.
        unsafe { load(load_pointer(self.0, &SOCK_COMMON_NET)?, &NET_INUM) }
    }

    /// `sk_protocol` of a full socket.
    #[inline(always)]
    pub(crate) fn protocol(self) -> u16 {
        // SAFETY: a member of `struct sock`.
        unsafe { load(self.0, &SOCK_PROTOCOL) }.unwrap_or(0)
    }

    /// `sk_err` of a full socket; without one `sk_err_soft`, where an ICMP error waits while the socket is in use.
    #[inline(always)]
    pub(crate) fn error(self) -> i32 {
        // SAFETY: members of `struct sock`.
        let (error, soft) = unsafe { (load(self.0, &SOCK_ERR), load(self.0, &SOCK_ERR_SOFT)) };
        match error.unwrap_or(0) {
            0 => soft.unwrap_or(0),
            error => error,
        }
    }

    /// `sk_shutdown` of a full socket is not 0: the application has closed it.
    #[inline(always)]
    pub(crate) fn is_shut_down(self) -> bool {
        // SAFETY: a member of `struct sock`.
        unsafe { load(self.0, &SOCK_SHUTDOWN) }.unwrap_or(0) != 0
    }

    /// The device of the cached route, of a full socket.
    #[inline(always)]
    pub(crate) fn route_device(self) -> Option<Device> {
        // SAFETY: typed pointers from `struct sock` to `struct dst_entry` to `struct net_device`.
        unsafe {
            let route = load_pointer(self.0, &SOCK_DST_CACHE)?;
            load_pointer(route, &DST_ENTRY_DEV).map(Device::Typed)
        }
    }
}

/// `struct tcp_sock`.
#[derive(Clone, Copy)]
pub(crate) struct TcpSock(*const u8);

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

/// `struct bpf_local_storage_elem`: what holds the state of a flow, in a list of all.
#[derive(Clone, Copy)]
pub(crate) struct StorageElement(*const u8);

impl StorageElement {
    /// The element around a value that an iterator was given; `None` where addresses cannot be given types.
    #[inline(always)]
    pub(crate) fn of_value(value: &FlowState) -> Option<Self> {
        Self::at(from_ref(value) as u64 - Self::value_offset()?)
    }

    /// At an address that the iterator's list gave. If none is there, loads give zero, and nothing comes of them.
    #[inline(always)]
    fn at(address: u64) -> Option<Self> {
        cast(address, &TYPE_STORAGE_ELEMENT).map(Self)
    }

    /// The value lies behind the pointer to its map.
    #[inline(always)]
    fn value_offset() -> Option<u64> {
        Some((STORAGE_ELEMENT_MAP.offset()? + size_of::<u64>()) as u64)
    }

    /// The element that an iterator comes to next; `None` at the end of a list.
    #[inline(always)]
    pub(crate) fn next(self) -> Option<Self> {
        // SAFETY: a member of `struct bpf_local_storage_elem`.
        let node = unsafe { load(self.0, &STORAGE_ELEMENT_NEXT) }?;
        if node == 0 {
            return None;
        }
        Self::at(node - STORAGE_ELEMENT_NEXT.offset()? as u64)
    }

    /// The socket that it belongs to.
    #[inline(always)]
    pub(crate) fn owner(self) -> Option<TcpSock> {
        // SAFETY: a typed pointer from `struct bpf_local_storage_elem` to `struct bpf_local_storage`.
        let owner = unsafe { load(load_pointer(self.0, &STORAGE_ELEMENT_STORAGE)?, &STORAGE_OWNER) }?;
        cast(owner, &TYPE_TCP_SOCK).map(TcpSock)
    }

    /// Asks for the cache lines of its value.
    #[inline(always)]
    pub(crate) fn fetch_value(self) {
        const LINE: u64 = 64;
        if let Some(offset) = Self::value_offset() {
            let value = self.0 as u64 + offset;
            let mut line = 0;
            while line < size_of::<FlowState>() as u64 {
                let _fetched = words_at::<1>(value + line);
                line += LINE;
            }
        }
    }
}

/// `struct net_device`.
#[derive(Clone, Copy)]
pub(crate) enum Device {
    /// Reached through typed pointers.
    Typed(*const u8),
    /// Reached through a number that the verifier does not know as a pointer.
    Untyped(*const u8),
}

macro_rules! device_readers {
    ($($reader:ident: $type:ty = $field:ident;)+) => {
        impl Device {
            $(
                #[doc = concat!("`", stringify!($field), "`")]
                #[inline(always)]
                pub(crate) fn $reader(self) -> Option<$type> {
                    let offset = $field.offset()?;
                    match self {
                        // SAFETY: a member of `struct net_device`, by a typed pointer.
                        Self::Typed(base) => Some(unsafe { read_volatile(base.add(offset).cast()) }),
                        // SAFETY: the helper checks every address.
                        Self::Untyped(base) => unsafe { bpf_probe_read_kernel(base.add(offset).cast()) }.ok(),
                    }
                }
            )+
        }
    };
}

device_readers! {
    ifindex: u32 = NET_DEVICE_IFINDEX;
    hardware_type: u16 = NET_DEVICE_TYPE;
    flags: u32 = NET_DEVICE_FLAGS;
    wireless: u64 = NET_DEVICE_IEEE80211_PTR;
    link_operations: u64 = NET_DEVICE_RTNL_LINK_OPS;
    state: u64 = NET_DEVICE_STATE;
    generic_program: u64 = NET_DEVICE_XDP_PROG;
    network: u64 = NET_DEVICE_NET;
    queues: u64 = NET_DEVICE_TX;
}

impl Device {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() {
            None
        } else {
            Some(Self::Typed(pointer))
        }
    }

    /// Its address, to recognise it by.
    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        let (Self::Typed(base) | Self::Untyped(base)) = self;
        base as u64
    }

    /// Whether nothing gets through it: it is down or has no carrier, by its state, or is on its way from or to that.
    #[inline(always)]
    pub(crate) fn is_cut_off(self) -> bool {
        // `__LINK_STATE_START` and `__LINK_STATE_NOCARRIER` have been these bits since Linux 2.6.
        const START: u64 = 1;
        const NO_CARRIER: u64 = 1 << 2;
        self.state().is_some_and(|state| state & (START | NO_CARRIER) != START) || self.has_no_queue()
    }

    /// Whether its first queue drops everything (`noop_qdisc`): the kernel puts another in its place some time after the carrier is
    /// there, and this one back before the device is down.
    #[inline(always)]
    fn has_no_queue(self) -> bool {
        const NOOP: [u32; 2] = [u32::from_le_bytes(*b"noop"), 0];
        let behind = |address: u64, field: &Global<u64>| address_at(address + field.offset()? as u64);
        let identifier = || {
            let queue = behind(self.queues()?, &NETDEV_QUEUE_QDISC)?;
            let operations = behind(queue, &QDISC_OPS)?;
            words_at(operations + QDISC_OPS_ID.offset()? as u64)
        };
        identifier() == Some(NOOP)
    }

    /// The first and the last port of this device: of a bridge, for example. Read by the helper, since the verifier takes addresses
    /// that it has typed for no numbers.
    #[inline(always)]
    pub(crate) fn ports(self) -> Option<[u64; 2]> {
        let offset = NET_DEVICE_PORTS.offset()?;
        let (Self::Typed(base) | Self::Untyped(base)) = self;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel(base.add(offset).cast()) }.ok()
    }

    /// Whether this is the program that the network stack runs on the device's packets (`xdp_prog`), not the driver.
    #[inline(always)]
    pub(crate) fn runs_generic(self, program: XdpProgram) -> bool {
        self.generic_program() == Some(program.0 as u64)
    }

    /// The name, NUL-padded.
    #[inline(always)]
    pub(crate) fn name(self) -> Option<Name> {
        let offset = NET_DEVICE_NAME.offset()?;
        let (Self::Typed(base) | Self::Untyped(base)) = self;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel(base.add(offset).cast()) }.ok()
    }

    /// `nd_net.net->ns.inum`: the number of its network namespace.
    #[inline(always)]
    pub(crate) fn namespace(self) -> Option<u32> {
        let offset = NET_INUM.offset()?;
        let network = self.network()?;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel((network as *const u8).add(offset).cast()) }.ok()
    }

    /// `rtnl_link_ops->kind`, NUL-padded; zero for hardware.
    #[inline(always)]
    pub(crate) fn kind(self) -> Name {
        match self.link_operations() {
            Some(operations) if operations != 0 => kind_of(operations).unwrap_or([0; 2]),
            _ => [0; 2],
        }
    }
}

/// The device at a place in a list of ports, and the next place.
#[inline(always)]
pub(crate) fn port_at(place: u64) -> Option<(Device, u64)> {
    let next = address_at(place)?;
    let entry = place - NETDEV_ADJACENT_NEXT.offset()? as u64;
    let device = address_at(entry + NETDEV_ADJACENT_DEV.offset()? as u64)?;
    Some((Device::Untyped(device as *const u8), next))
}

/// `kind` of a `struct rtnl_link_ops`, NUL-padded.
#[inline(always)]
fn kind_of(operations: u64) -> Option<Name> {
    let offset = RTNL_LINK_OPS_KIND.offset()?;
    let text = address_at(operations + offset as u64)?;
    if TYPE_IN6_ADDR.is_set() {
        let [a, b, c, d] = words_at(text)?;
        return Some(until_nul([(b as u64) << 32 | a as u64, (d as u64) << 32 | c as u64]));
    }
    let mut kind = MaybeUninit::<Name>::uninit();
    let words = kind.as_mut_ptr().cast::<u64>();
    // SAFETY: the helpers check every address and the length of `kind`. It is written and read word by word: the compiler would
    // call a loop over its bytes.
    unsafe {
        write_volatile(words, 0);
        write_volatile(words.add(1), 0);
        bpf_probe_read_kernel_str(words.cast(), size_of::<Name>() as u32, text as *const _);
        Some([read_volatile(words), read_volatile(words.add(1))])
    }
}

/// `struct bpf_prog`, of an XDP program.
#[derive(Clone, Copy)]
pub(crate) struct XdpProgram(*const u8);

impl XdpProgram {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `aux->name`, NUL-padded; empty when it was loaded without one.
    #[inline(always)]
    pub(crate) fn name(self) -> Name {
        // SAFETY: a typed pointer from `struct bpf_prog` to `struct bpf_prog_aux`, then memory that the helper checks.
        let name = unsafe {
            match (load_pointer(self.0, &BPF_PROG_AUX), BPF_PROG_AUX_NAME.offset()) {
                (Some(auxiliary), Some(offset)) => bpf_probe_read_kernel(auxiliary.add(offset).cast()).ok(),
                _ => None,
            }
        };
        name.unwrap_or([0; 2])
    }
}

/// `struct devlink_trap_metadata`.
#[derive(Clone, Copy)]
pub(crate) struct TrapMetadata(*const u8);

impl TrapMetadata {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `trap_type`: whether the packet is control traffic that was not dropped (`DEVLINK_TRAP_TYPE_CONTROL` of `linux/devlink.h`).
    #[inline(always)]
    pub(crate) fn is_control(self) -> bool {
        const CONTROL: u32 = 2;
        // SAFETY: a member of `struct devlink_trap_metadata`.
        let kind: Option<u32> = unsafe { load(self.0, &DEVLINK_TRAP_TYPE) };
        kind == Some(CONTROL)
    }

    /// `trap_name`
    #[inline(always)]
    pub(crate) fn name<const WORDS: usize>(self) -> Text<WORDS> {
        self.text(&DEVLINK_TRAP_NAME)
    }

    /// `trap_group_name`
    #[inline(always)]
    pub(crate) fn group<const WORDS: usize>(self) -> Text<WORDS> {
        self.text(&DEVLINK_TRAP_GROUP_NAME)
    }

    #[inline(always)]
    fn text<const WORDS: usize>(self, field: &Global<u64>) -> Text<WORDS> {
        let mut text = [0; WORDS];
        // SAFETY: a member of `struct devlink_trap_metadata`, then memory that the helper checks; it knows the length of `text`.
        unsafe {
            if let Some(from) = load(self.0, field) {
                bpf_probe_read_kernel_str(
                    text.as_mut_ptr().cast(),
                    size_of::<Text<WORDS>>() as u32,
                    from as *const _,
                );
            }
        }
        text
    }
}

/// `struct bpf_prog`, as an iterator over all programs is given it.
#[derive(Clone, Copy)]
pub(crate) struct Program(*const u8);

impl Program {
    /// A program; `None` when the pointer is NULL.
    ///
    /// # Safety
    /// The kernel has given the pointer to this run of the program, as one to a `struct bpf_prog`.
    #[inline(always)]
    pub(crate) unsafe fn from_pointer(pointer: *const u8) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// `aux->id`
    #[inline(always)]
    pub(crate) fn id(self) -> Option<u32> {
        // SAFETY: a typed pointer from `struct bpf_prog` to `struct bpf_prog_aux`.
        unsafe { load(load_pointer(self.0, &BPF_PROG_AUX)?, &BPF_PROG_AUX_ID) }
    }

    /// `active`: the place, in every CPU's own memory, of the word that is not zero while the program runs there.
    #[inline(always)]
    pub(crate) fn active(self) -> Option<u64> {
        // SAFETY: a member of `struct bpf_prog`.
        unsafe { load(self.0, &BPF_PROG_ACTIVE) }
    }
}

/// The place of the first value of a per-CPU array in every CPU's own memory, by the address of its `struct bpf_array`.
#[inline(always)]
pub(crate) fn first_value_of(array: u64) -> Option<u64> {
    address_at(array + BPF_ARRAY_PPTRS.offset()? as u64)
}

/// The task in which this runs, or which it interrupts.
#[inline(always)]
pub(crate) fn current_task() -> *const u8 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task_btf() as *const u8 }
}

/// Whether what runs here keeps its CPU until it ends, as in an interrupt or with preemption disabled: `preempt_count()` is not 0.
#[inline(always)]
pub(crate) fn keeps_its_cpu() -> bool {
    /// `PREEMPT_NEED_RESCHED` of x86, which is no part of the count.
    const NEED_RESCHED: u32 = 1 << 31;
    let count = if TASK_PREEMPT_COUNT.offset().is_some() {
        // SAFETY: a typed pointer to `struct task_struct`.
        unsafe { load(current_task(), &TASK_PREEMPT_COUNT) }.unwrap_or(0)
    } else if HAS_PREEMPT_COUNT.is_set() {
        // SAFETY: the exporter has put the variable's number in place of the constant, so that the verifier knows its type; the
        // helper gives this CPU's own.
        unsafe {
            let everywhere: *const c_void;
            asm!("{everywhere} = {constant} ll", everywhere = out(reg) everywhere, constant = const PREEMPT_COUNT,
                options(pure, nomem, nostack));
            read_volatile(bpf_this_cpu_ptr(everywhere) as *const u32) & !NEED_RESCHED
        }
    } else {
        0
    };
    count != 0
}

/// `struct sk_buff`.
#[derive(Clone, Copy)]
pub(crate) struct SkBuff(*const u8);

impl SkBuff {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// Its address, to recognise it by.
    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    /// The value of `dev`, whatever it is at the moment, to recognise a device by; 0 for none.
    #[inline(always)]
    pub(crate) fn device_address(self) -> u64 {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_DEV) }.unwrap_or(0)
    }

    /// `dev`, of a packet that its driver has just built.
    #[inline(always)]
    pub(crate) fn device(self) -> Option<Device> {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load_pointer(self.0, &SK_BUFF_DEV) }.map(Device::Typed)
    }

    /// `len`: bytes from `data` to the end.
    #[inline(always)]
    pub(crate) fn length(self) -> u32 {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_LEN) }.unwrap_or(0)
    }

    /// `skb_iif`: the device the packet came in through; 0 for one of this host.
    #[inline(always)]
    pub(crate) fn received_through(self) -> u32 {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_IIF) }.unwrap_or(0)
    }

    /// `protocol` in host byte order.
    #[inline(always)]
    pub(crate) fn ethertype(self) -> u16 {
        // SAFETY: a member of `struct sk_buff`.
        u16::from_be(unsafe { load(self.0, &SK_BUFF_PROTOCOL) }.unwrap_or(0))
    }

    /// `sk`: the socket that owns the packet.
    #[inline(always)]
    pub(crate) fn socket(self) -> Option<Sock> {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load_pointer(self.0, &SK_BUFF_SK) }.map(Sock)
    }

    /// `pkt_type`: whom a packet that came in is for, by its link-layer address.
    #[inline(always)]
    pub(crate) fn packet_type(self) -> u8 {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load_bits(self.0, &SK_BUFF_PACKET_TYPE) }.unwrap_or(0)
    }

    /// Whether a socket has it. That of a tun device does not count: it is where packets of the device come from.
    #[inline(always)]
    pub(crate) fn is_of_socket(self) -> bool {
        self.socket().is_some_and(Sock::has_family)
    }

    /// Whether it has a route.
    #[inline(always)]
    pub(crate) fn has_route(self) -> bool {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_REFDST) }.unwrap_or(0) != 0
    }

    /// Whether it begins behind its link-layer header: the header was taken off when it came in.
    #[inline(always)]
    pub(crate) fn is_behind_link_header(self) -> bool {
        self.offsets()
            .is_some_and(|offsets| offsets.link != Offsets::UNSET && offsets.link < offsets.data)
    }

    /// `dev`, unless the field holds something else at the moment: it counts only when its `ifindex` is that of `skb_iif`.
    #[inline(always)]
    pub(crate) fn receiving_device(self) -> Option<Device> {
        let received_through = self.received_through();
        if received_through == 0 {
            return self.nearest_device();
        }
        // SAFETY: a member of `struct sk_buff`.
        let device = Device::Typed(unsafe { load_pointer(self.0, &SK_BUFF_DEV) }?);
        if device.ifindex()? == received_through {
            Some(device)
        } else {
            None
        }
    }

    /// `dev` of a packet that has no `skb_iif` to compare with, if what is there looks like a device: where the packet is on its
    /// way out, its route may have been let go by then.
    #[inline(always)]
    pub(crate) fn nearest_device(self) -> Option<Device> {
        /// `ifindex` counts up from 1 in each namespace.
        const MOST_DEVICES: u32 = 1 << 24;
        // SAFETY: a member of `struct sk_buff`.
        let device = Device::Typed(unsafe { load_pointer(self.0, &SK_BUFF_DEV) }?);
        let ifindex = device.ifindex()?;
        let first_letter = device.name()?[0] as u8;
        if ifindex != 0 && ifindex < MOST_DEVICES && first_letter.is_ascii_graphic() {
            Some(device)
        } else {
            None
        }
    }

    /// The packet's route, `_skb_refdst` without its flags.
    #[inline(always)]
    fn route(self) -> Option<u64> {
        /// `SKB_DST_NOREF` and the bit above it: flags in the low bits of the pointer.
        const FLAGS: u64 = 3;
        // SAFETY: a member of `struct sk_buff`.
        let route = unsafe { load(self.0, &SK_BUFF_REFDST) }? & !FLAGS;
        if route == 0 { None } else { Some(route) }
    }

    /// Whether the packet's route is of type prohibit or unreachable. A route that is none has another error.
    #[inline(always)]
    pub(crate) fn is_refused_by_route(self) -> bool {
        /// `-EACCES` and `-EHOSTUNREACH`.
        const REFUSALS: [u16; 2] = [(-13_i16).cast_unsigned(), (-113_i16).cast_unsigned()];
        let error = || address_at(self.route()? + DST_ENTRY_ERROR.offset()? as u64);
        error().is_some_and(|error| error as u16 == REFUSALS[0] || error as u16 == REFUSALS[1])
    }

    /// The device of the packet's route, `_skb_refdst->dev`.
    #[inline(always)]
    pub(crate) fn route_device(self) -> Option<Device> {
        let route = self.route()?;
        if let Some(route) = cast(route, &TYPE_DST_ENTRY) {
            // SAFETY: a typed pointer from `struct dst_entry` to `struct net_device`.
            return unsafe { load_pointer(route, &DST_ENTRY_DEV) }.map(Device::Typed);
        }
        match address_at(route + DST_ENTRY_DEV.offset()? as u64)? {
            0 => None,
            device => Some(Device::Untyped(device as *const u8)),
        }
    }

    /// `head`
    #[inline(always)]
    fn head(self) -> Option<u64> {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_HEAD) }
    }

    /// `network_header`: where it begins, from `head`.
    #[inline(always)]
    pub(crate) fn network_header(self) -> Option<u32> {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_NETWORK_HEADER) }.map(u32::from)
    }

    /// Where its parts begin.
    #[inline(always)]
    pub(crate) fn offsets(self) -> Option<Offsets> {
        // SAFETY: members of `struct sk_buff`.
        unsafe {
            Some(Offsets {
                data: (load(self.0, &SK_BUFF_DATA)? - self.head()?) as u32,
                network: load(self.0, &SK_BUFF_NETWORK_HEADER)? as u32,
                link: load(self.0, &SK_BUFF_MAC_HEADER)? as u32,
            })
        }
    }

    /// Copies the `length` bytes before `data` to `to`; false when the kernel refuses.
    ///
    /// # Safety
    /// `to` points into a map value with room for `length` bytes, as the verifier knows.
    #[inline(always)]
    pub(crate) unsafe fn copy_before_data(self, to: *mut u8, length: u32) -> bool {
        // SAFETY: a member of `struct sk_buff`, then memory that the helper checks.
        unsafe {
            match load(self.0, &SK_BUFF_DATA) {
                Some(data) => {
                    let from = (data - length as u64) as *const c_void;
                    generated::bpf_probe_read_kernel(to.cast(), length, from) == 0
                }
                None => false,
            }
        }
    }

    /// Sends `head` and behind it `length` bytes from `data` on, wherever they lie, to the buffer of this CPU in `map`;
    /// false when they do not fit.
    #[inline(always)]
    pub(crate) fn send(self, map: *mut c_void, head: &[u8], length: u32) -> bool {
        let flags = (length as u64) << 32 | BPF_F_CURRENT_CPU;
        // SAFETY: the helper checks the packet and its length, the verifier the packet's type and the bounds of `head`.
        unsafe {
            let sent = generated::bpf_skb_output(
                self.0.cast_mut().cast(),
                map,
                flags,
                head.as_ptr().cast_mut().cast(),
                head.len() as u64,
            );
            sent == 0
        }
    }

    /// The same where a driver may not have set it: then it follows the Ethernet header, which was taken off.
    #[inline(always)]
    pub(crate) fn network_header_of_frame(self) -> Option<u32> {
        const ETHERNET: u32 = 14;
        let Offsets { data, network, link } = self.offsets()?;
        if link != Offsets::UNSET && network <= link && data != link {
            Some(link + ETHERNET)
        } else {
            Some(network)
        }
    }

    /// `N` words of the header that begins at `header`, from word `first`.
    #[inline(always)]
    pub(crate) fn words_of<const N: usize>(self, header: Option<u32>, first: usize) -> Option<[u32; N]> {
        words_at(self.head()? + header? as u64 + 4 * first as u64)
    }

    /// The address of what lies `offset` bytes behind the beginning of a header, and that of the first byte behind the memory
    /// that headers lie in. As numbers, by the helper: some kernels take what a typed load gives for a pointer.
    #[inline(always)]
    pub(crate) fn bounds_from(self, header: Option<u32>, offset: u32) -> Option<(u64, u64)> {
        // SAFETY: members of `struct sk_buff`; the helper checks every address.
        let (head, tail) = unsafe {
            let head = bpf_probe_read_kernel::<u64>(self.0.add(SK_BUFF_HEAD.offset()?).cast()).ok()?;
            (head, load(self.0, &SK_BUFF_TAIL)?)
        };
        let end = head + tail as u64;
        Some((head + header? as u64 + offset as u64, end))
    }

    /// `N` words of the transport header.
    #[inline(always)]
    pub(crate) fn transport_words<const N: usize>(self) -> Option<[u32; N]> {
        // SAFETY: a member of `struct sk_buff`.
        let header = unsafe { load(self.0, &SK_BUFF_TRANSPORT_HEADER) }? as u64;
        words_at(self.head()? + header)
    }

    /// The transport header as one of TCP.
    #[inline(always)]
    pub(crate) fn tcp_header(self) -> Option<Header> {
        self.transport_words().map(|words| Header::decode(&words))
    }

    /// `type` of an ICMP header; 0 where it cannot be read.
    #[inline(always)]
    pub(crate) fn icmp_type(self) -> u8 {
        // The first byte in memory: numbers are little-endian here.
        self.transport_words::<1>().map_or(0, |[word]| word as u8)
    }

    /// The 40 bytes after the fixed TCP header.
    #[inline(always)]
    pub(crate) fn tcp_options(self) -> Option<[u8; LONGEST_HEADER - 20]> {
        // SAFETY: a member of `struct sk_buff`, then memory that the helper checks.
        unsafe {
            let header = load(self.0, &SK_BUFF_TRANSPORT_HEADER)? as u64;
            bpf_probe_read_kernel((self.head()? + header + 20) as *const [u8; LONGEST_HEADER - 20]).ok()
        }
    }

    /// Whether it is or was made of several segments.
    #[inline(always)]
    pub(crate) fn has_segments(self) -> bool {
        self.gso_size() != 0
    }

    /// `gso_size` of `skb_shared_info`: bytes in each of its segments; 0 where there is one.
    #[inline(always)]
    pub(crate) fn gso_size(self) -> u32 {
        let read = || {
            // SAFETY: members of `struct sk_buff`.
            let shared = self.head()? + unsafe { load(self.0, &SK_BUFF_END) }? as u64;
            let field = SKB_SHARED_INFO_GSO_SIZE.offset()? as u64;
            let [word] = words_at(shared + (field & !3))?;
            Some(word >> (8 * (field & 2)) & 0xffff)
        };
        read().unwrap_or(0)
    }

    /// Segments in a packet on its way, by `skb_shared_info`.
    #[inline(always)]
    pub(crate) fn segments(self) -> u32 {
        let read = || {
            // SAFETY: members of `struct sk_buff`, then memory that the helper checks.
            unsafe {
                let shared = self.head()? + load(self.0, &SK_BUFF_END)? as u64;
                let field = SKB_SHARED_INFO_GSO_SEGS.offset()? as u64;
                bpf_probe_read_kernel::<u16>((shared + field) as *const u16).ok()
            }
        };
        read().map_or(1, at_least_one)
    }
}

#[inline(always)]
const fn at_least_one(segments: u16) -> u32 {
    if segments == 0 { 1 } else { segments as u32 }
}
