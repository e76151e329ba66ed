//! The socket of a connection. It must never leave to the kernel what a client that was cut off has not taken: that would stay
//! for as long as the client likes.
//! From the listener; TLS and HTTP read and write it, and whoever has accepted it sees to its end.

use nix::sys::socket::{MsgFlags, Shutdown, recv, setsockopt, shutdown, sockopt::Linger};
use std::{
    io::{self, IoSlice},
    os::fd::{AsFd as _, AsRawFd as _},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};
use tcpvitals_kernel::sys::socket::unacknowledged;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::sleep,
};

use super::connections::{Ending, Unread};

/// A socket that is reset when nobody holds it any more, if its connection was cut off or does not take what is sent.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    ending: Arc<Ending>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, ending: Arc<Ending>) -> Arc<Self> {
        let socket = Arc::new(Self { stream, ending });
        let weak: Weak<Self> = Arc::downgrade(&socket);
        socket.ending.belongs_to(weak);
        socket
    }

    /// Until there is something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    /// Nothing more is sent.
    fn end(&self) {
        // Whoever has gone is told nothing.
        let _gone = shutdown(self.stream.as_raw_fd(), Shutdown::Write);
    }

    /// Ends the connection and waits until the client has acknowledged all of it, or is gone.
    pub(crate) async fn deliver(&self) {
        const SHORTEST: Duration = Duration::from_millis(2);
        const LONGEST: Duration = Duration::from_millis(500);
        self.end();
        let mut pause = SHORTEST;
        // Nobody is told when the kernel has nothing left. A connection that is no more has no other end.
        while self.stream.peer_addr().is_ok() && unacknowledged(self.stream.as_fd()).is_ok_and(|bytes| bytes > 0) {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

impl Unread for Socket {
    fn has_unread(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.stream.as_raw_fd(), &mut [0], flags).is_ok_and(|bytes| bytes > 0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        const AT_ONCE: libc::linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        if self.ending.is_reset()
            && let Err(error) = setsockopt(&self.stream, Linger, &AT_ONCE)
        {
            tracing::debug!(%error, "a connection cannot be reset");
        }
    }
}

/// What reads and writes a socket.
#[derive(Debug)]
pub(crate) struct Wire(pub(crate) Arc<Socket>);

impl Wire {
    /// Writes once there is room. Meanwhile the client leaves bytes that the kernel has no more room for.
    fn poll(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let Socket { stream, ending } = &*self.0;
        loop {
            let room = stream.poll_write_ready(context);
            ending.stall(room.is_pending());
            ready!(room)?;
            match write(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.0.stream;
        loop {
            ready!(stream.poll_read_ready(context))?;
            match stream.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, |stream| stream.try_write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end();
        Poll::Ready(Ok(()))
    }
}
