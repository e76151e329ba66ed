//! Which link type a packet is written under, and with which bytes. Pure: from the head of an event to what pcapng says.
//!
//! Ethernet keeps its header, also that of the loopback device. Any other link-layer header is cut off: an IP packet is raw
//! IP then, everything else gets the header of Linux's cooked captures, which says its protocol.

use common::drops::{
    Direction,
    capture::{Head, Site},
    ethertype,
};
use pcap_file::DataLink;
use std::borrow::Cow;

/// Types of devices with an Ethernet header (`ARPHRD_*` of `linux/if_arp.h`).
const ETHER: u16 = 1;
const LOOPBACK: u16 = 772;

/// Length of an Ethernet header, and what each VLAN tag adds.
const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// `LINKTYPE_ETHERNET`
    Ethernet,
    /// `LINKTYPE_RAW`: an IP header.
    Raw,
    /// `LINKTYPE_LINUX_SLL2`: a header that Linux makes up.
    Cooked,
}

impl From<Link> for DataLink {
    fn from(link: Link) -> Self {
        match link {
            Link::Ethernet => Self::ETHERNET,
            Link::Raw => Self::RAW,
            Link::Cooked => Self::LINUX_SLL2,
        }
    }
}

/// A packet as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Link type of its interface.
    pub link: Link,
    /// Its bytes, as many as are wanted.
    pub bytes: Cow<'a, [u8]>,
    /// How long it was.
    pub length: u32,
}

/// Decides on the link type of a packet and cuts it to `limit` bytes.
pub fn frame<'a>(head: &Head, bytes: &'a [u8], limit: usize) -> Framed<'a> {
    let link = usize::from(head.link);
    if is_ethernet(head, bytes) {
        return Framed {
            link: Link::Ethernet,
            bytes: Cow::Borrowed(cut(bytes, limit)),
            length: head.length,
        };
    }
    let bytes = bytes.get(link..).unwrap_or_default();
    let length = head.length.saturating_sub(u32::from(head.link));
    if matches!(head.ethertype, ethertype::IPV4 | ethertype::IPV6) {
        return Framed {
            link: Link::Raw,
            bytes: Cow::Borrowed(cut(bytes, limit)),
            length,
        };
    }
    let mut cooked = cooked_header(head).to_vec();
    let header = u32::from(COOKED_HEADER);
    cooked.extend(bytes);
    cooked.truncate(limit);
    Framed {
        link: Link::Cooked,
        bytes: Cow::Owned(cooked),
        length: length.saturating_add(header),
    }
}

/// The link type of a packet of which nothing but its site is known.
pub const fn usual_link(site: &Site) -> Link {
    match site.hardware_type {
        ETHER | LOOPBACK => Link::Ethernet,
        _ => Link::Raw,
    }
}

fn cut(bytes: &[u8], limit: usize) -> &[u8] {
    bytes.get(..limit).unwrap_or(bytes)
}

fn is_ethernet(head: &Head, bytes: &[u8]) -> bool {
    let link = usize::from(head.link);
    match head.site.hardware_type {
        ETHER | LOOPBACK => link >= ETHERNET_HEADER,
        // The packet has forgotten its device; its header ends with the protocol if it is one of Ethernet.
        Site::NO_DEVICE => {
            let is_long_enough = [0, 1, 2].map(|tags| ETHERNET_HEADER + tags * VLAN_TAG).contains(&link);
            is_long_enough && bytes.get(link - 2..link) == Some(&head.ethertype.to_be_bytes())
        }
        _ => false,
    }
}

/// Length of the header of a cooked capture.
const COOKED_HEADER: u16 = 20;

/// The header of `LINKTYPE_LINUX_SLL2`: protocol, interface, type of the device, direction; the address is unknown.
fn cooked_header(head: &Head) -> [u8; COOKED_HEADER as usize] {
    const TO_US: u8 = 0;
    const FROM_US: u8 = 4;
    let mut header = [0; COOKED_HEADER as usize];
    let [protocol, interface, kind] = [
        &head.ethertype.to_be_bytes()[..],
        &head.site.ifindex.to_be_bytes()[..],
        &head.site.hardware_type.to_be_bytes()[..],
    ];
    header[..2].copy_from_slice(protocol);
    header[4..8].copy_from_slice(interface);
    header[8..10].copy_from_slice(kind);
    header[10] = match head.site.direction() {
        Direction::Receive => TO_US,
        Direction::Transmit => FROM_US,
    };
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 6 bytes behind a link-layer header.
    fn packet(hardware_type: u16, link: u16, ethertype: u16) -> (Head, Vec<u8>) {
        let site = Site {
            hardware_type,
            ifindex: 7,
            way: Site::way_of(Direction::Transmit, 0),
            ..Site::default()
        };
        let mut bytes = vec![0xee; usize::from(link).saturating_sub(2)];
        if link > 0 {
            bytes.extend(ethertype.to_be_bytes());
        }
        bytes.extend(b"packet");
        let head = Head {
            site,
            length: u32::try_from(bytes.len()).unwrap(),
            link,
            ethertype,
            ..Head::default()
        };
        (head, bytes)
    }

    fn check((head, bytes): (Head, Vec<u8>), link: Link, expected: &[u8]) {
        let framed = frame(&head, &bytes, usize::MAX);
        assert_eq!((framed.link, framed.bytes.as_ref()), (link, expected), "{head:?}");
        assert_eq!(framed.length as usize, expected.len());
    }

    #[test]
    fn ethernet_keeps_its_header() {
        for kind in [ETHER, LOOPBACK, Site::NO_DEVICE] {
            for link in [14, 18] {
                let packet = packet(kind, link, ethertype::ARP);
                check(packet.clone(), Link::Ethernet, &packet.1);
            }
        }
    }

    #[test]
    fn ip_without_a_known_link_layer_is_raw() {
        const IPGRE: u16 = 778;
        for ip in [ethertype::IPV4, ethertype::IPV6] {
            check(packet(ETHER, 0, ip), Link::Raw, b"packet");
            check(packet(IPGRE, 24, ip), Link::Raw, b"packet");
        }
        let (mut head, bytes) = packet(Site::NO_DEVICE, 14, ethertype::IPV4);
        head.ethertype = ethertype::IPV6;
        check((head, bytes), Link::Raw, b"packet");
    }

    #[test]
    fn what_is_not_ip_says_what_it_is() {
        let cooked = [&[0x08, 0x06, 0, 0, 0, 0, 0, 7, 0, 1, 4, 0][..], &[0; 8], b"packet"].concat();
        check(packet(ETHER, 0, ethertype::ARP), Link::Cooked, &cooked);
    }

    #[test]
    fn packets_are_cut_and_keep_their_length() {
        for (kind, link, protocol) in [
            (ETHER, 14, ethertype::IPV4),
            (ETHER, 0, ethertype::IPV4),
            (ETHER, 0, ethertype::ARP),
        ] {
            let (head, bytes) = packet(kind, link, protocol);
            let whole = frame(&head, &bytes, usize::MAX);
            let cut = frame(&head, &bytes, 4);
            assert_eq!((cut.length, cut.link), (whole.length, whole.link));
            assert_eq!(cut.bytes, &whole.bytes[..4]);
        }
    }
}
