//! IPv4 packets with a TCP segment or a UDP datagram in them, as bytes: for peers that say exactly what a test wants said.
//!
//! Pure. Only what the scripted peer needs: no IP options, no fragments.

mod options;
pub mod raw_ip;

use std::net::{Ipv4Addr, SocketAddrV4};

pub use options::Options;

/// Flags of a TCP segment.
pub mod flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Hand the data over.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number is valid.
    pub const ACK: u8 = 0x10;
}

const IP_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sends it.
    pub source: SocketAddrV4,
    /// Who shall get it.
    pub destination: SocketAddrV4,
    /// Number of the first byte of the payload, or of SYN.
    pub sequence: u32,
    /// Number of the next byte expected.
    pub acknowledgment: u32,
    /// A combination of [`flag`]s.
    pub flags: u8,
    /// Bytes that the sender can take, before scaling.
    pub window: u16,
    /// Options.
    pub options: Options,
    /// Data.
    pub payload: Vec<u8>,
}

impl Segment {
    /// Whether it has any of these flags.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Number of the byte after the last one: payload, SYN and FIN each take room.
    pub fn end(&self) -> u32 {
        let control = u32::from(self.has(flag::SYN)) + u32::from(self.has(flag::FIN));
        // A packet is shorter than 64 KiB.
        let payload = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        self.sequence.wrapping_add(payload).wrapping_add(control)
    }

    /// The whole packet, checksums included.
    pub fn encode(&self) -> Vec<u8> {
        let options = self.options.encode();
        let mut segment = Vec::with_capacity(TCP_HEADER + options.len() + self.payload.len());
        segment.extend(self.source.port().to_be_bytes());
        segment.extend(self.destination.port().to_be_bytes());
        segment.extend(self.sequence.to_be_bytes());
        segment.extend(self.acknowledgment.to_be_bytes());
        segment.push(byte((TCP_HEADER + options.len()) / 4) << 4);
        segment.push(self.flags);
        segment.extend(self.window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(options);
        segment.extend(&self.payload);
        packet(TCP, self.source, self.destination, segment, 16)
    }

    /// Reads a packet; `None` unless it is a whole TCP segment over IPv4. Checksums are not looked at.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let address = |at: usize| Some(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?.into());
        if packet.first()? >> 4 != 4 || *packet.get(9)? != TCP {
            return None;
        }
        let header = usize::from(packet.first()? & 15) * 4;
        let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        let segment = packet.get(header..length)?;
        let short = |at: usize| Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?));
        let long = |at: usize| Some(u32::from_be_bytes(segment.get(at..at + 4)?.try_into().ok()?));
        let data = usize::from(segment.get(12)? >> 4) * 4;
        Some(Self {
            source: SocketAddrV4::new(address(12)?, short(0)?),
            destination: SocketAddrV4::new(address(16)?, short(2)?),
            sequence: long(4)?,
            acknowledgment: long(8)?,
            flags: *segment.get(13)?,
            window: short(14)?,
            options: Options::decode(segment.get(TCP_HEADER..data)?),
            payload: segment.get(data..)?.to_vec(),
        })
    }
}

/// A UDP datagram as a whole packet.
pub fn datagram(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(UDP_HEADER + payload.len());
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(destination.port().to_be_bytes());
    datagram.extend(length(UDP_HEADER + payload.len()).to_be_bytes());
    datagram.extend([0; 2]);
    datagram.extend(payload);
    packet(UDP, source, destination, datagram, 6)
}

/// A router's answer to a packet that is longer than `mtu`: ICMP, fragmentation needed (RFC 1191).
pub fn fragmentation_needed(router: Ipv4Addr, packet: &[u8], mtu: u16) -> Vec<u8> {
    let [high, low] = mtu.to_be_bytes();
    let mut message = vec![3, 4, 0, 0, 0, 0, high, low];
    message.extend(&packet[..packet.len().min(IP_HEADER + 8)]);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let sender: [u8; 4] = std::array::from_fn(|at| packet.get(12 + at).copied().unwrap_or(0));
    with_header(ICMP, router, sender.into(), &message)
}

/// The same packet with a last byte that its checksum does not know.
pub fn spoiled(mut packet: Vec<u8>) -> Vec<u8> {
    if let Some(last) = packet.last_mut() {
        *last ^= 0xff;
    }
    packet
}

/// Puts an IPv4 header before `content`, and the checksum that covers a pseudo-header where it belongs.
fn packet(
    protocol: u8,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    mut content: Vec<u8>,
    checksum_at: usize,
) -> Vec<u8> {
    let (source, destination) = (*source.ip(), *destination.ip());
    let pseudo = [
        &source.octets()[..],
        &destination.octets(),
        &[0, protocol],
        &length(content.len()).to_be_bytes(),
    ]
    .concat();
    let sum = checksum(&[pseudo, content.clone()].concat());
    content[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
    with_header(protocol, source, destination, &content)
}

/// Puts an IPv4 header with its checksum before `content`.
fn with_header(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(length(IP_HEADER + content.len()).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(content);
    packet
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// A packet's length fits its field: the harness sends nothing near 64 KiB.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// A length within a TCP header fits its field.
fn byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(options: Options) -> Segment {
        Segment {
            source: "10.1.2.3:80".parse().unwrap(),
            destination: "10.1.2.4:40000".parse().unwrap(),
            sequence: 0xffff_fffe,
            acknowledgment: 7,
            flags: flag::ACK | flag::PSH,
            window: 500,
            options,
            payload: b"hello".to_vec(),
        }
    }

    #[test]
    fn a_segment_survives_encoding_and_decoding() {
        let of_syn = Options {
            mss: Some(1400),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 2)),
            sack: Vec::new(),
        };
        let of_ack = Options {
            timestamps: Some((3, 4)),
            sack: vec![(10, 20), (30, 40), (50, 60)],
            ..Options::default()
        };
        let of_long_ack = Options {
            sack: vec![(10, 20), (30, 40), (50, 60), (70, 80)],
            ..Options::default()
        };
        for options in [Options::default(), of_syn, of_ack, of_long_ack] {
            let segment = segment(options);
            assert_eq!(Segment::decode(&segment.encode()), Some(segment));
        }
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(segment(Options::default()).end(), 3);
    }

    #[test]
    fn a_header_with_its_checksum_sums_to_zero() {
        let packet = segment(Options::default()).encode();
        assert_eq!(checksum(&packet[..IP_HEADER]), 0);
    }

    #[test]
    fn cut_packets_are_no_segments() {
        let packet = segment(Options::default()).encode();
        for length in 0..packet.len() {
            assert_eq!(Segment::decode(&packet[..length]), None);
        }
    }
}
