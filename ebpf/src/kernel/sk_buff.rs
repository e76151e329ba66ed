//! `struct sk_buff`: where a packet comes from, where it goes, and its headers.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

mod data;

use super::{
    device::Device,
    memory::{address_at, cast::cast, load, load_bits, load_pointer, words_at},
    offsets::*,
    sock::Sock,
};
use aya_ebpf::{
    bindings::BPF_F_CURRENT_CPU,
    helpers::{bpf_probe_read_kernel, generated},
    programs::BtfTracePointContext,
};
use common::{
    drops::capture::Offsets,
    tcp::{Header, LONGEST_HEADER},
};
use core::ffi::c_void;

/// `struct sk_buff`.
#[derive(Clone, Copy)]
pub(crate) struct SkBuff(pub(super) *const u8);

impl SkBuff {
    /// Argument `n` of a tracepoint; `None` when it is NULL.
    #[inline(always)]
    pub(crate) fn argument(context: &BtfTracePointContext, n: usize) -> Option<Self> {
        let pointer: *const u8 = context.arg(n);
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// Its address, to recognize it by.
    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    /// The value of `dev`, whatever it is at the moment, to recognize a device by; 0 for none.
    #[inline(always)]
    pub(crate) fn device_address(self) -> u64 {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_DEV) }.unwrap_or(0)
    }

    /// `dev`: the device of a packet that its driver has just built. Later the field may hold something else.
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

    /// `tstamp`: of a packet of TCP that has not left its network namespace, by which clock of the sender it was sent, in nanoseconds as of
    /// `CLOCK_MONOTONIC`; of others 0, or a time of another clock, which is later.
    #[inline(always)]
    pub(crate) fn timestamp(self) -> u64 {
        // SAFETY: a member of `struct sk_buff`.
        unsafe { load(self.0, &SK_BUFF_TSTAMP) }.unwrap_or(0)
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
        let device = self.device()?;
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
        let device = self.device()?;
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

    /// The address of the transport header.
    #[inline(always)]
    fn transport_header(self) -> Option<u64> {
        // SAFETY: a member of `struct sk_buff`.
        let header = unsafe { load(self.0, &SK_BUFF_TRANSPORT_HEADER) }? as u64;
        Some(self.head()? + header)
    }

    /// `N` words of the transport header.
    #[inline(always)]
    pub(crate) fn transport_words<const N: usize>(self) -> Option<[u32; N]> {
        words_at(self.transport_header()?)
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
        let options = self.transport_header()? + 20;
        // SAFETY: the helper checks every address.
        unsafe { bpf_probe_read_kernel(options as *const [u8; LONGEST_HEADER - 20]) }.ok()
    }

    /// Whether it is or was made of several segments.
    #[inline(always)]
    pub(crate) fn has_segments(self) -> bool {
        self.gso_size() != 0
    }

    /// The address of its `struct skb_shared_info`.
    #[inline(always)]
    fn shared_info(self) -> Option<u64> {
        // SAFETY: a member of `struct sk_buff`.
        Some(self.head()? + unsafe { load(self.0, &SK_BUFF_END) }? as u64)
    }

    /// `gso_size` of `skb_shared_info`: bytes in each of its segments; 0 where there is one.
    #[inline(always)]
    pub(crate) fn gso_size(self) -> u32 {
        let read = || {
            let field = SKB_SHARED_INFO_GSO_SIZE.offset()? as u64;
            let [word] = words_at(self.shared_info()? + (field & !3))?;
            Some(word >> (8 * (field & 2)) & 0xffff)
        };
        read().unwrap_or(0)
    }

    /// Segments in a packet on its way, by `skb_shared_info`.
    #[inline(always)]
    pub(crate) fn segments(self) -> u32 {
        let read = || {
            let field = SKB_SHARED_INFO_GSO_SEGS.offset()? as u64;
            let place = self.shared_info()? + field;
            // SAFETY: the helper checks every address.
            unsafe { bpf_probe_read_kernel(place as *const u16) }.ok()
        };
        read().map_or(1, at_least_one)
    }
}

#[inline(always)]
const fn at_least_one(segments: u16) -> u32 {
    if segments == 0 { 1 } else { segments as u32 }
}
