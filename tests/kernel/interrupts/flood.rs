//! Datagrams to ports where they are dropped, on their way out and on their way in at once.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use tests::machine::wait::{Deadline, timed};
use tests::net::pair::Pair;
use tests::net::subnet::Family;

/// How long it lasts at most, if the kernel skips too little.
const LONGEST: Duration = Duration::from_secs(60);

/// A port, and how long a task rests after each datagram to it.
pub(super) type Paced = (u16, Duration);

/// Sends from two tasks to each port for `least`, and on until `is_provoked`, which is asked every `pause`. Gives how long it took.
pub(super) fn flood(
    pair: &Pair,
    ports: [Paced; 2],
    least: Duration,
    pause: Duration,
    mut is_provoked: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let (least, most, is_over) = (Deadline::after(least), Deadline::after(LONGEST), AtomicBool::new(false));
    let (took, sent) = timed(|| {
        thread::scope(|scope| {
            let is_over = &is_over;
            let senders: Vec<_> = [ports, ports]
                .concat()
                .into_iter()
                .map(|paced| scope.spawn(move || send_until(pair, paced, is_over)))
                .collect();
            let watched = loop {
                match is_provoked() {
                    Ok(is_provoked) if !least.passed() || !most.passed() && !is_provoked => thread::sleep(pause),
                    other => break other,
                }
            };
            is_over.store(true, Ordering::Relaxed);
            for sender in senders {
                sender.join().unwrap_or_else(|_| bail!("a sender panicked"))?;
            }
            watched
        })
    });
    sent?;
    Ok(took)
}

/// Sends datagrams of no content until it is over. A filter of the own host says so at once.
fn send_until(pair: &Pair, (port, rest): Paced, is_over: &AtomicBool) -> Result<()> {
    pair.client.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let to = pair.to(Family::V4, port)?;
        while !is_over.load(Ordering::Relaxed) {
            for _ in 0..64 {
                socket.send_to(&[], to).ok();
                thread::sleep(rest);
            }
        }
        Ok(())
    })
}
