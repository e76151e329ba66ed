//! A way between two namespaces through this program: it takes its time, and may lose packets without the kernel seeing it, as the
//! network does. Two TUN devices, and a thread for each direction and end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::machine::wait::Deadline;
use crate::net::namespace::Namespace;
use crate::net::pair::{DEVICE, Pair};
use crate::net::socket::tun;
use crate::net::subnet::{CLIENT, Family, SERVER, Subnet};

/// Packets of this size and more may be lost: those with data.
const LARGE: usize = 300;

/// How long a way stands still now and then: longer than the shortest retransmission timeout of Linux.
const STALL: Duration = Duration::from_millis(500);

/// A way with two ends.
#[derive(Debug)]
pub struct Way {
    /// Its two ends.
    pub pair: Pair,
    state: Arc<State>,
}

/// What both ends of a way know.
#[derive(Debug, Default)]
struct State {
    /// Of so many large packets from the client to the server one is lost; 0 for none.
    loses_one_in: AtomicU32,
    /// Of so many large packets from the client to the server one takes [`STALL`] longer, and all behind it wait; 0 for none.
    stalls_one_in: AtomicU32,
    /// Microseconds that a packet takes to the other end.
    delay: AtomicU64,
    is_over: AtomicBool,
}

impl Way {
    /// Joins two new namespaces; a packet takes `delay` to the other end.
    pub fn new(delay: Duration) -> Result<Self> {
        let (client, server, subnet) = (Namespace::new()?, Namespace::new()?, Subnet::take()?);
        let state = Arc::new(State::default());
        state.take_time(delay)?;
        let ends = [(&client, CLIENT), (&server, SERVER)].map(|(namespace, host)| end(namespace, subnet, host));
        let [of_client, of_server] = ends;
        let (of_client, of_server) = (of_client?, of_server?);
        carry(of_client.try_clone()?, of_server.try_clone()?, Arc::clone(&state), true);
        carry(of_server, of_client, Arc::clone(&state), false);
        Ok(Self {
            pair: Pair {
                client,
                server,
                subnets: vec![subnet],
            },
            state,
        })
    }

    /// Of so many packets with data one is lost on its way to the server; 0 for none.
    pub fn lose_one_in(&self, packets: u32) {
        self.state.loses_one_in.store(packets, Ordering::Relaxed);
    }

    /// At one of so many packets with data, on their way to the server, it stands still for half a second; 0 for none.
    pub fn stall_one_in(&self, packets: u32) {
        self.state.stalls_one_in.store(packets, Ordering::Relaxed);
    }

    /// From now on a packet takes so long to the other end.
    pub fn take_time(&self, delay: Duration) -> Result<()> {
        self.state.take_time(delay)
    }
}

impl State {
    fn take_time(&self, delay: Duration) -> Result<()> {
        self.delay.store(u64::try_from(delay.as_micros())?, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
    }
}

/// The device of one end, with its addresses.
fn end(namespace: &Namespace, subnet: Subnet, host: u8) -> Result<File> {
    let device = namespace.run(|| tun(DEVICE))?;
    namespace.ip(&[
        format!("link set dev {DEVICE} addrgenmode none"),
        format!("link set dev {DEVICE} up"),
        format!("address add {}/24 dev {DEVICE}", subnet.address(Family::V4, host)),
        format!("address add {}/64 dev {DEVICE} nodad", subnet.address(Family::V6, host)),
    ])?;
    Ok(device)
}

/// Carries what comes out of one device into the other until it is over.
fn carry(from: File, to: File, state: Arc<State>, may_fail: bool) {
    let (send, receive) = channel();
    let reading = Arc::clone(&state);
    thread::spawn(move || {
        if let Err(error) = take(&from, &send, &reading, may_fail) {
            say(&error);
        }
    });
    thread::spawn(move || give(&to, &receive));
}

/// The test runner shows this if the test fails.
#[expect(clippy::print_stderr, reason = "there is nobody else to tell")]
fn say(error: &anyhow::Error) {
    eprintln!("a way ended: {error:#}");
}

/// A packet, and when it arrives.
type Packet = (Deadline, Vec<u8>);

fn take(mut from: &File, send: &Sender<Packet>, state: &State, may_fail: bool) -> Result<()> {
    let mut buffer = [0; 1 << 16];
    let mut large: u32 = 0;
    while !state.is_over.load(Ordering::Relaxed) {
        let mut polled = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::from(200_u8)).context("wait for a packet")?;
        if !polled[0].any().unwrap_or_default() {
            continue;
        }
        let length = from.read(&mut buffer).context("read a packet")?;
        let mut delay = Duration::from_micros(state.delay.load(Ordering::Relaxed));
        if may_fail && length >= LARGE {
            large += 1;
            let hits = |one_in: &AtomicU32| {
                let one_in = one_in.load(Ordering::Relaxed);
                one_in > 0 && large.is_multiple_of(one_in)
            };
            if hits(&state.loses_one_in) {
                continue;
            }
            if hits(&state.stalls_one_in) {
                delay += STALL;
            }
        }
        if send.send((Deadline::after(delay), buffer[..length].to_vec())).is_err() {
            break;
        }
    }
    Ok(())
}

fn give(mut to: &File, receive: &Receiver<Packet>) {
    while let Ok((arrives, packet)) = receive.recv() {
        sleep(arrives.left());
        // The other end may be gone by now, and a device that is full loses it.
        let _lost = to.write(&packet).is_err();
    }
}
