//! The socket of a connection. It must never leave to the kernel what a client that was cut off has not taken: that would stay
//! for as long as the client likes.
//! From the listener; TLS and HTTP read and write it, and whoever has accepted it sees to its end.

use nix::sys::socket::{MsgFlags, Shutdown, recv, setsockopt, shutdown, sockopt::Linger};
use std::{
    io::{self, IoSlice},
    os::fd::{AsFd as _, AsRawFd as _},
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};
use tcpvitals_kernel::sys::socket::unacknowledged;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
    time::sleep,
};

use super::{
    ending::{Ending, Unread},
    stream::Stream,
};

/// Takes nothing, and does not wait.
const LOOK: MsgFlags = MsgFlags::MSG_PEEK.union(MsgFlags::MSG_DONTWAIT);

/// A socket that is reset when nobody holds it any more, if its connection was cut off or does not take what is sent.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    ending: Arc<Ending>,
}

impl Socket {
    pub(crate) fn new(stream: Stream, ending: Arc<Ending>) -> Arc<Self> {
        let socket = Arc::new(Self { stream, ending });
        let weak: Weak<Self> = Arc::downgrade(&socket);
        socket.ending.belongs_to(weak);
        socket
    }

    /// Until the first byte comes, if one does before the client ends the connection.
    pub(crate) async fn first_byte(&self) -> bool {
        let look = || Ok::<_, io::Error>(recv(self.stream.as_fd().as_raw_fd(), &mut [0], LOOK)?);
        self.stream.when_readable(look).await.is_ok_and(|bytes| bytes > 0)
    }

    /// Nothing more is sent.
    fn end(&self) {
        // Whoever has gone is told nothing.
        let _gone = shutdown(self.stream.as_fd().as_raw_fd(), Shutdown::Write);
    }

    /// Ends the connection and waits until the client has acknowledged all of it, or is gone.
    pub(crate) async fn deliver(&self) {
        const SHORTEST: Duration = Duration::from_millis(2);
        const LONGEST: Duration = Duration::from_millis(500);
        self.end();
        let mut pause = SHORTEST;
        // Nobody is told when the kernel has nothing left. A connection that is no more has no other end.
        while self.stream.is_connected() && unacknowledged(self.stream.as_fd()).is_ok_and(|bytes| bytes > 0) {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

impl Unread for Socket {
    fn has_unread(&self) -> bool {
        recv(self.stream.as_fd().as_raw_fd(), &mut [0], LOOK).is_ok_and(|bytes| bytes > 0)
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

/// Most bytes that are read without a pause, in which all others have their turn: more than a request has, and less than a client
/// of HTTP/2 sends in frames that cost it nothing.
const AT_ONCE: usize = 32 << 10;

/// What reads and writes a socket.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Arc<Socket>,
    /// How many bytes have been read since there was nothing to read, or a pause.
    read: usize,
    /// How many bytes may still be read.
    allowed: usize,
}

impl Wire {
    pub(crate) const fn new(socket: Arc<Socket>) -> Self {
        Self {
            socket,
            read: 0,
            allowed: usize::MAX,
        }
    }

    /// Allows the client so many bytes from now on; what comes beyond is an error.
    pub(crate) const fn allow(&mut self, bytes: usize) {
        self.allowed = bytes;
    }

    /// Writes once there is room. Meanwhile the client leaves bytes that the kernel has no more room for.
    fn poll(&self, context: &mut Context<'_>, write: impl Fn(&Stream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        let Socket { stream, ending } = &*self.socket;
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
        let Self { socket, read, allowed } = self.get_mut();
        if *allowed == 0 {
            return Poll::Ready(Err(io::Error::other("the client sends too much")));
        }
        if *read >= AT_ONCE {
            *read = 0;
            // It wakes this task once the others have been seen to, whether it is asked again or not.
            return pin!(yield_now()).poll(context).map(Ok);
        }
        loop {
            let Poll::Ready(ready) = socket.stream.poll_read_ready(context) else {
                *read = 0;
                return Poll::Pending;
            };
            ready?;
            match socket.stream.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(bytes) => {
                    *read += bytes;
                    *allowed = allowed.saturating_sub(bytes);
                    return Poll::Ready(Ok(()));
                }
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
        self.socket.end();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, io::Write as _, net::Ipv4Addr, thread};
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    #[tokio::test]
    async fn who_connects_and_goes_has_said_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        for (words, speaks) in [(&b""[..], false), (b"G", true)] {
            let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let socket = Socket::new(Stream::Tcp(listener.accept().await.unwrap().0), Arc::default());
            client.write_all(words).unwrap();
            drop(client);
            assert_eq!(socket.first_byte().await, speaks);
            assert_eq!(socket.has_unread(), speaks);
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_is_allowed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(Socket::new(Stream::Tcp(stream), Arc::default()));
        client.write_all(b"hello and more").unwrap();
        let mut buffer = [0; 5];
        wire.allow(5);
        wire.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
        assert!(wire.read(&mut buffer).await.is_err());
        wire.allow(usize::MAX);
        wire.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b" and ");
    }

    #[tokio::test]
    async fn who_sends_without_a_pause_lets_others_have_their_turn() {
        const ALL: usize = 3 * AT_ONCE;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(to).unwrap();
            stream.write_all(&[1; ALL]).unwrap();
            stream
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(Socket::new(Stream::Tcp(stream), Arc::default()));
        // Let more come than is read at once.
        sleep(Duration::from_millis(200)).await;
        let (mut read, mut pauses) = (0, 0);
        poll_fn(|context| {
            while read < ALL {
                let mut buffer = [0; 8 << 10];
                let mut into = ReadBuf::new(&mut buffer);
                match Pin::new(&mut wire).poll_read(context, &mut into) {
                    Poll::Ready(result) => result.unwrap(),
                    Poll::Pending => {
                        pauses += usize::from(wire.socket.has_unread());
                        return Poll::Pending;
                    }
                }
                read += into.filled().len();
            }
            Poll::Ready(())
        })
        .await;
        assert!(pauses > 0, "all was read at once");
        assert!(!wire.socket.has_unread());
        client.join().unwrap();
    }
}
