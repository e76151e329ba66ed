//! Says of each retransmission whether what was sent before it was dropped between two captures, from these alone. It knows nothing of
//! the exporter, and tells transmissions apart by the identification of IPv4 (RFC 791, 3.1).

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::net::namespace::Namespace;
use tests::net::socket::set_option;

/// A TCP packet with data over IPv4, as it was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    source: SocketAddrV4,
    identification: u16,
    sequence: u32,
    length: u32,
}

/// A segment as one transmission of it: what no two transmissions share, and neither a translation of addresses nor a packet that is
/// cut changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Transmission {
    identification: u16,
    sequence: u32,
    length: u32,
}

impl Seen {
    fn of(packet: &[u8]) -> Option<Self> {
        const TCP: u8 = 6;
        let short = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
        let first = packet.first()?;
        if first >> 4 != 4 || *packet.get(9)? != TCP {
            return None;
        }
        let tcp = usize::from(first & 15) * 4;
        let data = tcp + usize::from(packet.get(tcp + 12)? >> 4) * 4;
        let length = usize::from(short(2)?).checked_sub(data).filter(|length| *length > 0)?;
        let address: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
        Some(Self {
            source: SocketAddrV4::new(Ipv4Addr::from(address), short(tcp)?),
            identification: short(4)?,
            sequence: u32::from_be_bytes(packet.get(tcp + 4..tcp + 8)?.try_into().ok()?),
            length: u32::try_from(length).ok()?,
        })
    }

    /// Its segments of `size` bytes, of which the last one may have fewer: each has the next identification, as a packet that is cut
    /// gives it.
    fn segments(self, size: u32) -> impl Iterator<Item = Transmission> {
        (0..self.length.div_ceil(size)).map(move |number| {
            let begin = number * size;
            Transmission {
                #[expect(clippy::cast_possible_truncation, reason = "identifications wrap")]
                identification: self.identification.wrapping_add(number as u16),
                sequence: self.sequence.wrapping_add(begin),
                length: size.min(self.length - begin),
            }
        })
    }
}

/// A thread that keeps what it sees until it is told to stop.
struct Sniffer {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<Vec<Seen>>,
}

impl Sniffer {
    fn start(mut socket: Socket) -> Result<Self> {
        const BUFFER: i32 = 256 << 20;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let seen = spawn(move || {
            let mut seen = Vec::new();
            // Headers are enough: the rest of a packet is cut off.
            let mut packet = [0; 128];
            loop {
                match socket.read(&mut packet) {
                    Ok(length) => seen.extend(packet.get(..length).and_then(Seen::of)),
                    Err(_) if stopped.load(Ordering::Relaxed) => return seen,
                    Err(_) => {}
                }
            }
        });
        Ok(Self { stop, seen })
    }

    fn finish(self) -> Result<Vec<Seen>> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().or_else(|_| bail!("a sniffer panicked"))
    }
}

/// What devices of the client's namespace are given to send, and what TCP of the server's namespace is given: a raw socket has it behind
/// all filters (raw(7)).
pub(super) struct Captures {
    sent: Sniffer,
    arrived: Sniffer,
}

/// What both captures have seen.
pub(super) struct Account {
    sent: Vec<Seen>,
    arrived: Vec<Seen>,
}

/// The judgement on one direction of a connection, in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Sent.
    pub(super) sent: u64,
    /// Of these, those that did not arrive.
    pub(super) dropped: u64,
    /// Sent again.
    pub(super) repeated: u64,
    /// Of these, those of which the transmission before was dropped between the captures.
    pub(super) after_drop: u64,
    /// Whether the sequence numbers have wrapped.
    pub(super) has_wrapped: bool,
}

impl Captures {
    pub(super) fn start(client: &Namespace, server: &Namespace) -> Result<Self> {
        /// `ETH_P_ALL`, in network byte order.
        const ALL: i32 = 0x0300;
        let sent = client.run(|| Ok(Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL)))?))?;
        let arrived = server.run(|| Ok(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?))?;
        Ok(Self {
            sent: Sniffer::start(sent)?,
            arrived: Sniffer::start(arrived)?,
        })
    }

    pub(super) fn finish(self) -> Result<Account> {
        Ok(Account {
            sent: self.sent.finish()?,
            arrived: self.arrived.finish()?,
        })
    }
}

impl Account {
    /// Judges what `client` sent, in segments of `size` bytes.
    pub(super) fn judge(&self, client: SocketAddr, size: u32) -> Result<Judgement> {
        let arrived: HashSet<_> = self.arrived.iter().flat_map(|seen| seen.segments(size)).collect();
        // Each once: a packet passes several devices on its way out.
        let mut known = HashSet::new();
        let ours = self.sent.iter().filter(|seen| SocketAddr::V4(seen.source) == client);
        let sent: Vec<Transmission> = ours
            .flat_map(|seen| seen.segments(size))
            .filter(|segment| known.insert(*segment))
            .collect();
        let Some(first) = sent.first().map(|segment| segment.sequence) else {
            bail!("nothing of {client} was seen");
        };
        // Bytes from the first one on: the last transmission of the segments that begin there.
        let mut last: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
        let mut judgement = Judgement {
            sent: 0,
            dropped: 0,
            repeated: 0,
            after_drop: 0,
            has_wrapped: false,
        };
        for segment in sent {
            let is_dropped = !arrived.contains(&segment);
            let begin = u64::from(segment.sequence.wrapping_sub(first));
            let end = begin + u64::from(segment.length);
            let before: Vec<(u64, (u64, bool))> = last
                .range(begin.saturating_sub(u64::from(size))..end)
                .filter(|(_, (behind, _))| *behind > begin)
                .map(|(at, of)| (*at, *of))
                .collect();
            judgement.sent += 1;
            judgement.dropped += u64::from(is_dropped);
            judgement.repeated += u64::from(!before.is_empty());
            judgement.after_drop += u64::from(before.iter().any(|(_, (_, is_dropped))| *is_dropped));
            judgement.has_wrapped |= segment.sequence < first;
            for (at, _) in before {
                last.remove(&at);
            }
            last.insert(begin, (end, is_dropped));
        }
        ensure!(
            judgement.sent > judgement.dropped,
            "nothing of {client} arrived: {judgement:?}"
        );
        Ok(judgement)
    }
}
