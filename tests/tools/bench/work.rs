//! Workloads: what one thread does over and over, with both ends of every connection in its hands. Loopback delivers in the
//! sender's context, so that the thread's time holds the whole way of a segment.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::kernel::tcp_info::TcpInfo;
use tests::machine::settings::patience;

/// Both ends of a connection.
#[derive(Debug)]
pub(crate) struct Ends {
    /// Who opened it.
    pub(crate) client: TcpStream,
    /// Who accepted it.
    pub(crate) server: TcpStream,
}

impl Ends {
    /// Opens one over loopback. Who waits too long fails.
    pub(crate) fn open(to: IpAddr) -> Result<Self> {
        let listener = TcpListener::bind((to, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        for end in [&client, &server] {
            end.set_nodelay(true)?;
            end.set_read_timeout(Some(patience()))?;
            end.set_write_timeout(Some(patience()))?;
        }
        Ok(Self { client, server })
    }

    /// A request and a response of one byte each.
    pub(crate) fn round_trip(&mut self) -> Result<()> {
        let mut byte = [1];
        self.client.write_all(&byte)?;
        self.server.read_exact(&mut byte)?;
        self.server.write_all(&byte)?;
        self.client.read_exact(&mut byte)?;
        Ok(())
    }

    /// Sends bytes from client to server, as much at a time as the buffer has.
    pub(crate) fn carry(&mut self, bytes: usize, buffer: &mut [u8]) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let length = left.min(buffer.len());
            self.client.write_all(&buffer[..length])?;
            self.server.read_exact(&mut buffer[..length])?;
            left -= length;
        }
        Ok(())
    }

    /// Keeps bytes on their way until the client has sent a segment again: what follows a lost segment tells of the loss, and no
    /// timer has to. Both ends must be non-blocking. Gives how many segments were sent again, and how many bytes arrived.
    pub(crate) fn until_retransmit(&mut self, buffer: &mut [u8]) -> Result<(u32, usize)> {
        const STEPS: usize = 16;
        let (before, mut arrived, mut idle) = (self.retransmits()?, 0, Duration::ZERO);
        loop {
            for _ in 0..STEPS {
                let sent = would_block(self.client.write(buffer))?;
                let received = would_block(self.server.read(buffer))?;
                arrived += received;
                if sent + received == 0 {
                    // Only a timer gets on now. The wait is no processor time.
                    sleep(PAUSE);
                    idle += PAUSE;
                }
            }
            let sent_again = self.retransmits()?.wrapping_sub(before);
            if sent_again > 0 {
                return Ok((sent_again, arrived));
            }
            ensure!(idle < patience(), "a connection stands still");
        }
    }

    /// Segments that both ends have received: `segs_in`.
    pub(crate) fn segments(&self) -> Result<u32> {
        let (client, server) = (TcpInfo::of(&self.client)?, TcpInfo::of(&self.server)?);
        Ok(client.segs_in.wrapping_add(server.segs_in))
    }

    /// Segments that the client has sent again: `total_retrans`.
    pub(crate) fn retransmits(&self) -> Result<u32> {
        Ok(TcpInfo::of(&self.client)?.total_retrans)
    }
}

const PAUSE: Duration = Duration::from_micros(200);

/// Nothing was done where it would have to wait.
fn would_block(result: std::io::Result<usize>) -> Result<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        other => Ok(other?),
    }
}

/// How connections end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both ends close, the client first.
    Fin,
    /// The client resets.
    Rst,
}

/// Opens and closes connections.
#[derive(Debug)]
pub(crate) struct Churn {
    listener: Socket,
    to: socket2::SockAddr,
    domain: Domain,
    end: End,
}

impl Churn {
    /// Listens on an address of loopback.
    pub(crate) fn new(to: IpAddr, end: End) -> Result<Self> {
        let to = SocketAddr::new(to, 0);
        let domain = Domain::for_address(to);
        let listener = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        listener.bind(&to.into())?;
        listener.listen(64)?;
        let to = listener.local_addr()?;
        Ok(Self {
            listener,
            to,
            domain,
            end,
        })
    }

    /// One connection, from its first segment to its last.
    pub(crate) fn connection(&self) -> Result<()> {
        let client = Socket::new(self.domain, Type::STREAM, Some(Protocol::TCP))?;
        client.connect(&self.to)?;
        let (server, _) = self.listener.accept()?;
        if self.end == End::Rst {
            client.set_linger(Some(Duration::ZERO))?;
        }
        drop(client);
        drop(server);
        Ok(())
    }
}
