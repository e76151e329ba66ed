//! Real TCP connections and UDP datagrams between the namespaces of a pair.

mod churn;
mod datagrams;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
pub use churn::{Ending, churn};
pub use datagrams::{send_datagrams, send_frames, send_raw, small_udp_receiver};
use socket2::{Domain, Protocol, Socket, Type};

use crate::kernel::tcp_info::{CLOSED, TcpInfo};
use crate::machine::settings::patience;
use crate::machine::wait::{until, until_stable};
use crate::net::namespace::Namespace;
use crate::net::pair::Pair;
use crate::net::subnet::Family;

/// A listener's queue is long enough for every client that the harness runs at a time.
const BACKLOG: i32 = 4096;

/// Longer than any delayed acknowledgment waits: a flow that shows nothing new for this long has nothing left to say.
const QUIET: Duration = Duration::from_millis(300);

/// Longest a blocking call of the harness may take.
fn limit() -> Option<Duration> {
    Some(patience())
}

/// Bytes that an application has at hand at a time.
const CHUNK: usize = 1 << 16;

/// The address on which a namespace's listener takes IPv4 and IPv6 clients alike.
pub fn dual_stack(port: u16) -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, port).into()
}

/// Listens in a namespace. A port whose listener was just closed may be taken for a moment: a program that another test starts holds
/// all sockets until it runs.
pub fn listen(namespace: &Namespace, address: SocketAddr) -> Result<TcpListener> {
    namespace.run(|| {
        until("the port to be free", || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            match socket.bind(&address.into()).and_then(|()| socket.listen(BACKLOG)) {
                Ok(()) => Ok(Some(socket.into())),
                Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
                Err(error) => Err(error).with_context(|| format!("listen on {address}")),
            }
        })
    })
}

/// Connects from a namespace.
pub fn connect(namespace: &Namespace, to: SocketAddr) -> Result<TcpStream> {
    namespace.run(|| {
        let stream = TcpStream::connect_timeout(&to, patience()).with_context(|| format!("connect to {to}"))?;
        prepare(stream)
    })
}

fn prepare(stream: TcpStream) -> Result<TcpStream> {
    stream.set_read_timeout(limit())?;
    stream.set_write_timeout(limit())?;
    Ok(stream)
}

/// What the kernel says of both sockets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Of the socket that opened it.
    pub client: TcpInfo,
    /// Of the socket that accepted it.
    pub server: TcpInfo,
}

impl Ends {
    /// Sums a field over both ends.
    pub fn both(&self, field: impl Fn(&TcpInfo) -> u64) -> u64 {
        field(&self.client) + field(&self.server)
    }
}

/// A connection, both of whose ends are ours.
#[derive(Debug)]
pub struct Flow {
    /// The end that opened it.
    pub client: TcpStream,
    /// The end that accepted it.
    pub server: TcpStream,
}

impl Flow {
    /// Opens one to a port of the server in the first subnet of a pair.
    pub fn open(pair: &Pair, family: Family, port: u16) -> Result<Self> {
        let address = pair.to(family, port)?;
        Self::through(&listen(&pair.server, address)?, pair, address)
    }

    /// Opens one through a listener, which must have no other client waiting.
    pub fn through(listener: &TcpListener, pair: &Pair, to: SocketAddr) -> Result<Self> {
        let client = connect(&pair.client, to)?;
        let (server, _) = listener.accept().context("accept a connection")?;
        Ok(Self {
            client,
            server: prepare(server)?,
        })
    }

    /// Sends and receives so many bytes each way, both ways at the same time.
    pub fn exchange(&self, to_server: usize, to_client: usize) -> Result<()> {
        thread::scope(|scope| {
            let work = [
                scope.spawn(|| send(&self.client, to_server)),
                scope.spawn(|| receive(&self.server, to_server)),
                scope.spawn(|| send(&self.server, to_client)),
                scope.spawn(|| receive(&self.client, to_client)),
            ];
            for half in work {
                half.join()
                    .unwrap_or_else(|_| bail!("a thread of the exchange panicked"))?;
            }
            Ok(())
        })
    }

    /// What the kernel says now.
    pub fn info(&self) -> Result<Ends> {
        Ok(Ends {
            client: TcpInfo::of(&self.client)?,
            server: TcpInfo::of(&self.server)?,
        })
    }

    /// Closes both ends in order, client first, and gives the final account: nothing is counted any more once both
    /// sockets are in the state CLOSE, and they stay readable as long as they are not dropped.
    pub fn finish(&self) -> Result<Ends> {
        self.client.shutdown(Shutdown::Write)?;
        expect_end(&self.server)?;
        self.server.shutdown(Shutdown::Write)?;
        expect_end(&self.client)?;
        until("both ends to be closed", || {
            let ends = self.info()?;
            Ok((ends.client.state == CLOSED && ends.server.state == CLOSED).then_some(ends))
        })
    }

    /// Makes the client send until nothing more fits anywhere, since nobody reads. Gives the number of bytes taken.
    pub fn fill(&self) -> Result<usize> {
        self.client.set_nonblocking(true)?;
        let mut taken = 0;
        let filled = until_stable("the send buffer to fill", QUIET, || {
            loop {
                match uninterrupted(|| (&self.client).write(&[0; CHUNK])) {
                    Ok(written) => taken += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken),
                    Err(error) => return Err(error.into()),
                }
            }
        })?;
        self.client.set_nonblocking(false)?;
        Ok(filled)
    }
}

/// Waits until none of these flows has anything in flight or anything left to say, and gives the kernel's account of each.
pub fn settle(flows: &[Flow]) -> Result<Vec<Ends>> {
    let moving = |ends: &Ends| [ends.client, ends.server].map(|end| (end.segs_out, end.segs_in, end.is_at_rest()));
    until("all data to be acknowledged", || {
        until_stable("the flows", QUIET, || {
            flows
                .iter()
                .map(|flow| Ok(moving(&flow.info()?)))
                .collect::<Result<Vec<_>>>()
        })?;
        let ends: Vec<Ends> = flows.iter().map(Flow::info).collect::<Result<_>>()?;
        let rest = ends
            .iter()
            .all(|ends| ends.client.is_at_rest() && ends.server.is_at_rest());
        Ok(rest.then_some(ends))
    })
}

/// Sends so many bytes.
pub fn send(mut stream: &TcpStream, bytes: usize) -> Result<()> {
    let chunk = [0x5a; CHUNK];
    let mut left = bytes;
    while left > 0 {
        left -= uninterrupted(|| stream.write(&chunk[..left.min(CHUNK)])).context("send")?;
    }
    Ok(())
}

/// Receives so many bytes.
pub fn receive(mut stream: &TcpStream, bytes: usize) -> Result<()> {
    let mut chunk = [0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let got = uninterrupted(|| stream.read(&mut chunk[..left.min(CHUNK)])).context("receive")?;
        if got == 0 {
            bail!("the connection ended {left} bytes early");
        }
        left -= got;
    }
    Ok(())
}

/// A socket with a time-out gives up whenever the kernel wants the thread for something else; that is no failure.
fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn expect_end(mut stream: &TcpStream) -> Result<()> {
    match uninterrupted(|| stream.read(&mut [0; 1])).context("wait for the end of the stream")? {
        0 => Ok(()),
        _ => bail!("data where the end of the stream was expected"),
    }
}
