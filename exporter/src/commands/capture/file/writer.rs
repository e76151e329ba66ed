//! Packets into sections, sections into files, and what is said at the end.

use super::{
    link::{frame, usual_link},
    output::{Output, OutputError},
    pcapng::{Origin, Packet, Section},
    sites::{Namer, Sites},
};
use crate::{
    commands::{
        capture::order::{Ordered, Timed},
        words::add_word,
    },
    lifecycle::signals::stop::{Stop, Written},
};
use common::drops::capture::{Head, Site};
use pcap_file::PcapError;
use std::collections::BTreeMap;
use tcpvitals_kernel::read::packets::TailDrops;
use tcpvitals_metrics::workloads::Instance;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It takes no more, or the next one cannot be made.
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("encode pcapng: {0}")]
    Encode(#[from] PcapError),
}

/// A packet that was sent.
#[derive(Debug)]
pub struct Sent {
    pub head: Head,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Timed for Sent {
    fn time(&self) -> u64 {
        self.head.time
    }
}

/// How far a capture has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Packets in the file.
    pub captured: u64,
    /// Packets that should be there and found the queue full.
    pub tail_drops: u64,
}

/// The file that is being written.
pub struct Writer {
    output: Output,
    section: Section,
    origin: Origin,
    snaplen: u32,
    /// What is added to the kernel's clock to make it the time of day, in nanoseconds.
    clock: u64,
    counted: BTreeMap<Site, u64>,
    total: Total,
}

impl Writer {
    /// Begins the file, at a time of the kernel's clock.
    ///
    /// # Errors
    /// [`WriteError`] when it takes nothing.
    pub fn new(mut output: Output, origin: Origin, snaplen: u32, clock: u64, now: u64) -> Result<Self, WriteError> {
        output.begin(now);
        Ok(Self {
            output,
            section: Section::new(&origin, snaplen, now.wrapping_add(clock))?,
            origin,
            snaplen,
            clock,
            counted: BTreeMap::new(),
            total: Total::default(),
        })
    }

    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// What is there so far.
    pub const fn total(&self) -> Total {
        self.total
    }

    /// Sets the clock anew, when it has been set meanwhile: smaller differences are those of reading two clocks.
    pub const fn set_clock(&mut self, clock: u64) {
        const NOTICED: u64 = 1_000_000;
        if clock.abs_diff(self.clock) > NOTICED {
            self.clock = clock;
        }
    }

    /// Adds a packet; nothing is written yet.
    ///
    /// # Errors
    /// [`WriteError::Encode`]
    pub fn add(&mut self, sent: &Sent, sites: &mut Sites, namer: &mut impl Namer) -> Result<(), WriteError> {
        let Sent { head, bytes } = sent;
        let limit = match self.snaplen {
            0 => usize::MAX,
            limit => limit as usize,
        };
        let framed = frame(head, bytes, limit);
        let (known, _) = sites.get(&head.site, namer);
        let interface = self.section.interface(&known.interface(framed.link))?;
        let mut comment = format!("{} cpu={}", known.comment, head.cpu);
        let instance = namer.instance(head.cgroup);
        let words = instance.iter().flat_map(Instance::words);
        for (name, word) in words.filter(|(_, word)| !word.is_empty()) {
            add_word(&mut comment, name, word);
        }
        let packet = Packet {
            time: head.time.wrapping_add(self.clock),
            length: framed.length,
            bytes: &framed.bytes,
            direction: known.direction,
            comment: &comment,
        };
        self.section.packet(interface, &packet)?;
        self.total.captured += 1;
        Ok(())
    }

    /// Whether so much waits that it should be written before more is added.
    pub fn is_heavy(&self) -> bool {
        const HEAVY: usize = 1 << 16;
        self.section.waiting() >= HEAVY
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// [`WriteError::Output`]
    pub fn flush(&mut self, stop: &mut Stop) -> Result<Written, WriteError> {
        let bytes = self.section.take();
        Ok(self.output.write(&bytes, stop)?)
    }

    /// Whether the next file should begin, at a time of the kernel's clock.
    pub fn is_full(&self, now: u64) -> bool {
        self.output.is_full(self.section.waiting() as u64, now)
    }

    /// Adds to the counts what found the queue full since the last call. `lost` is what did so since the beginning.
    ///
    /// # Errors
    /// [`WriteError::Encode`]
    pub fn count(&mut self, lost: &TailDrops, sites: &mut Sites, namer: &mut impl Namer) -> Result<(), WriteError> {
        for (site, packets) in &lost.by_site {
            let (known, _) = sites.get(site, namer);
            let before = self.counted.insert(*site, *packets).unwrap_or(0);
            let more = packets.saturating_sub(before);
            if !known.passes || more == 0 {
                continue;
            }
            let (name, description) = &known.device;
            let interface = match self.section.find(name, description) {
                Some(interface) => interface,
                None => self.section.interface(&known.interface(usual_link(site)))?,
            };
            self.section.add_tail_drops(interface, more);
            self.total.tail_drops += more;
        }
        Ok(())
    }

    /// Ends the file with its counts.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn end(&mut self, now: u64, stop: &mut Stop) -> Result<Written, WriteError> {
        self.section.end(now.wrapping_add(self.clock))?;
        self.flush(stop)
    }

    /// Begins the next file.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn rotate(&mut self, now: u64) -> Result<(), WriteError> {
        self.output.rotate()?;
        self.output.begin(now);
        self.section = Section::new(&self.origin, self.snaplen, now.wrapping_add(self.clock))?;
        Ok(())
    }
}

/// Packets that wait for their turn.
pub type Waiting = Ordered<Sent>;
