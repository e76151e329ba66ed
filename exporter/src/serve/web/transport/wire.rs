//! The socket of a connection. It must never leave to the kernel what a client that was cut off has not taken: that would stay
//! for as long as the client likes.
//! From the listener; TLS and HTTP read and write it.

use nix::sys::socket::{setsockopt, sockopt::Linger};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::connections::Ending;

/// A socket that is reset when it is dropped, if its connection was cut off or does not take what is sent.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    ending: Arc<Ending>,
}

impl Wire {
    pub(crate) const fn new(stream: TcpStream, ending: Arc<Ending>) -> Self {
        Self { stream, ending }
    }

    /// Until there is something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }
}

impl Drop for Wire {
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

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.ending.stall(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.ending.stall(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
