//! `struct sock`, and what it has in common with request sockets.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::{
    SkBuff,
    device::Device,
    memory::{load, load_pointer, load_words},
    offsets::*,
};
use aya_ebpf::{helpers::generated, programs::BtfTracePointContext};
use common::net::address::Address;

const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;
pub(super) const IPPROTO_TCP: u16 = 6;

/// `struct sock`, or the `struct sock_common` that a request socket begins with.
#[derive(Clone, Copy)]
pub(crate) struct Sock(pub(super) *const u8);

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

    /// `skc_state`
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: a member of `struct sock_common`.
        unsafe { load(self.0, &SOCK_COMMON_STATE) }.unwrap_or(0) as u32
    }

    /// The peer's address; none for a socket that is neither IPv4 nor IPv6.
    #[inline(always)]
    pub(crate) fn remote(self) -> Address {
        self.address(&SOCK_COMMON_DADDR, &SOCK_COMMON_V6_DADDR)
    }

    /// The local address; none for a socket that is neither IPv4 nor IPv6.
    #[inline(always)]
    pub(crate) fn local(self) -> Address {
        self.address(&SOCK_COMMON_RCV_SADDR, &SOCK_COMMON_V6_RCV_SADDR)
    }

    #[inline(always)]
    fn address(self, ipv4: &Global<u32>, ipv6: &Global<[u32; 4]>) -> Address {
        // SAFETY: members of `struct sock_common`.
        unsafe {
            match load(self.0, &SOCK_COMMON_FAMILY) {
                Some(AF_INET) => Address::from_v4(load(self.0, ipv4).unwrap_or(0)),
                Some(AF_INET6) => Address::from_v6(load_words(self.0, ipv6)),
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

    /// Whether that is TCP.
    #[inline(always)]
    pub(crate) fn is_of_tcp(self) -> bool {
        self.protocol() == IPPROTO_TCP
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

    /// The first packet of the data that TCP has not sent yet, `sk_write_queue`, of a full socket. While TCP sends it for the first time, it
    /// is still there. Without any, it is no packet: what it seems to hold belongs to the socket.
    #[inline(always)]
    pub(crate) fn first_unsent(self) -> Option<SkBuff> {
        // SAFETY: a typed pointer from `struct sock` to `struct sk_buff`.
        unsafe { load_pointer(self.0, &SOCK_WRITE_QUEUE) }.map(SkBuff)
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
