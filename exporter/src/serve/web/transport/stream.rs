//! What connections come from and go over: addresses and unix sockets, as one. It must never know who asks for what.
//! From `listen`; to the server and the socket of a connection.

use crate::serve::listen::{Listener, SocketFile};
use std::{
    fmt::{self, Display},
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll},
};
use tokio::{
    io::{Interest, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same for both kinds.
macro_rules! each {
    ($stream:expr, $one:ident => $what:expr) => {
        match $stream {
            Stream::Tcp($one) => $what,
            Stream::Unix($one) => $what,
        }
    };
}

impl Stream {
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read_ready(context))
    }

    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_write_ready(context))
    }

    pub(super) fn try_read_buf(&self, into: &mut ReadBuf<'_>) -> io::Result<usize> {
        each!(self, stream => stream.try_read_buf(into))
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.try_write(bytes))
    }

    pub(super) fn try_write_vectored(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.try_write_vectored(bytes))
    }

    /// Tries something that needs bytes, until there are some or it is over.
    pub(super) async fn when_readable<R>(&self, mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        each!(self, stream => stream.async_io(Interest::READABLE, &mut attempt).await)
    }

    /// Whether there is another end.
    pub(super) fn is_connected(&self) -> bool {
        each!(self, stream => stream.peer_addr().is_ok())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, stream => stream.as_fd())
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Address(SocketAddr),
    /// Whoever may open the socket.
    UnixSocket,
}

impl Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::UnixSocket => formatter.write_str("a unix socket"),
        }
    }
}

/// Where a connection came in: whether only this host reaches that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// An address that others reach.
    Open,
    /// A loopback address, which a browser on this host reaches for a page of somebody else's too.
    Loopback,
    /// A unix socket, which no browser opens.
    UnixSocket,
}

impl Entrance {
    /// Whether only this host reaches it.
    pub(crate) const fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::UnixSocket)
    }
}

/// All that connections come from.
#[derive(Debug)]
pub struct Listeners {
    all: Vec<(Source, Entrance)>,
    /// Which is asked first: they take turns.
    next: usize,
    /// They go when nobody listens any more.
    _files: Vec<SocketFile>,
}

#[derive(Debug)]
enum Source {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listeners {
    /// Of sockets that listen.
    ///
    /// # Errors
    /// When one cannot be waited for.
    pub fn new(listeners: Vec<Listener>) -> io::Result<Self> {
        let (mut all, mut files) = (Vec::new(), Vec::new());
        for listener in listeners {
            listener.set_nonblocking()?;
            let is_local = listener.is_local();
            all.push(match listener {
                Listener::Tcp(listener) => {
                    let entrance = if is_local { Entrance::Loopback } else { Entrance::Open };
                    (Source::Tcp(TcpListener::from_std(listener)?), entrance)
                }
                Listener::Unix(listener, file) => {
                    files.extend(file);
                    (Source::Unix(UnixListener::from_std(listener)?), Entrance::UnixSocket)
                }
            });
        }
        Ok(Self {
            all,
            next: 0,
            _files: files,
        })
    }

    /// The descriptors of those of addresses.
    pub(crate) fn of_addresses(&self) -> impl Iterator<Item = &TcpListener> {
        self.all.iter().filter_map(|(source, _)| match source {
            Source::Tcp(listener) => Some(listener),
            Source::Unix(_) => None,
        })
    }

    /// The next connection of any.
    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Origin, Entrance)> {
        poll_fn(|context| {
            for _ in 0..self.all.len() {
                self.next = (self.next + 1) % self.all.len();
                let Some((source, entrance)) = self.all.get(self.next) else {
                    break;
                };
                let accepted = match source {
                    Source::Tcp(listener) => listener
                        .poll_accept(context)
                        .map_ok(|(stream, peer)| (Stream::Tcp(stream), Origin::Address(peer))),
                    Source::Unix(listener) => listener
                        .poll_accept(context)
                        .map_ok(|(stream, _)| (Stream::Unix(stream), Origin::UnixSocket)),
                };
                if let Poll::Ready(accepted) = accepted {
                    return Poll::Ready(accepted.map(|(stream, origin)| (stream, origin, *entrance)));
                }
            }
            Poll::Pending
        })
        .await
    }
}
