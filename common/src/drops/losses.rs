//! TCP data that this host dropped and that was not retransmitted yet. It is kept in a ring, as ranges of sequence numbers of one
//! direction of a connection. The program that sees a retransmission looks for the segment in these ranges.
//!
//! A range lies within one block of sequence numbers. The hash of direction and block names a chain, from the newest range to older
//! ones, so that few ranges are looked at. A place in the ring is used again when all others have been; then the chains that lead to the
//! old range end there.

use crate::{memory::recent::mixed, net::address::Address};

/// Ranges that are kept, a power of two.
pub const MOST_LOSSES: u32 = 1 << 14;

/// Bits of a sequence number within a block.
const BLOCK_BITS: u32 = 14;

/// Ranges that a packet is cut into at most: as many as 512 KiB lie in, the largest that the kernel builds (`GSO_MAX_SIZE`).
pub const MOST_RANGES: u32 = (1 << 19 >> BLOCK_BITS) + 1;

/// Ranges that are looked at for one retransmission.
pub const MOST_STEPS: u32 = 256;

/// One direction of a TCP connection, as its sender has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Stream {
    /// Addresses, ports and family, in no order that matters.
    pub words: [u64; Self::WORDS],
}

impl Stream {
    /// Number of its words.
    pub const WORDS: usize = 5;

    /// The direction from one end to the other; ports in host byte order.
    #[inline(always)]
    pub const fn new(source: Address, source_port: u16, destination: Address, destination_port: u16) -> Self {
        const fn halves([first, second, third, fourth]: [u32; 4]) -> [u64; 2] {
            [
                first as u64 | (second as u64) << 32,
                third as u64 | (fourth as u64) << 32,
            ]
        }
        let [first, second] = halves(source.words);
        let [third, fourth] = halves(destination.words);
        let ports = source_port as u64 | (destination_port as u64) << 16 | (source.family as u64) << 32;
        Self {
            words: [first, second, third, fourth, ports],
        }
    }

    /// The chain of a block of its sequence numbers.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the upper bits")]
    pub const fn chain(&self, block: u32) -> u32 {
        let [first, second, third, fourth, ports] = self.words;
        let hash = mixed([first, second, third, fourth, ports, block as u64]);
        (hash >> (u64::BITS - MOST_LOSSES.trailing_zeros())) as u32
    }
}

/// The block of a sequence number.
#[inline(always)]
pub const fn block(sequence: u32) -> u32 {
    sequence >> BLOCK_BITS
}

/// The block after another one; they wrap as sequence numbers do.
#[inline(always)]
pub const fn next_block(block: u32) -> u32 {
    (block + 1) & (u32::MAX >> BLOCK_BITS)
}

/// Sequence numbers from one to the next block or to `end`, whichever comes first; they wrap.
#[inline(always)]
pub const fn end_of_range(begin: u32, end: u32) -> u32 {
    let rest = (1 << BLOCK_BITS) - (begin & ((1 << BLOCK_BITS) - 1));
    if end.wrapping_sub(begin) > rest {
        begin.wrapping_add(rest)
    } else {
        end
    }
}

/// Sequence numbers of one packet, or a part of them that begins at `begin`, and how the packet lay in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Range {
    /// Where the first segment of the packet begins.
    pub origin: u32,
    /// The first sequence number.
    pub begin: u32,
    /// The one behind the last.
    pub end: u32,
    /// Bytes of a segment; the last one may have fewer. Not 0.
    pub segment: u32,
}

impl Range {
    /// How many segments of a range have a bit of their own.
    const SEGMENTS: u32 = u64::BITS;
    /// The smallest segment, in bytes, of which a block has no more than there are bits.
    pub const LEAST_SEGMENT: u32 = (1 << BLOCK_BITS) / Self::SEGMENTS;

    /// A bit for each of its segments in which bytes from `from` on and before `to` lie. Those that are too many share the last one.
    #[inline(always)]
    pub const fn segments_in(&self, from: u32, to: u32) -> u64 {
        let Some((from, to)) = self.shared_with(from, to) else {
            return 0;
        };
        self.bits(self.segments(from), self.segments(to - 1))
    }

    /// A bit for each of its segments whose last byte lies from `from` on and before `to`.
    #[inline(always)]
    pub const fn ends_in(&self, from: u32, to: u32) -> u64 {
        let Some((from, to)) = self.shared_with(from, to) else {
            return 0;
        };
        let behind = if to == self.end.wrapping_sub(self.origin) {
            self.segments(to - 1) + 1
        } else {
            self.segments(to)
        };
        let first = self.segments(from);
        if behind <= first {
            return 0;
        }
        self.bits(first, behind - 1)
    }

    /// All segments.
    #[inline(always)]
    pub const fn all(&self) -> u64 {
        self.segments_in(self.begin, self.end)
    }

    /// The bit of a FIN behind `payload` bytes that fill all segments: it takes a sequence number, but is part of the last segment. 0
    /// for none.
    #[inline(always)]
    pub const fn lone_fin(&self, payload: u32) -> u64 {
        if payload == 0 || self.end.wrapping_sub(self.begin) == payload {
            return 0;
        }
        let bit = 1_u64.checked_shl(self.segments(payload));
        match (payload.checked_rem(self.segment), bit) {
            (Some(0), Some(bit)) => bit,
            _ => 0,
        }
    }

    /// Where the segments from the lowest to the highest of these bits begin and end.
    #[inline(always)]
    pub const fn around(&self, bits: u64) -> (u32, u32) {
        let base = self.segments(self.begin.wrapping_sub(self.origin));
        let first = bits.trailing_zeros();
        let behind = u64::BITS - bits.leading_zeros();
        let from = self.origin.wrapping_add((base + first).wrapping_mul(self.segment));
        let to = self.origin.wrapping_add((base + behind).wrapping_mul(self.segment));
        (
            if first == 0 { self.begin } else { from },
            if behind == Self::SEGMENTS || is_before(self.end, to) {
                self.end
            } else {
                to
            },
        )
    }

    /// What it has in common with others, counted from `origin`; `None` for nothing.
    #[inline(always)]
    const fn shared_with(&self, from: u32, to: u32) -> Option<(u32, u32)> {
        let from = if is_before(from, self.begin) { self.begin } else { from };
        let to = if is_before(self.end, to) { self.end } else { to };
        if is_before(from, to) {
            Some((from.wrapping_sub(self.origin), to.wrapping_sub(self.origin)))
        } else {
            None
        }
    }

    /// Whole segments of the packet in its first `bytes`.
    #[inline(always)]
    const fn segments(&self, bytes: u32) -> u32 {
        // A plain division would panic.
        match bytes.checked_div(self.segment) {
            Some(segments) => segments,
            None => 0,
        }
    }

    /// The bits of segments `first` to `last` of the packet.
    #[inline(always)]
    const fn bits(&self, first: u32, last: u32) -> u64 {
        const LAST: u32 = Range::SEGMENTS - 1;
        let base = self.segments(self.begin.wrapping_sub(self.origin));
        let first = first.wrapping_sub(base);
        let last = last.wrapping_sub(base);
        let first = if first > LAST { LAST } else { first };
        let last = if last > LAST { LAST } else { last };
        (u64::MAX << first) & (u64::MAX >> (LAST - last))
    }
}

/// Whether a sequence number comes before another one (RFC 9293, 3.4).
#[inline(always)]
#[expect(clippy::cast_possible_wrap, reason = "sequence numbers wrap")]
pub const fn is_before(sequence: u32, other: u32) -> bool {
    (sequence.wrapping_sub(other) as i32) < 0
}

/// How far what a sender tried to send for the first time is ahead of the sequence numbers that it takes for sent, up to a constant:
/// what its own host refuses at once counts in `bytes_sent`, but `snd_nxt` stays, and the next attempt is no retransmission.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "as sequence numbers wrap")]
pub const fn unsent(bytes_sent: u64, bytes_retransmitted: u64, next: u32) -> u32 {
    (bytes_sent.wrapping_sub(bytes_retransmitted) as u32).wrapping_sub(next)
}

/// A place in the ring: the value of the map `LOSSES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Loss {
    /// Which range lies here: they are numbered from 1 on. 0 for none yet, [`Loss::WRITTEN`] while somebody writes.
    pub number: u64,
    /// The number of the range that comes next in the chain; 0 for none.
    pub next: u64,
    /// When it was dropped, in nanoseconds since the machine was started, without the time it slept (`CLOCK_MONOTONIC`).
    pub time: u64,
    /// When it was sent, by the sender's own clock, which is as old as the row that it was sent in; [`Loss::UNKNOWN`] where the packet
    /// does not say.
    pub sent: u64,
    /// A bit for each segment of the range that was retransmitted since.
    pub repeated: u64,
    /// Whose it is.
    pub stream: Stream,
    /// What was dropped.
    pub range: Range,
    /// The slot of the drop.
    pub slot: u32,
    /// If the data was just being sent for the first time, the number of the first range that was dropped of the same packet, its lower
    /// half; 0 if not, [`Loss::FIRST`] in a draft of that first range.
    pub first: u32,
    /// `tcp_sock.bytes_sent` then, its lower half: which attempt to send it was.
    pub attempt: u32,
    /// What [`unsent`] of the sender is afterwards if TCP takes the packet for sent.
    pub unsent: u32,
    /// Of a first range: its number, once TCP is known to have taken the packet for sent. It stays when another range takes the place.
    pub taken: u32,
    /// Whether its sender sends it again at once, by a clock that it has read before the drop.
    pub is_at_once: u32,
}

/// The search for one retransmission among the dropped ranges: the value of the map `LOSS_SEARCHES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Search {
    /// Number of the range to look at next; 0 at the end of a chain.
    pub number: u64,
    /// When the connection was established, as [`Loss::time`] counts; 0 when nobody saw it.
    pub established: u64,
    /// The latest moment at which this retransmission had not begun yet, by the same clock.
    pub since: u64,
    /// The sender's own clock, as old as the row that this retransmission is sent in.
    pub clock: u64,
    /// A bit for each segment of `sent` that was dropped before.
    pub done: u64,
    /// [`Range::lone_fin`] of `sent`.
    pub lone_fin: u64,
    /// Whose it is.
    pub stream: Stream,
    /// What was retransmitted.
    pub sent: Range,
    /// The block whose chain is looked at.
    pub block: u32,
    /// What is [`unsent`] of the sender.
    pub unsent: u32,
}

/// What a range has to be older or younger than, as in [`Search`].
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// [`Search::established`]
    pub established: u64,
    /// [`Search::since`]
    pub since: u64,
    /// [`Search::clock`]
    pub clock: u64,
}

impl Loss {
    /// In place of a number while somebody writes.
    pub const WRITTEN: u64 = u64::MAX;
    /// In place of the number of a packet's first range, in a draft of it.
    pub const FIRST: u32 = u32::MAX;
    /// In place of when a packet was sent.
    pub const UNKNOWN: u64 = u64::MAX;

    /// Whether a range is of the connection of a search, not of an older one between the same ends, and of a transmission before the
    /// retransmission that is searched for. A queue may drop that transmission only while it takes the retransmission in: the range was
    /// `sent` before nevertheless.
    #[inline(always)]
    pub const fn was_before(time: u64, sent: u64, is_at_once: u32, of: Times) -> bool {
        time >= of.established && (is_at_once != 0 || time <= of.since || sent < of.clock)
    }

    /// Whether the sender took the packet for sent after which it `expected` this much to be [`unsent`]: nothing was refused since. A FIN
    /// that was sent since is one less.
    #[inline(always)]
    pub const fn was_sent(expected: u32, unsent: u32) -> bool {
        unsent == expected || is_before(unsent, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(begin: u32, length: u32, segment: u32) -> Range {
        Range {
            origin: begin,
            begin,
            end: begin.wrapping_add(length),
            segment,
        }
    }

    /// The segments of a range by the definition: one for each, byte by byte.
    fn by_bytes(range: &Range, from: u32, to: u32, last_only: bool) -> u64 {
        let base = range.begin.wrapping_sub(range.origin) / range.segment;
        let mut bits = 0;
        let mut at = range.begin;
        while at != range.end {
            let offset = at.wrapping_sub(range.origin);
            let is_last = at.wrapping_add(1) == range.end || (offset + 1).is_multiple_of(range.segment);
            let asked = at.wrapping_sub(from) < to.wrapping_sub(from);
            if asked && (is_last || !last_only) {
                bits |= 1 << (offset / range.segment - base).min(63);
            }
            at = at.wrapping_add(1);
        }
        bits
    }

    #[test]
    fn segments_are_those_of_the_bytes() {
        // Across the end of the sequence numbers; whole packets, and parts that begin within a segment.
        for begin in [0, 100_000, u32::MAX - 700] {
            for (skipped, length, segment) in [
                (0, 1500, 1500),
                (0, 1500, 300),
                (150, 1500, 400),
                (700, 1400, 700),
                (3, 5, 1),
            ] {
                let packet = range(begin, length, segment);
                let part = Range {
                    begin: begin.wrapping_add(skipped % length),
                    ..packet
                };
                for from in (0..length).step_by(50) {
                    for asked in [1, 50, 300, 333, 1448, 4000] {
                        let from = begin.wrapping_add(from).wrapping_sub(200);
                        let to = from.wrapping_add(asked);
                        assert_eq!(
                            part.segments_in(from, to),
                            by_bytes(&part, from, to, false),
                            "{part:?} {from} {to}"
                        );
                        assert_eq!(
                            part.ends_in(from, to),
                            by_bytes(&part, from, to, true),
                            "{part:?} {from} {to}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_fin_behind_full_segments_is_no_segment_of_its_own() {
        let packet = range(u32::MAX - 100, 3001, 1000);
        assert_eq!((packet.all(), packet.lone_fin(3000)), (0b1111, 0b1000));
        // Without a FIN, with one in a segment that is not full, in a packet of one segment, and alone.
        assert_eq!(packet.lone_fin(3001), 0);
        assert_eq!(range(5, 2501, 1000).lone_fin(2500), 0);
        assert_eq!(range(5, 1001, 1001).lone_fin(1000), 0);
        assert_eq!(range(5, 1, 1).lone_fin(0), 0);
        // It shares the last bit with others.
        assert_eq!(range(5, 64_001, 1000).lone_fin(64_000), 0);
    }

    #[test]
    fn around_is_where_the_segments_lie() {
        let packet = range(u32::MAX - 100, 1000, 300);
        assert_eq!(packet.around(packet.all()), (packet.begin, packet.end));
        let second = packet.begin.wrapping_add(300);
        assert_eq!(packet.around(0b110), (second, second.wrapping_add(600)));
        assert_eq!(packet.around(0b1000), (packet.begin.wrapping_add(900), packet.end));
        let part = Range {
            begin: packet.begin.wrapping_add(450),
            ..packet
        };
        assert_eq!(part.around(1), (part.begin, packet.begin.wrapping_add(600)));
    }

    #[test]
    fn a_packet_is_cut_at_blocks() {
        let (mut begin, end) = (u32::MAX - 20_000, 30_000_u32);
        let mut ranges = 0;
        while begin != end {
            let next = end_of_range(begin, end);
            assert_eq!(block(begin), block(next.wrapping_sub(1)));
            begin = next;
            ranges += 1;
        }
        assert_eq!(ranges, 4);
        assert_eq!(end_of_range(5, 5), 5);
    }

    #[test]
    fn what_was_refused_at_once_was_not_sent() {
        // The first attempt of 1000 bytes, of which 500 had been tried in vain before.
        let during = unsent(5500, 500, 100_500);
        let expected = during.wrapping_sub(1000);
        // Taken for sent, with a retransmission of all and a FIN later.
        assert!(Loss::was_sent(expected, unsent(6500, 1500, 101_500)));
        assert!(Loss::was_sent(expected, unsent(6500, 1500, 101_501)));
        // Refused; then sent as new data.
        assert!(!Loss::was_sent(expected, unsent(6500, 500, 101_500)));
    }

    #[test]
    fn only_drops_of_the_connection_and_before_the_retransmission_count() {
        let of = Times {
            established: 100,
            since: 200,
            clock: 180,
        };
        for (time, sent, is_at_once, expected) in [
            (99, Loss::UNKNOWN, 0, false),
            (100, Loss::UNKNOWN, 0, true),
            (200, Loss::UNKNOWN, 0, true),
            (201, Loss::UNKNOWN, 0, false),
            (201, Loss::UNKNOWN, 1, true),
            (99, Loss::UNKNOWN, 1, false),
            // The retransmission itself was dropped; then what was sent before it, by it.
            (201, 180, 0, false),
            (201, 179, 0, true),
        ] {
            assert_eq!(
                Loss::was_before(time, sent, is_at_once, of),
                expected,
                "{time} {sent} {is_at_once}"
            );
        }
        assert!(Loss::was_before(1, Loss::UNKNOWN, 0, Times { established: 0, ..of }));
    }

    #[test]
    fn ends_and_blocks_of_a_stream_have_chains_of_their_own() {
        let (here, there) = (Address::from_v4(1), Address::from_v4(2));
        let stream = Stream::new(here, 3, there, 4);
        let same_bits = Address {
            family: Address::V6,
            ..here
        };
        for other in [
            Stream::new(there, 3, here, 4),
            Stream::new(here, 4, there, 3),
            Stream::new(same_bits, 3, there, 4),
        ] {
            assert_ne!(other, stream);
            assert_ne!(other.chain(7), stream.chain(7));
        }
        assert_ne!(stream.chain(7), stream.chain(8));
        let mut chains: std::vec::Vec<u32> = (0..1000).map(|block| stream.chain(block)).collect();
        chains.sort_unstable();
        chains.dedup();
        assert!(
            chains.len() > 960 && chains.iter().all(|chain| *chain < MOST_LOSSES),
            "{}",
            chains.len()
        );
    }
}
