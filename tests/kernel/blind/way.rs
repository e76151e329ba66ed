//! A way to a far site through this program, between two TUN devices. It takes its time, and it loses, holds back and swallows packets
//! where no kernel sees it, as the network does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tests::machine::wait::moment;
use tests::net::namespace::Namespace;
use tests::net::socket::tun;

/// How long a thread sleeps at most before it looks whether it shall stop.
const STEP: Duration = Duration::from_millis(50);

/// How much later than others a packet comes that is held back.
const HELD: Duration = Duration::from_millis(25);

/// What happens on the way, and how often it has happened. Both directions are alike.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Microseconds in each direction.
    pub(super) delay: AtomicU64,
    /// Of ten thousand packets so many are lost.
    pub(super) loses: AtomicU64,
    /// Of ten thousand packets so many are held back.
    pub(super) holds: AtomicU64,
    /// Packets with more bytes than this are lost without a word; 0 for no limit.
    pub(super) longest: AtomicUsize,
    /// SYNs to this port of IPv4 are swallowed; 0 for none.
    pub(super) swallows: AtomicU16,
    pub(super) lost: AtomicU64,
    pub(super) held: AtomicU64,
    pub(super) too_long: AtomicU64,
    pub(super) swallowed: AtomicU64,
}

/// A way with two ends; it ends on drop.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) rules: Arc<Rules>,
    over: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<()>>,
}

impl Way {
    /// Joins two namespaces by devices of these names, which have no addresses.
    pub(super) fn new(near: (&Namespace, &str), far: (&Namespace, &str), delay: Duration) -> Result<Self> {
        let rules = Arc::new(Rules::default());
        set(&rules.delay, u64::try_from(delay.as_micros())?);
        let over = Arc::new(AtomicBool::new(false));
        let (near, far) = (end(near)?, end(far)?);
        let ends = [(near.try_clone()?, far.try_clone()?, 1), (far, near, 2)];
        let carriers = ends.map(|(from, to, seed)| {
            let (rules, over) = (Arc::clone(&rules), Arc::clone(&over));
            thread::spawn(move || {
                if let Err(error) = carry(&from, &to, seed, &rules, &over) {
                    complain(&error);
                }
            })
        });
        Ok(Self {
            rules,
            over,
            carriers: carriers.into(),
        })
    }
}

/// Sets a number of the rules.
pub(super) fn set(number: &AtomicU64, value: u64) {
    number.store(value, Ordering::Relaxed);
}

/// Reads one.
pub(super) fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

impl Drop for Way {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            // What it had to say it has said.
            carrier.join().ok();
        }
    }
}

/// The traffic then fails; this says why.
#[expect(clippy::print_stderr, reason = "shown by the test runner if the test fails")]
fn complain(error: &anyhow::Error) {
    eprintln!("a way ended: {error:#}");
}

/// The device of one end. Its queue has room for all that is on the way.
fn end((namespace, name): (&Namespace, &str)) -> Result<File> {
    let device = namespace.run(|| tun(name))?;
    fcntl(&device, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    namespace.ip(&[
        format!("link set dev {name} addrgenmode none"),
        format!("link set dev {name} txqueuelen 50000 up"),
    ])?;
    Ok(device)
}

fn carry(mut from: &File, mut to: &File, seed: u64, rules: &Rules, over: &AtomicBool) -> Result<()> {
    let mut chance = Chance(seed);
    let mut number: u64 = 0;
    let mut waiting: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>> = BinaryHeap::new();
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        while let Some(Reverse((arrives, ..))) = waiting.peek()
            && *arrives <= moment()
        {
            if let Some(Reverse((.., packet))) = waiting.pop() {
                to.write_all(&packet).context("hand a packet over")?;
            }
        }
        let left = waiting.peek().map_or(STEP, |Reverse((arrives, ..))| {
            arrives.saturating_duration_since(moment()).min(STEP)
        });
        let mut polled = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut polled, Some(TimeSpec::from_duration(left)), None) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            other => other.context("wait for a packet")?,
        };
        let length = match from.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error).context("read a packet"),
        };
        let packet = buffer[..length].to_vec();
        if let Some(later) = fate(&packet, rules, &mut chance) {
            number += 1;
            let delay = Duration::from_micros(get(&rules.delay)) + later;
            waiting.push(Reverse((moment() + delay, number, packet)));
        }
    }
    Ok(())
}

/// How much later than others a packet comes; none if it never comes.
fn fate(packet: &[u8], rules: &Rules, chance: &mut Chance) -> Option<Duration> {
    let count = |counter: &AtomicU64| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let longest = rules.longest.load(Ordering::Relaxed);
    if longest > 0 && packet.len() > longest {
        count(&rules.too_long);
        return None;
    }
    let swallows = rules.swallows.load(Ordering::Relaxed);
    if swallows > 0 && is_syn_to(packet, swallows) {
        count(&rules.swallowed);
        return None;
    }
    if chance.of_ten_thousand() < get(&rules.loses) {
        count(&rules.lost);
        return None;
    }
    if chance.of_ten_thousand() < get(&rules.holds) {
        count(&rules.held);
        return Some(HELD);
    }
    Some(Duration::ZERO)
}

/// Whether a packet is a TCP segment over IPv4 that opens a connection to a port.
fn is_syn_to(packet: &[u8], port: u16) -> bool {
    /// SYN and ACK.
    const FLAGS: u8 = 0x12;
    const SYN: u8 = 0x02;
    packet.len() >= 40
        && packet[0] == 0x45
        && packet[9] == 6
        && packet[22..24] == port.to_be_bytes()
        && packet[33] & FLAGS == SYN
}

/// The same numbers in each run (xorshift).
struct Chance(u64);

impl Chance {
    fn of_ten_thousand(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % 10_000
    }
}
