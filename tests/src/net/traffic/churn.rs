//! Short connections, many and fast.

use std::io::Read as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use socket2::SockRef;

use super::{expect_end, limit, listen, receive, send, uninterrupted};
use crate::net::pair::Pair;

/// How a short connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a FIN from both sides, the client's first. Leaves a port in TIME-WAIT.
    Orderly,
    /// With a reset from the client. Leaves nothing.
    Reset,
}

/// Opens and closes connections one after another on each of `threads` threads, as long as `more` says so for the number
/// of those begun. Gives how many were made; all of them are over when it returns.
///
/// A client uses each pair of source and destination port once per minute at most when it ends orderly, so `targets`
/// times the ports of the namespace (35 000) must be enough.
pub fn churn(
    pair: &Pair,
    targets: &[SocketAddr],
    threads: usize,
    ending: Ending,
    more: impl Fn(u64) -> bool + Sync,
) -> Result<u64> {
    let listeners: Vec<TcpListener> = targets
        .iter()
        .map(|&target| listen(&pair.server, target))
        .collect::<Result<_>>()?;
    let begun = AtomicU64::new(0);
    thread::scope(|scope| {
        let servers: Vec<_> = listeners
            .iter()
            .map(|listener| scope.spawn(|| serve_until_shut(listener, ending)))
            .collect();
        let clients: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| pair.client.run(|| open_and_close(targets, ending, &begun, &more))))
            .collect();
        let mut made = Ok(0);
        for client in clients {
            let part = client.join().unwrap_or_else(|_| bail!("a client thread panicked"));
            made = made.and_then(|made| Ok(made + part?));
        }
        // A shutdown is the only thing that wakes a thread in accept().
        for listener in &listeners {
            SockRef::from(listener).shutdown(Shutdown::Both)?;
        }
        for server in servers {
            server.join().unwrap_or_else(|_| bail!("a server thread panicked"))?;
        }
        made
    })
}

fn open_and_close(
    targets: &[SocketAddr],
    ending: Ending,
    begun: &AtomicU64,
    more: &impl Fn(u64) -> bool,
) -> Result<u64> {
    let mut made = 0;
    loop {
        let number = begun.fetch_add(1, Ordering::Relaxed);
        if !more(number) {
            return Ok(made);
        }
        let target = targets[usize::try_from(number)? % targets.len()];
        let stream =
            TcpStream::connect(target).with_context(|| format!("connect to {target} for the {number}th time"))?;
        stream.set_read_timeout(limit())?;
        match ending {
            Ending::Orderly => {
                stream.shutdown(Shutdown::Write)?;
                expect_end(&stream)?;
            }
            Ending::Reset => {
                receive(&stream, 1)?;
                SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            }
        }
        made += 1;
    }
}

fn serve_until_shut(listener: &TcpListener, ending: Ending) -> Result<()> {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_read_timeout(limit())?;
        match ending {
            Ending::Orderly => expect_end(&stream)?,
            Ending::Reset => {
                send(&stream, 1)?;
                // The client's reset is the only thing that ends this read.
                uninterrupted(|| (&stream).read(&mut [0; 1])).err();
            }
        }
    }
    Ok(())
}
