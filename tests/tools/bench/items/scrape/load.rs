//! What a busy processor does meanwhile: segments and drops.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};
use tests::net::namespace::Namespace;

use crate::pairs::pin;

/// Where nobody listens: discard, a service that is no more.
const CLOSED: u16 = 9;

/// Does something while a processor is busy in a namespace.
pub(super) fn during<T>(namespace: &Namespace, processor: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            namespace.run(|| {
                pin(processor)?;
                toil(&over)
            })
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        busy.join().unwrap_or_else(|_| bail!("the load panicked"))?;
        done
    })
}

fn toil(over: &AtomicBool) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    while !over.load(Ordering::Relaxed) {
        client.write_all(&[1])?;
        server.read_exact(&mut [0])?;
        server.write_all(&[1])?;
        client.read_exact(&mut [0])?;
        // Not connected, it never hears that nobody listens.
        datagrams.send_to(&[1], (Ipv4Addr::LOCALHOST, CLOSED))?;
    }
    Ok(())
}
