//! Datagrams in bursts, most of which the receiving host drops: nobody is there, a filter is in the way, the buffer is full. Of
//! others the sending host's filter drops each: a task is within the program then, and interrupts of the former land there.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::Result;
use tests::net::pair::Pair;
use tests::net::subnet::Family;
use tests::net::traffic::{send_datagrams, small_udp_receiver};

use super::{Stop, join};
use crate::stage::{FAMILIES, FILTERED, NARROW, NOBODY, OWN};

/// Between two bursts.
const PAUSE: Duration = Duration::from_millis(30);
/// The same where nothing has to be received.
const SHORT_PAUSE: Duration = Duration::from_millis(1);

/// Datagrams of a burst: how many, and how long.
const BURST: (u32, usize) = (150, 200);
/// Of these the buffer takes a few.
const WIDE: (u32, usize) = (30, 1000);

/// Datagrams by where they were sent, and those that were received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) nobody: u64,
    pub(crate) filtered: u64,
    /// By the sender's own filter.
    pub(crate) own: u64,
    pub(crate) narrow: u64,
    pub(crate) received: u64,
}

pub(super) fn run(pair: &Pair, stop: &Stop) -> Result<Sent> {
    thread::scope(|scope| {
        let own = stop.spawn(scope, || run_own(pair, stop));
        let mut sent = run_received(pair, stop)?;
        sent.own = join(own)?;
        Ok(sent)
    })
}

/// How many datagrams the sender's filter dropped: each send says so.
fn run_own(pair: &Pair, stop: &Stop) -> Result<u64> {
    let to = pair.to(Family::V4, OWN)?;
    pair.client.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let mut refused = 0;
        while !stop.is_now() {
            for _ in 0..BURST.0 {
                refused += u64::from(socket.send_to(&[0; BURST.1], to).is_err());
            }
            sleep(SHORT_PAUSE);
        }
        Ok(refused)
    })
}

fn run_received(pair: &Pair, stop: &Stop) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut receivers = Vec::new();
    for family in FAMILIES {
        let receiver = small_udp_receiver(&pair.server, pair.to(family, NARROW)?)?;
        receiver.set_nonblocking(true)?;
        receivers.push(receiver);
    }
    while !stop.is_now() {
        for (family, receiver) in FAMILIES.into_iter().zip(&receivers) {
            for (port, (count, size), sum) in [
                (NOBODY, BURST, &mut sent.nobody),
                (FILTERED, BURST, &mut sent.filtered),
                (NARROW, WIDE, &mut sent.narrow),
            ] {
                send_datagrams(&pair.client, pair.to(family, port)?, count, size)?;
                *sum += u64::from(count);
            }
            sent.received += drain(receiver)?;
        }
        sleep(PAUSE);
    }
    // What a busy machine delivers late.
    sleep(Duration::from_millis(200));
    for receiver in &receivers {
        sent.received += drain(receiver)?;
    }
    Ok(sent)
}

fn drain(receiver: &UdpSocket) -> Result<u64> {
    let mut received = 0;
    loop {
        match receiver.recv(&mut [0; 2000]) {
            Ok(_) => received += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(received),
            Err(error) => return Err(error.into()),
        }
    }
}
