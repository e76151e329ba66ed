//! A section of a pcapng file (draft-ietf-opsawg-pcapng). Pure: packets in, bytes out.
//!
//! Times are nanoseconds since 1970, on every interface.

use super::link::Link;
use common::drops::Direction;
use pcap_file::{
    Endianness, PcapResult,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};
use std::{borrow::Cow, collections::HashMap, mem, time::Duration};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub hardware: String,
    pub os: String,
    pub application: String,
}

/// An interface of the section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// `if_name`
    pub name: String,
    /// `if_description`
    pub description: String,
    /// What its packets begin with.
    pub link: Link,
}

#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// How long it was.
    pub length: u32,
    /// As much of it as was captured.
    pub bytes: &'a [u8],
    /// Which way it went: the flags of the packet.
    pub direction: Direction,
    /// Why it was dropped.
    pub comment: &'a str,
}

/// Counts of an interface (`isb_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets in the section.
    pub captured: u64,
    /// Packets that did not get there: the queue was full.
    pub tail_drops: u64,
}

/// A section that is being written.
pub struct Section {
    writer: PcapNgWriter<Vec<u8>>,
    snaplen: u32,
    begun: u64,
    interfaces: HashMap<Interface, u32>,
    counts: Vec<Counts>,
}

impl Section {
    /// Begins a section at a time; packets are cut to `snaplen` bytes, 0 for not at all.
    ///
    /// # Errors
    /// What the encoder says; memory takes everything.
    pub fn new(origin: &Origin, snaplen: u32, time: u64) -> PcapResult<Self> {
        let Origin {
            hardware,
            os,
            application,
        } = origin.clone();
        let header = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![
                SectionHeaderOption::Hardware(hardware.into()),
                SectionHeaderOption::OS(os.into()),
                SectionHeaderOption::UserApplication(application.into()),
            ],
            ..SectionHeaderBlock::default()
        };
        Ok(Self {
            writer: PcapNgWriter::with_section_header(Vec::new(), header)?,
            snaplen,
            begun: time,
            interfaces: HashMap::new(),
            counts: Vec::new(),
        })
    }

    /// The number of an interface; the first time it is written.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn interface(&mut self, interface: &Interface) -> PcapResult<u32> {
        /// 10⁻⁹ seconds.
        const NANOSECONDS: u8 = 9;
        if let Some(number) = self.interfaces.get(interface) {
            return Ok(*number);
        }
        let Interface {
            name,
            description,
            link,
        } = interface;
        self.writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: (*link).into(),
            snaplen: self.snaplen,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                InterfaceDescriptionOption::IfDescription(Cow::Borrowed(description)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
        let number = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
        self.interfaces.insert(interface.clone(), number);
        self.counts.push(Counts::default());
        Ok(number)
    }

    /// An interface of this name and description that is there already, whatever its link type.
    pub fn find(&self, name: &str, description: &str) -> Option<u32> {
        let same = |interface: &&Interface| interface.name == name && interface.description == description;
        let mut found = self.interfaces.iter().filter(|(interface, _)| same(interface));
        found.by_ref().map(|(_, number)| *number).min()
    }

    /// Writes a packet of an interface.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn packet(&mut self, interface: u32, packet: &Packet<'_>) -> PcapResult<()> {
        const INBOUND: u32 = 1;
        const OUTBOUND: u32 = 2;
        let Packet {
            time,
            length,
            bytes,
            direction,
            comment,
        } = packet;
        let flags = match direction {
            Direction::Receive => INBOUND,
            Direction::Transmit => OUTBOUND,
        };
        self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: interface,
            timestamp: Duration::from_nanos(*time),
            original_len: *length,
            data: Cow::Borrowed(bytes),
            options: vec![
                EnhancedPacketOption::Comment(Cow::Borrowed(comment)),
                EnhancedPacketOption::Flags(flags),
            ],
        })?;
        if let Some(counts) = self.counts.get_mut(interface as usize) {
            counts.captured += 1;
        }
        Ok(())
    }

    /// Counts packets of an interface that did not get there.
    pub fn add_tail_drops(&mut self, interface: u32, packets: u64) {
        if let Some(counts) = self.counts.get_mut(interface as usize) {
            counts.tail_drops += packets;
        }
    }

    /// Ends the section with the counts of each interface.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn end(&mut self, time: u64) -> PcapResult<()> {
        for (number, counts) in (0..).zip(mem::take(&mut self.counts)) {
            let Counts { captured, tail_drops } = counts;
            self.writer.write_pcapng_block(InterfaceStatisticsBlock {
                interface_id: number,
                timestamp: high_word_first(time),
                options: vec![
                    InterfaceStatisticsOption::IsbStartTime(high_word_first(self.begun)),
                    InterfaceStatisticsOption::IsbEndTime(high_word_first(time)),
                    InterfaceStatisticsOption::IsbIfRecv(captured + tail_drops),
                    InterfaceStatisticsOption::IsbIfDrop(tail_drops),
                    InterfaceStatisticsOption::IsbUsrDeliv(captured),
                ],
            })?;
        }
        Ok(())
    }

    /// What has been written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(self.writer.get_mut())
    }

    /// Bytes that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.writer.get_ref().len()
    }
}

/// pcapng writes times as two words, the high one first; the encoder writes one number here.
const fn high_word_first(time: u64) -> u64 {
    time.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::{
        DataLink,
        pcapng::{Block, PcapNgReader},
    };

    const BEGUN: u64 = 1_700_000_000_123_456_789;

    fn written() -> Vec<u8> {
        let origin = Origin {
            hardware: "x86_64".to_owned(),
            os: "Linux 6.18".to_owned(),
            application: "tcpvitals".to_owned(),
        };
        let mut section = Section::new(&origin, 96, BEGUN).unwrap();
        let interface = |name: &str, link| Interface {
            name: name.to_owned(),
            description: format!("the device {name}"),
            link,
        };
        let [ethernet, raw] = [interface("eth0", Link::Ethernet), interface("eth0", Link::Raw)];
        for (interface, direction) in [
            (&ethernet, Direction::Receive),
            (&raw, Direction::Transmit),
            (&ethernet, Direction::Transmit),
        ] {
            let number = section.interface(interface).unwrap();
            let packet = Packet {
                time: BEGUN + 1,
                length: 1514,
                bytes: b"abcde",
                direction,
                comment: "reason=NO_SOCKET",
            };
            section.packet(number, &packet).unwrap();
        }
        assert_eq!(section.find("eth0", "the device eth0"), Some(0));
        assert_eq!(section.find("eth0", "another"), None);
        section.add_tail_drops(1, 7);
        let mut bytes = section.take();
        section.end(BEGUN + 2).unwrap();
        bytes.extend(section.take());
        assert_eq!(section.waiting(), 0);
        bytes
    }

    #[test]
    fn a_section_holds_what_was_written() {
        let bytes = written();
        let mut reader = PcapNgReader::new(bytes.as_slice()).unwrap();
        let mut packets = Vec::new();
        let mut statistics = Vec::new();
        while let Some(block) = reader.next_block() {
            let block = block.unwrap().into_owned();
            if let Block::EnhancedPacket(packet) = block {
                packets.push(packet);
            } else if let Block::InterfaceStatistics(counts) = block {
                statistics.push(counts);
            }
        }
        let interfaces: Vec<_> = reader.interfaces().iter().map(|interface| interface.linktype).collect();
        assert_eq!(interfaces, [DataLink::ETHERNET, DataLink::RAW]);
        assert!(reader.interfaces().iter().all(|interface| interface.snaplen == 96));
        let seen: Vec<_> = packets
            .iter()
            .map(|packet| (packet.interface_id, packet.options[1].clone()))
            .collect();
        let flags = EnhancedPacketOption::Flags;
        assert_eq!(seen, [(0, flags(1)), (1, flags(2)), (0, flags(2))]);
        for packet in packets {
            assert_eq!(packet.timestamp, Duration::from_nanos(BEGUN + 1));
            assert_eq!((packet.original_len, packet.data.as_ref()), (1514, &b"abcde"[..]));
            assert_eq!(
                packet.options[0],
                EnhancedPacketOption::Comment("reason=NO_SOCKET".into())
            );
        }
        let drops: Vec<_> = statistics.iter().map(|counts| counts.options[3].clone()).collect();
        let dropped = InterfaceStatisticsOption::IsbIfDrop;
        assert_eq!(drops, [dropped(0), dropped(7)]);
    }

    #[test]
    fn times_of_statistics_begin_with_their_high_word() {
        let bytes = written();
        let time = (BEGUN + 2).to_be_bytes();
        let mut expected: Vec<u8> = time[..4].iter().rev().copied().collect();
        expected.extend(time[4..].iter().rev());
        let found = bytes.windows(8).filter(|window| *window == expected.as_slice()).count();
        // The block's own, and the end of the capture, on two interfaces.
        assert_eq!(found, 4);
    }
}
