//! A link between two namespaces that loses packets in user space: no kernel on this host drops what is lost there.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use anyhow::Result;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::net::namespace::Namespace;
use crate::net::socket::tun;

/// The device at either end.
pub const DEVICE: &str = "link0";

/// What is shorter carries no data: it is never lost.
const DATA: usize = 200;

/// How long the thread sleeps at most before it looks whether it shall stop, in milliseconds.
const STEP: u8 = 50;

/// Two TUN devices, and a thread that carries packets between them; ends on drop.
#[derive(Debug)]
pub struct Link {
    stop: Arc<AtomicBool>,
    carrier: Option<JoinHandle<Result<()>>>,
}

impl Link {
    /// Joins two namespaces. Of the packets with data that the first one sends, one in so many is lost. The devices have no addresses.
    pub fn new(from: &Namespace, to: &Namespace, lost_one_in: u64) -> Result<Self> {
        let (near, far) = (end(from)?, end(to)?);
        let stop = Arc::new(AtomicBool::new(false));
        let carrier = {
            let stop = Arc::clone(&stop);
            spawn(move || carry(&near, &far, lost_one_in, &stop))
        };
        Ok(Self {
            stop,
            carrier: Some(carrier),
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // What ended the thread early has made the test fail by now: nothing arrives any more.
        if let Some(carrier) = self.carrier.take() {
            carrier.join().ok();
        }
    }
}

/// Makes the device of one end. Its queue has room for all that a test has on the way, so that it drops nothing itself.
fn end(namespace: &Namespace) -> Result<File> {
    let device = namespace.run(|| tun(DEVICE))?;
    fcntl(&device, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    namespace.set(&format!("net.ipv6.conf.{DEVICE}.disable_ipv6=1"))?;
    namespace.ip(&[format!("link set dev {DEVICE} txqueuelen 100000 up")])?;
    Ok(device)
}

fn carry(near: &File, far: &File, lost_one_in: u64, stop: &AtomicBool) -> Result<()> {
    let mut seen = 0;
    let mut packet = [0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let mut ends = [near, far].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
        poll(&mut ends, PollTimeout::from(STEP))?;
        for (from, to, is_lossy) in [(near, far, true), (far, near, false)] {
            while let Some(length) = next(from, &mut packet)? {
                if is_lossy && length > DATA {
                    seen += 1;
                    if seen % lost_one_in == 0 {
                        continue;
                    }
                }
                let mut to = to;
                to.write_all(&packet[..length])?;
            }
        }
    }
    Ok(())
}

/// The length of the next packet; `None` if there is none.
fn next(mut from: &File, packet: &mut [u8]) -> Result<Option<usize>> {
    match from.read(packet) {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}
