//! Says of each retransmission whether what was sent before it was dropped between two captures, from these alone. It knows nothing of
//! the exporter, and tells transmissions apart by the identification of IPv4 (RFC 791, 3.1).

use std::collections::HashSet;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::net::namespace::Namespace;
use tests::net::path::Path;
use tests::net::socket::set_option;

/// A TCP packet with data over IPv4, as it was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    source: SocketAddrV4,
    identification: u16,
    sequence: u32,
    length: u32,
}

impl Seen {
    /// What no two transmissions share, and no translation of addresses changes.
    fn transmission(self) -> (u16, u32, u32) {
        (self.identification, self.sequence, self.length)
    }

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
}

/// A thread that keeps what it sees until it is told to stop.
struct Sniffer {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<Vec<Seen>>,
}

impl Sniffer {
    fn start(namespace: &Namespace) -> Result<Self> {
        /// `ETH_P_ALL`, in network byte order.
        const ALL: i32 = 0x0300;
        const BUFFER: i32 = 128 << 20;
        let mut socket = namespace.run(|| Ok(Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(ALL)))?))?;
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

/// What is seen before the first hop and behind the last one.
pub(super) struct Captures {
    sent: Sniffer,
    arrived: Sniffer,
}

/// The judgement on one direction of a connection, in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Sent again.
    pub(super) repeated: u64,
    /// Of these, those of which the transmission before was dropped between the captures.
    pub(super) after_drop: u64,
}

impl Captures {
    pub(super) fn start(path: &Path) -> Result<Self> {
        Ok(Self {
            sent: Sniffer::start(&path.client)?,
            arrived: Sniffer::start(&path.server)?,
        })
    }

    /// Judges what `client` sent, in segments of at most `size` bytes.
    pub(super) fn judge(self, client: SocketAddr, size: u32) -> Result<Judgement> {
        let arrived: HashSet<_> = self.arrived.finish()?.into_iter().map(Seen::transmission).collect();
        let sent: Vec<Seen> = self.sent.finish()?;
        let sent: Vec<Seen> = sent
            .into_iter()
            .filter(|seen| SocketAddr::V4(seen.source) == client)
            .collect();
        ensure!(!sent.is_empty(), "nothing of {client} was seen");
        let first = sent.iter().map(|seen| seen.sequence).next().unwrap_or(0);
        // Bytes from the first one on: the last transmission of each segment that begins there.
        let offset = |sequence: u32| u64::from(sequence.wrapping_sub(first));
        let mut last: std::collections::BTreeMap<u64, (u64, bool)> = std::collections::BTreeMap::new();
        let (mut repeated, mut after_drop) = (0, 0);
        for seen in sent {
            let is_dropped = !arrived.contains(&seen.transmission());
            let mut begin = offset(seen.sequence);
            let end = begin + u64::from(seen.length);
            while begin < end {
                let next = end.min(begin + u64::from(size));
                let before: Vec<(u64, (u64, bool))> = last
                    .range(begin.saturating_sub(u64::from(size))..next)
                    .filter(|(_, (behind, _))| *behind > begin)
                    .map(|(at, of)| (*at, *of))
                    .collect();
                repeated += u64::from(!before.is_empty());
                after_drop += u64::from(before.iter().any(|(_, (_, is_dropped))| *is_dropped));
                for (at, _) in before {
                    last.remove(&at);
                }
                last.insert(begin, (next, is_dropped));
                begin = next;
            }
        }
        Ok(Judgement { repeated, after_drop })
    }
}
