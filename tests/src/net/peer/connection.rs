//! The peer's end of one connection: what it can be told to say, and what it can wait for.

use anyhow::{Result, ensure};

use super::{FIRST, Offer, Peer, WINDOW};
use crate::net::packet::{Options, Segment, flag, fragmentation_needed, spoiled};

/// The peer's end of a connection.
#[derive(Debug)]
pub struct Connection<'peer> {
    peer: &'peer Peer,
    port: u16,
    kernel_port: u16,
    offer: Offer,
    /// Both ends have agreed on timestamps.
    timestamps: bool,
    clock: u32,
    echo: u32,
    /// Number of the peer's next byte.
    pub(super) next: u32,
    /// Up to where the peer has acknowledged.
    acknowledged: u32,
    /// Payload of the kernel that is not yet acknowledged: first byte, and the byte after the last; as it came.
    outstanding: Vec<(u32, u32)>,
    window: u16,
}

impl<'peer> Connection<'peer> {
    pub(super) fn new(peer: &'peer Peer, port: u16, syn: &Segment, offer: Offer) -> Self {
        let theirs = syn.options.timestamps;
        Self {
            peer,
            port,
            kernel_port: syn.source.port(),
            offer,
            timestamps: offer.timestamps && theirs.is_some(),
            clock: 1,
            echo: theirs.map_or(0, |(value, _)| value),
            next: FIRST.wrapping_add(1),
            acknowledged: syn.end(),
            outstanding: Vec::new(),
            window: WINDOW,
        }
    }

    /// Sends one segment that acknowledges what has been acknowledged already.
    pub(super) fn say(&mut self, flags: u8, sequence: u32, options: Options, payload: &[u8]) -> Result<()> {
        let packet = self.packet(flags, sequence, options, payload);
        self.peer.inject(&packet)
    }

    fn packet(&mut self, flags: u8, sequence: u32, mut options: Options, payload: &[u8]) -> Vec<u8> {
        self.clock += 1;
        options.timestamps = self.timestamps.then_some((self.clock, self.echo));
        let segment = Segment {
            source: self.peer.at(self.port),
            destination: self.peer.kernel_at(self.kernel_port),
            sequence,
            acknowledgment: self.acknowledged,
            flags,
            window: self.window,
            options,
            payload: payload.to_vec(),
        };
        segment.encode()
    }

    fn ack(&mut self, sack: Vec<(u32, u32)>) -> Result<()> {
        let options = Options {
            sack,
            ..Options::default()
        };
        self.say(flag::ACK, self.next, options, &[])
    }

    /// The kernel's next segment of this connection.
    pub fn expect(&mut self, what: &str, wanted: impl Fn(&Segment) -> bool) -> Result<Segment> {
        let segment = self.peer.next_for(self.port, what, |segment| {
            segment.source.port() == self.kernel_port && wanted(segment)
        })?;
        if let Some((value, _)) = segment.options.timestamps {
            self.echo = value;
        }
        Ok(segment)
    }

    /// Takes `bytes` of new data from the kernel without acknowledging them.
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        let mut taken = 0;
        while taken < bytes {
            let segment = self.expect("data", |segment| !segment.payload.is_empty())?;
            let range = (segment.sequence, segment.end());
            if !self.outstanding.contains(&range) {
                taken += segment.payload.len();
                self.outstanding.push(range);
            }
        }
        ensure!(
            taken == bytes,
            "the kernel sent {taken} bytes where {bytes} were expected"
        );
        Ok(())
    }

    /// Waits until the kernel sends again something that was taken before, and gives it.
    pub fn take_again(&mut self) -> Result<(u32, u32)> {
        let known = self.outstanding.clone();
        let segment = self.expect("retransmitted data", |segment| {
            !segment.payload.is_empty() && known.iter().any(|&(from, _)| from == segment.sequence)
        })?;
        Ok((segment.sequence, segment.end()))
    }

    /// The last one that was taken and not acknowledged: first byte, and the byte after the last.
    pub fn last_taken(&self) -> Option<(u32, u32)> {
        self.outstanding.last().copied()
    }

    /// Number of the kernel's segments that were taken and not acknowledged.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Acknowledges everything taken.
    pub fn acknowledge(&mut self) -> Result<()> {
        self.forget_outstanding();
        self.ack(Vec::new())
    }

    /// Acknowledges the first `count` of the segments taken.
    pub fn acknowledge_first(&mut self, count: usize) -> Result<()> {
        let last = self.outstanding.drain(..count.min(self.outstanding.len())).next_back();
        if let Some((_, end)) = last {
            self.acknowledged = end;
        }
        self.ack(Vec::new())
    }

    /// Says as a router that the first of the segments taken is longer than its path takes.
    pub fn announce_mtu(&self, mtu: u16) -> Result<()> {
        let sequence = self.outstanding.first().map_or(self.acknowledged, |(from, _)| *from);
        let too_long = Segment {
            source: self.peer.kernel_at(self.kernel_port),
            destination: self.peer.at(self.port),
            sequence,
            acknowledgment: self.next,
            flags: flag::ACK,
            window: 0,
            options: Options::default(),
            payload: Vec::new(),
        };
        let router = *self.peer.at(self.port).ip();
        self.peer.inject(&fragmentation_needed(router, &too_long.encode(), mtu))
    }

    /// Acknowledges everything taken, and says that `range` came twice.
    pub fn acknowledge_with_dsack(&mut self, range: (u32, u32)) -> Result<()> {
        self.forget_outstanding();
        self.ack(vec![range])
    }

    fn forget_outstanding(&mut self) {
        if let Some(&(_, end)) = self.outstanding.last() {
            self.acknowledged = end;
        }
        self.outstanding.clear();
    }

    /// Sends `count` segments that acknowledge nothing new and say nothing else.
    pub fn repeat_acknowledgment(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.ack(Vec::new()))
    }

    /// Sends one segment that acknowledges nothing new and has `blocks` SACK blocks: every second of the segments taken,
    /// so that no two blocks touch. The first one taken stays missing.
    pub fn acknowledge_selectively(&mut self, blocks: usize) -> Result<()> {
        let sack: Vec<_> = self
            .outstanding
            .iter()
            .skip(1)
            .step_by(2)
            .take(blocks)
            .copied()
            .collect();
        ensure!(
            sack.len() == blocks,
            "{} segments are too few for {blocks} blocks",
            self.outstanding.len()
        );
        self.ack(sack)
    }

    /// Sends `count` segments of one byte each that leave a gap of one byte before them, and waits for the acknowledgment of
    /// each.
    pub fn send_out_of_order(&mut self, count: u32) -> Result<()> {
        for ahead in 1..=count {
            let at = self.next.wrapping_add(ahead);
            self.say(flag::ACK | flag::PSH, at, Options::default(), b"x")?;
            self.expect("acknowledgment", |segment| segment.has(flag::ACK))?;
        }
        Ok(())
    }

    /// Sends data in order, which may fill a gap left by `ahead` bytes sent before, and waits until all is acknowledged.
    pub fn send(&mut self, payload: &[u8], ahead: u32) -> Result<()> {
        let at = self.next;
        self.next = at.wrapping_add(u32::try_from(payload.len())?).wrapping_add(ahead);
        let next = self.next;
        self.say(flag::ACK | flag::PSH, at, Options::default(), payload)?;
        self.expect("acknowledgment", |segment| segment.acknowledgment == next)?;
        Ok(())
    }

    /// Sends data in order `count` times with a wrong checksum, so that the kernel must not take any of it.
    pub fn spoil(&mut self, payload: &[u8], count: usize) -> Result<()> {
        for _ in 0..count {
            let packet = self.packet(flag::ACK | flag::PSH, self.next, Options::default(), payload);
            self.peer.inject(&spoiled(packet))?;
        }
        Ok(())
    }

    /// Sends data in order `count` times that the kernel does not take as a whole, and does not wait.
    pub fn overrun(&mut self, payload: &[u8], count: usize) -> Result<()> {
        (0..count).try_for_each(|_| self.say(flag::ACK | flag::PSH, self.next, Options::default(), payload))
    }

    /// From now on says that it has room for so many bytes, and says so at once.
    pub fn open_window(&mut self, bytes: u16) -> Result<()> {
        self.window = bytes;
        self.acknowledge()
    }

    /// Ends its side of the stream and waits for the acknowledgment.
    pub fn end(&mut self) -> Result<()> {
        let at = self.next;
        self.next = at.wrapping_add(1);
        self.say(flag::ACK | flag::FIN, at, Options::default(), &[])?;
        let next = self.next;
        self.expect("acknowledgment of the FIN", |segment| segment.acknowledgment == next)?;
        Ok(())
    }

    /// Answers the kernel's FIN.
    pub fn acknowledge_end(&mut self) -> Result<()> {
        let fin = self.expect("FIN", |segment| segment.has(flag::FIN))?;
        self.outstanding.clear();
        self.acknowledged = fin.end();
        self.ack(Vec::new())
    }

    /// Resets the connection.
    pub fn reset(mut self) -> Result<()> {
        self.say(flag::RST | flag::ACK, self.next, Options::default(), &[])
    }

    /// The largest payload that the kernel may send in one segment.
    pub fn segment_size(&self) -> usize {
        usize::from(self.offer.mss) - if self.timestamps { 12 } else { 0 }
    }
}
