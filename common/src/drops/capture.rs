//! What `capture` is given of a dropped packet: the layout of an event, where the packet begins in it, and the table of
//! sites that were turned away.

use crate::{drops::Direction, text::Text, workload::Number};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Where, why, of what kind and whose a packet was when it was dropped: all that filters look at but addresses. The key of the map
/// `CAPTURE_SITES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Site {
    /// Kernel address that dropped the packet.
    pub location: u64,
    /// Name of the device, NUL-padded; empty when the packet does not know it any more.
    pub device: Text<2>,
    /// `enum skb_drop_reason` of the running kernel; 0 where the kernel gives none.
    pub reason: u32,
    /// `skb_iif` of what came in, else of the device that it leaves through; 0 when unknown. Each namespace counts for itself.
    pub ifindex: u32,
    /// The device's network namespace, as `/proc/PID/ns/net` numbers it; 0 when unknown.
    pub namespace: u32,
    /// `net_device.type` (`ARPHRD_*`); [`Site::NO_DEVICE`] when the device is unknown.
    pub hardware_type: u16,
    /// A [`crate::drops::Protocol`].
    pub protocol: u8,
    /// A [`Direction`] in the lowest bit, and above it bits of [`crate::drops::mark`].
    pub way: u8,
    /// Whose it is; 0 where workloads are not told apart.
    pub workload: Number,
    /// Explicit padding, zero.
    pub padding: [u16; 3],
}

impl Site {
    /// Direction and marks as one number.
    #[inline(always)]
    pub const fn way_of(direction: Direction, marks: u8) -> u8 {
        direction as u8 | marks << 1
    }

    /// Which way its packets go.
    pub const fn direction(&self) -> Direction {
        Direction::from_number(self.way & 1)
    }

    /// What else their class is decided by.
    pub const fn marks(&self) -> u8 {
        self.way >> 1
    }

    /// `ARPHRD_VOID`: no device has this type.
    pub const NO_DEVICE: u16 = 0xffff;
}

const _: () = assert!(size_of::<Site>() == 48 && align_of::<Site>() == 8);

/// What is known of a site: the value of the map `CAPTURE_SITES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SiteState {
    /// Not 0 when no filter lets its packets through. Written by user space.
    pub refused: u64,
    /// Packets that found the queue full. Written by the program.
    pub tail_drops: u64,
}

/// Most sites that are told apart.
pub const SITES: usize = 16_384;

/// The words of the map `CAPTURE_QUEUE`.
pub mod queue {
    /// Packets sent to user space so far. Written by the program.
    pub const SENT: u32 = 0;
    /// Packets that user space is done with. Written by user space.
    pub const TAKEN: u32 = 1;
    /// Packets that found the queue full while `CAPTURE_SITES` had no room for their site. Written by the program.
    pub const TAIL_DROPS_OF_OTHER_SITES: u32 = 2;
    /// How many words there are.
    pub const WORDS: u32 = 3;
}

/// Most bytes before `sk_buff.data` that are sent: headers that the network stack has taken off already.
pub const MOST_BEFORE: u32 = 255;

/// Most bytes from `sk_buff.data` on that are sent: a record of the kernel's buffer has a length of 16 bits.
pub const MOST_AFTER: u32 = 65_000;

/// What precedes a packet's bytes in an event. They follow at once: `before` bytes, then `after` bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Head {
    /// Where, why and of what kind.
    pub site: Site,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
    /// `kernfs_node.id` of the cgroup of its socket; 0 where that is not known.
    pub cgroup: u64,
    /// Length of the packet with all its headers, as much as is left of them.
    pub length: u32,
    /// Bytes from `sk_buff.data` on.
    pub after: u32,
    /// Bytes before `sk_buff.data`.
    pub before: u16,
    /// Length of the link-layer header that the bytes begin with; 0 when they begin with the network header.
    pub link: u16,
    /// `sk_buff.protocol` in host byte order; 0 when nothing is known of the bytes.
    pub ethertype: u16,
    /// The CPU, low 16 bits.
    pub cpu: u16,
}

impl Head {
    /// Its length in an event.
    pub const LENGTH: usize = size_of::<Self>();

    /// Takes an event apart: its head, and the packet's bytes. `None` for what is no event.
    pub fn parse(event: &[u8]) -> Option<(Self, &[u8])> {
        let (head, bytes) = Self::read_from_prefix(event).ok()?;
        // The kernel pads what it hands over.
        let length = usize::from(head.before) + usize::try_from(head.after).ok()?;
        Some((head, bytes.get(..length)?))
    }
}

const _: () = assert!(Head::LENGTH == 80 && align_of::<Head>() == 8);

/// An event as the program prepares it, in a map: it is too large for the stack.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Draft {
    /// What precedes the bytes.
    pub head: Head,
    /// The bytes before `sk_buff.data`; one more than are used, so that a mask bounds them.
    pub before: [u8; MOST_BEFORE as usize + 1],
}

/// Where a packet's parts begin, in bytes from `sk_buff.head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// `data`
    pub data: u32,
    /// `network_header`; 0 when it was never set.
    pub network: u32,
    /// `mac_header`; [`Offsets::UNSET`] when it was never set.
    pub link: u32,
}

/// Where the bytes to capture begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Bytes before `data`, at most [`MOST_BEFORE`].
    pub before: u32,
    /// Of them, and of those from `data` on, the link-layer header.
    pub link: u32,
    /// Whether the bytes begin with a header that is known, so that `sk_buff.protocol` says what it is.
    pub has_header: bool,
}

impl Offsets {
    /// A header that was never set.
    pub const UNSET: u32 = 0xffff;

    /// From the link-layer header on if there is one, else from the network header, else from `data`.
    #[inline(always)]
    pub const fn beginning(self) -> Beginning {
        let Self { data, network, link } = self;
        let has_network = network != 0 && network != Self::UNSET;
        // The header for the wire has just been built; `mac_header` is set, or set anew, only later.
        if has_network && data < network {
            return Beginning {
                before: 0,
                link: network - data,
                has_header: true,
            };
        }
        let end_of_link = if has_network { network } else { data };
        if link != Self::UNSET && link < end_of_link && data - link <= MOST_BEFORE {
            return Beginning {
                before: data - link,
                link: end_of_link - link,
                has_header: true,
            };
        }
        if has_network && data - network <= MOST_BEFORE {
            return Beginning {
                before: data - network,
                link: 0,
                has_header: true,
            };
        }
        Beginning {
            before: 0,
            link: 0,
            has_header: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSET: u32 = Offsets::UNSET;

    fn check([data, network, link]: [u32; 3], (before, of_link, has_header): (u32, u32, bool)) {
        let beginning = Offsets { data, network, link }.beginning();
        let expected = Beginning {
            before,
            link: of_link,
            has_header,
        };
        assert_eq!(beginning, expected, "data {data}, network {network}, link {link}");
    }

    #[test]
    fn an_event_is_taken_apart_and_its_padding_left_out() {
        let words = [
            0xffff_ffff_8123_4567,
            0x3068_7465,
            0,
            7 << 32 | 3,
            2 << 48 | 1 << 56 | 772 << 32 | 4_026_531_840,
            9,
            1_000_000_007,
            4711,
            2 << 32 | 1514,
            5 << 48 | 0x86dd << 32 | 14 << 16 | 3,
        ];
        let mut event: std::vec::Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        assert_eq!(Head::parse(&event), None);
        event.extend(b"abcde\0\0");
        let expected = Head {
            site: Site {
                location: 0xffff_ffff_8123_4567,
                device: [0x3068_7465, 0],
                reason: 3,
                ifindex: 7,
                namespace: 4_026_531_840,
                hardware_type: 772,
                protocol: 2,
                way: 1,
                workload: 9,
                padding: [0; 3],
            },
            time: 1_000_000_007,
            cgroup: 4711,
            length: 1514,
            after: 2,
            before: 3,
            link: 14,
            ethertype: 0x86dd,
            cpu: 5,
        };
        assert_eq!(Head::parse(&event), Some((expected, &b"abcde"[..])));
        assert_eq!(Head::parse(&event[..Head::LENGTH - 1]), None);
    }

    #[test]
    fn a_packet_that_came_in_begins_with_its_link_layer_header() {
        check([78, 78, 64], (14, 14, true));
        // At the transport header, and behind it.
        check([98, 78, 64], (34, 14, true));
        check([130, 78, 64], (66, 14, true));
        // Before the network stack has looked at it, and where a queueing discipline sees it.
        check([78, 0, 64], (14, 14, true));
        check([64, 78, 64], (0, 14, true));
    }

    #[test]
    fn a_packet_without_link_layer_header_begins_with_its_network_header() {
        // A tun device sets both to the same place.
        check([64, 64, 64], (0, 0, true));
        check([84, 64, 64], (20, 0, true));
        // This host has not come to the link layer yet.
        check([64, 64, UNSET], (0, 0, true));
    }

    #[test]
    fn a_header_that_was_just_built_counts_before_it_is_announced() {
        check([50, 64, UNSET], (0, 14, true));
        check([46, 64, 50], (0, 18, true));
    }

    #[test]
    fn without_any_header_the_data_is_all_there_is() {
        check([64, 0, UNSET], (0, 0, false));
        check([0, 0, UNSET], (0, 0, false));
        check([400, 100, UNSET], (0, 0, false));
        // The link-layer header is too far away, the network header is not.
        check([400, 200, 100], (200, 0, true));
    }
}
