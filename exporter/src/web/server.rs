//! The server: takes connections, speaks TLS with them where it is configured, and hands their requests to the router.
//! It must never let one connection hold up another: not by a slow handshake, a slow header, or an answer nobody takes.
//! Connections come from the listener; requests go through the guard to the routes of `http`.

use axum::{Router, middleware};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt::TcpUserTimeout};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Web, guard::guard};

/// Most connections at a time; more wait in the kernel's queue. Well below the usual limit of open files, 1024.
const MOST_CONNECTIONS: usize = 512;

/// Longest handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Longest wait for a request's header, and so also for the next request. Scrapes every 15 s share a connection, those
/// every 30 s do not just miss it.
const HEADER: Duration = Duration::from_secs(20);

/// Longest time that the kernel keeps trying to deliver what a client does not take.
const DELIVERY: Duration = Duration::from_secs(30);

/// Most bytes of a request's header, and of an answer that waits to be sent in addition to the one being sent.
const BUFFER: usize = 64 << 10;

/// Most requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 16;

/// Longest time to finish what is under way when told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop`; then no connection is taken any more, and those with a request under way have a grace of seconds.
pub async fn serve(listener: TcpListener, router: Router, web: Arc<Web>, stop: impl Future<Output = ()>) {
    // The standard library's queue holds 128: more scrapers than that at one moment would have to knock again.
    if let Err(error) = listen(&listener, Backlog::MAXCONN) {
        tracing::debug!(%error, "the queue of connections stays short");
    }
    let router = router.layer(middleware::from_fn_with_state(Arc::clone(&web), guard));
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let server = Server {
        service: TowerToHyperService::new(router),
        connections: GracefulShutdown::new(),
    };
    // Dropped when told to stop: who has not finished the handshake has asked for nothing yet.
    let mut handshakes = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(done) = handshakes.join_next() => {
                if let Ok(Some((stream, slot))) = done {
                    server.start_tls(stream, slot);
                }
            }
            (stream, peer, slot) = accept(&listener, &slots) => match web.current().tls.clone() {
                Some(tls) => { handshakes.spawn(handshake(tls.into(), stream, peer, slot)); }
                None => server.start(stream, slot, false),
            },
        }
    }
    drop(listener);
    if timeout(GRACE, server.connections.shutdown()).await.is_err() {
        tracing::info!("requests that were still under way are cut off");
    }
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        // Nobody closes the semaphore.
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            continue;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                tune(&stream);
                return (stream, peer, slot);
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                // Most often there are too many open files: give them time to be closed.
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Answers leave at once, and the kernel gives up a client that takes none of them. Without either it works too.
fn tune(stream: &TcpStream) {
    let delivery = u32::try_from(DELIVERY.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    if let Err(error) = setsockopt(stream, TcpUserTimeout, &delivery) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT cannot be set");
    }
}

/// Whether it was the connection that failed before it was taken, not the listener.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// TLS on a connection; who does not finish in time or at all is only of interest to whoever looks for it.
async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
) -> Option<(TlsStream<TcpStream>, OwnedSemaphorePermit)> {
    match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => return Some((stream, slot)),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_elapsed) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
    None
}

struct Server {
    service: TowerToHyperService<Router>,
    connections: GracefulShutdown,
}

impl Server {
    fn start_tls(&self, stream: TlsStream<TcpStream>, slot: OwnedSemaphorePermit) {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.start(stream, slot, http2);
    }

    /// Serves one connection, in a task of its own.
    fn start<S>(&self, stream: S, slot: OwnedSemaphorePermit, http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .max_buf_size(BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HEADER)
            .keep_alive_timeout(HEADER)
            .max_concurrent_streams(STREAMS);
        let builder = if http2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        let connection = builder.serve_connection(TokioIo::new(stream), self.service.clone());
        let connection = self.connections.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(slot);
        });
    }
}
