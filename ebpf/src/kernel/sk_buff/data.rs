//! Which bytes of which connection a packet carries.
#![expect(unsafe_code, reason = "reads kernel memory under the verifier's eyes")]

use super::SkBuff;
use crate::kernel::{
    memory::{load, words_at},
    offsets::*,
    sock::{AF_INET6, IPPROTO_TCP, Sock},
};
use common::{
    drops::{
        ethertype,
        losses::{Range, Stream},
    },
    net::{address::Address, extension::FIXED_HEADER},
};

/// As a part of a word.
const TCP: u32 = IPPROTO_TCP as u32;
/// The flag FIN of a TCP header, in its fourth word (RFC 9293, 3.1); it takes a sequence number.
const FIN: u32 = 1 << 16;
/// The flag SYN.
const SYN: u32 = 1 << 17;

/// What a network header says.
struct Network {
    source: Address,
    destination: Address,
    /// Where the next header begins, in bytes.
    length: u32,
    /// Bytes behind that; 0 for a packet that is too large to say so.
    rest: u32,
}

impl SkBuff {
    /// Whose data a TCP packet carries whose network header begins at `header`, by its own addresses, and which; `None`
    /// for a packet without data, and one that opens a connection. Of a packet in a tunnel's, that is the packet inside.
    #[inline(always)]
    pub(crate) fn data_of_tcp(self, header: Option<u32>) -> Option<(Stream, Range)> {
        if !matches!(self.ethertype(), ethertype::IPV4 | ethertype::IPV6) {
            return None;
        }
        let header = Some(self.innermost(header?));
        let [first]: [u32; 1] = self.words_of(header, 0)?;
        let Network {
            source,
            destination,
            length,
            rest,
        } = match u32::from_be(first) >> 28 {
            4 => self.network_v4(header)?,
            6 => self.network_v6(header)?,
            _ => return None,
        };
        let at = header? + length;
        let [ports, sequence, _, flags]: [u32; 4] = self.words_of(Some(at), 0)?;
        let flags = u32::from_be(flags);
        if flags & SYN != 0 {
            return None;
        }
        let offset = (flags >> 28) * 4;
        let length = if rest == 0 {
            self.bytes_behind(at)?.checked_sub(offset)?
        } else {
            rest.checked_sub(offset)?
        };
        let numbers = length + ((flags & FIN) / FIN);
        if numbers == 0 {
            return None;
        }
        let ports = u32::from_be(ports);
        let stream = Stream::new(source, (ports >> 16) as u16, destination, ports as u16);
        let begin = u32::from_be(sequence);
        let segment = match self.gso_size() {
            0 => numbers,
            size => size.max(Range::LEAST_SEGMENT),
        };
        let range = Range {
            origin: begin,
            begin,
            end: begin.wrapping_add(numbers),
            segment,
        };
        Some((stream, range))
    }

    /// Where the network header begins that a tunnel has put its own before, of which one begins at `header`; else that one. A tunnel
    /// notes it when it sends a packet, and what has come out of one begins there itself.
    #[inline(always)]
    fn innermost(self, header: u32) -> u32 {
        // SAFETY: a member of `struct sk_buff`.
        let inner = unsafe { load(self.0, &SK_BUFF_INNER_NETWORK_HEADER) }.unwrap_or(0) as u32;
        header.max(inner)
    }

    #[inline(always)]
    fn network_v4(self, header: Option<u32>) -> Option<Network> {
        let [first, _, third, source, destination]: [u32; 5] = self.words_of(header, 0)?;
        let first = u32::from_be(first);
        if (u32::from_be(third) >> 16) & 0xff != TCP {
            return None;
        }
        let length = (first >> 24 & 0xf) * 4;
        Some(Network {
            source: Address::from_v4(source),
            destination: Address::from_v4(destination),
            length,
            rest: (first & 0xffff).saturating_sub(length),
        })
    }

    #[inline(always)]
    fn network_v6(self, header: Option<u32>) -> Option<Network> {
        let [_, second]: [u32; 2] = self.words_of(header, 0)?;
        let second = u32::from_be(second);
        if (second >> 8) & 0xff != TCP {
            return None;
        }
        Some(Network {
            source: Address::from_v6(self.words_of(header, 2)?),
            destination: Address::from_v6(self.words_of(header, 6)?),
            length: FIXED_HEADER,
            rest: second >> 16,
        })
    }

    /// Bytes of the packet from `at` on, which is counted from `head`.
    #[inline(always)]
    fn bytes_behind(self, at: u32) -> Option<u32> {
        (self.offsets()?.data + self.length()).checked_sub(at)
    }

    /// The direction that the packet goes in, as the connection tracking of its network namespace has seen its sender's addresses
    /// before it changed any: `_nfct`.
    #[inline(always)]
    pub(crate) fn stream_of_conntrack(self) -> Option<Stream> {
        /// `NFCT_INFOMASK`: `enum ip_conntrack_info`, in the low bits of the pointer.
        const INFO: u64 = 7;
        /// `IP_CT_IS_REPLY`; from it on the packet goes back.
        const REPLY: u64 = 3;
        // SAFETY: a member of `struct sk_buff`.
        let tracked = unsafe { load(self.0, &SK_BUFF_CONNTRACK) }?;
        let connection = tracked & !INFO;
        if connection == 0 {
            return None;
        }
        let tuple = if tracked & INFO < REPLY {
            &NF_CONN_ORIGINAL
        } else {
            &NF_CONN_REPLY
        };
        let words: [u32; 10] = words_at(connection + tuple.offset()? as u64)?;
        if words[9] >> 16 & 0xff != TCP {
            return None;
        }
        let of_family = |words: [u32; 4], family| {
            if family == AF_INET6 as u32 {
                Address::from_v6(words)
            } else {
                Address::from_v4(words[0])
            }
        };
        let family = words[4] >> 16;
        Some(Stream::new(
            of_family([words[0], words[1], words[2], words[3]], family),
            u16::from_be(words[4] as u16),
            of_family([words[5], words[6], words[7], words[8]], family),
            u16::from_be(words[9] as u16),
        ))
    }

    /// What TCP has just sent again of this packet of its own queue, and in which segments: `struct tcp_skb_cb`.
    #[inline(always)]
    pub(crate) fn data_of_queue(self) -> Option<Range> {
        let (begin, end): (u32, u32) = (self.control(&TCP_SKB_CB_SEQ)?, self.control(&TCP_SKB_CB_END_SEQ)?);
        let size: u16 = self.control(&TCP_SKB_CB_GSO_SIZE)?;
        let length = end.wrapping_sub(begin);
        Some(Range {
            origin: begin,
            begin,
            end,
            // Of a single segment no size is noted.
            segment: if size == 0 { length.max(1) } else { size as u32 },
        })
    }

    /// The sequence number after that.
    #[inline(always)]
    pub(crate) fn end_of_queue(self) -> Option<u32> {
        self.control(&TCP_SKB_CB_END_SEQ)
    }

    /// A member of what TCP keeps in `cb`.
    #[inline(always)]
    fn control<T: Copy>(self, field: &Global<T>) -> Option<T> {
        let offset = SK_BUFF_CB.offset()? + field.offset()?;
        // SAFETY: the member lies within `cb`, an array of bytes in `struct sk_buff`; volatile, so that the load stays where it is
        // written.
        Some(unsafe { self.0.add(offset).cast::<T>().read_volatile() })
    }
}

impl Sock {
    /// The direction in which it sends.
    #[inline(always)]
    pub(crate) fn stream(self) -> Stream {
        Stream::new(self.local(), self.local_port(), self.remote(), self.remote_port())
    }
}
