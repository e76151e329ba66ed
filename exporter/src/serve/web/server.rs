//! The server: takes connections, speaks TLS with them where it is configured, and hands their requests to the router.
//! It must never let one connection hold up another: not by a slow handshake, a slow header, or an answer nobody takes.
//! Connections come from the listener; requests go through the guard to the routes of `http`.

pub(crate) mod current;
pub(crate) mod guard;

use axum::{Router, middleware};
use hyper::{Request, body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use nix::sys::socket::{
    Backlog, listen, setsockopt,
    sockopt::{RcvBuf, SndBuf, TcpNoDelay},
};
use rustls::Error as TlsError;
use std::{
    io::{self, ErrorKind},
    mem,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::{
    current::{Current, Web},
    guard::{Gate, guard},
};
use crate::serve::web::{
    access::login::Logins,
    connections::{Connection, Connections},
    transport::{
        ending::Unread as _,
        stream::{Entrance, Listeners, Origin, Stream},
        wire::{Socket, Wire},
    },
};
use tcpvitals_metrics::snapshot::Refusal;

/// Longest wait for the first byte of a connection.
const FIRST_BYTE: Duration = Duration::from_secs(3);

/// Longest handshake of TLS, the wait for its first byte apart.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Most bytes that a client may send in a handshake: a chain of certificates takes most of them. What is not whole waits in memory.
const HANDSHAKE_BYTES: usize = 24 << 10;

/// Longest wait for a request's header, and so also for the next request. Scrapes every 15 s share a connection, those
/// every 30 s do not just miss it.
const HEADER: Duration = Duration::from_secs(20);

/// Most bytes of a request's header over HTTP/1.1. A buffer for it may take twice as much.
const HEADER_BYTES: usize = 16 << 10;

/// Most bytes of an answer over HTTP/2 that waits to be sent in addition to the one being sent.
const BUFFER: usize = 32 << 10;

/// Most bytes that TLS holds for a client that does not take them.
const TLS_BUFFER: usize = 16 << 10;

/// Most bytes that the kernel holds of a connection in each direction; it takes twice as much memory for them. Without a bound it
/// takes megabytes for clients that read slowly.
const SEND_BUFFER: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 16 << 10;

/// Most requests of one HTTP/2 connection at a time: enough for a scraper and for a browser's page.
const STREAMS: u32 = 4;

/// Most bytes that a client may send as bodies of requests over HTTP/2 before they are asked for, which they never are.
const STREAM_WINDOW: u32 = 16 << 10;
const CONNECTION_WINDOW: u32 = 64 << 10;

/// Longest time to finish what is under way when told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop`; then no connection is taken any more, and those with a request under way have a grace of seconds.
///
/// # Errors
/// When the system gives no random numbers.
pub async fn serve(
    mut listeners: Listeners,
    router: Router,
    web: Arc<Web>,
    connections: Arc<Connections>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    for listener in listeners.of_addresses() {
        // The standard library's queue holds 128: more scrapers than that at one moment would have to knock again.
        if let Err(error) = listen(listener, Backlog::MAXCONN) {
            tracing::debug!(%error, "the queue of connections stays short");
        }
        tune(listener);
    }
    let gate = Gate {
        web: Arc::clone(&web),
        logins: Logins::new()?,
    };
    let router = router.layer(middleware::from_fn_with_state(Arc::new(gate), guard));
    let routes = TowerToHyperService::new(router);
    let mut graceful = GracefulShutdown::new();
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            // Whoever was let in by a certificate that is none any more must not stay by keeping a connection.
            () = web.changed() => {
                let before = mem::replace(&mut graceful, GracefulShutdown::new());
                tokio::spawn(before.shutdown());
            }
            (stream, origin, entrance) = accept(&mut listeners, &connections) => {
                let visit = Visit {
                    routes: routes.clone(),
                    connection: connections.admit(origin.into()),
                    entrance,
                };
                let socket = Socket::new(stream, Arc::clone(&visit.connection.ending));
                // The connection's own task may see it late, where the machine is busy.
                if socket.has_unread() {
                    visit.connection.heard();
                }
                let (current, watcher) = (web.current(), graceful.watcher());
                tokio::spawn(visit.run(socket, origin, current, watcher, stopped.clone()));
            }
        }
    }
    drop(listeners);
    // Who has not finished the handshake has asked for nothing yet.
    drop(stopping);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("requests that were still under way are cut off");
    }
    Ok(())
}

/// The next connection.
async fn accept(listeners: &mut Listeners, connections: &Connections) -> (Stream, Origin, Entrance) {
    loop {
        connections.room().await;
        match listeners.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                if let Some(times) = connections.report.due("accept") {
                    tracing::warn!(%error, times, "no connection can be accepted; the longest idle one is closed");
                }
                // Most often there are too many open files: give one time to be closed.
                connections.close_one();
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What every connection inherits: answers leave at once, and the kernel holds little of them. Without these it works too.
/// Not `TCP_USER_TIMEOUT`: it runs from the first time that the client's window is too small for what waits, whatever the client
/// has taken since, so it would cut off a later answer of the same connection early.
fn tune(listener: &TcpListener) {
    for (what, result) in [
        ("SO_SNDBUF", setsockopt(listener, SndBuf, &SEND_BUFFER)),
        ("SO_RCVBUF", setsockopt(listener, RcvBuf, &RECEIVE_BUFFER)),
        ("TCP_NODELAY", setsockopt(listener, TcpNoDelay, &true)),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "{what} cannot be set");
        }
    }
}

/// Whether it was the connection that failed before it was taken, not the listener.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Whether a handshake failed by the client's certificate, or for want of one.
fn is_of_a_certificate(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<TlsError>());
    matches!(
        error,
        Some(TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented)
    )
}

/// One connection, from its first byte to its end.
struct Visit {
    routes: TowerToHyperService<Router>,
    connection: Arc<Connection>,
    entrance: Entrance,
}

impl Visit {
    async fn run(
        self,
        socket: Arc<Socket>,
        peer: Origin,
        current: Arc<Current>,
        watcher: Watcher,
        mut stopped: watch::Receiver<()>,
    ) {
        let connection = Arc::clone(&self.connection);
        let ending = Arc::clone(&connection.ending);
        let serve = async {
            tokio::select! {
                heard = connection.first_byte(&socket, peer) => if !heard { return },
                _ = stopped.changed() => return,
            }
            let stream = Wire::new(Arc::clone(&socket));
            let Some(tls) = current.tls.clone() else {
                // Only who has said something takes the memory for it.
                return Box::pin(self.serve(stream, false, watcher)).await;
            };
            let stream = tokio::select! {
                stream = Box::pin(connection.handshake(tls.into(), stream, peer)) => stream,
                _ = stopped.changed() => return,
            };
            if let Some(stream) = stream {
                let (_, session) = stream.get_ref();
                if session.peer_certificates().is_some() && current.config.compares_clients() {
                    connection.certify();
                }
                let http2 = session.alpn_protocol() == Some(b"h2");
                Box::pin(self.serve(stream, http2, watcher)).await;
            }
        };
        let serve_and_deliver = async {
            serve.await;
            connection.deliver(&socket).await;
        };
        tokio::select! {
            biased;
            () = ending.told() => {}
            () = serve_and_deliver => {}
        }
    }

    async fn serve<S>(self, stream: S, http2: bool, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER)
            .max_buf_size(HEADER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HEADER)
            .keep_alive_timeout(HEADER)
            .max_concurrent_streams(STREAMS)
            .max_send_buf_size(BUFFER)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let builder = if http2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        let connection = Arc::clone(&self.connection);
        let serving = builder.serve_connection(TokioIo::new(stream), self);
        let serving = watcher.watch(serving.into_owned());
        tokio::select! {
            result = serving => if let Err(error) = result {
                tracing::debug!(error, "a connection ended early");
            },
            () = connection.overdue() => {}
        }
    }
}

impl Service<Request<Incoming>> for Visit {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.connection));
        request.extensions_mut().insert(self.entrance);
        self.routes.call(request)
    }
}

impl Connection {
    /// Whether anything comes in time. Who connects and says nothing is only of interest to whoever looks for it.
    async fn first_byte(&self, socket: &Socket, peer: Origin) -> bool {
        let Ok(speaks) = timeout(FIRST_BYTE, socket.first_byte()).await else {
            tracing::debug!(%peer, "nothing came in time");
            self.all().report.served.refused(Refusal::Handshake);
            self.ending.reset();
            return false;
        };
        if speaks {
            self.heard();
        }
        speaks
    }

    /// TLS on a connection.
    async fn handshake(&self, tls: TlsAcceptor, mut stream: Wire, peer: Origin) -> Option<TlsStream<Wire>> {
        stream.allow(HANDSHAKE_BYTES);
        let accept = tls.accept_with(stream, |session| session.set_buffer_limit(Some(TLS_BUFFER)));
        match timeout(HANDSHAKE, accept).await {
            Ok(Ok(mut stream)) => {
                stream.get_mut().0.allow(usize::MAX);
                return Some(stream);
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "the TLS handshake failed");
                if is_of_a_certificate(&error) {
                    let check = "a client has no certificate, or one that is not accepted";
                    self.all().report.refuse(Refusal::Handshake, self.peer, check);
                }
            }
            Err(_elapsed) => {
                tracing::debug!(%peer, "the TLS handshake took too long");
                self.all().report.served.refused(Refusal::Handshake);
                self.ending.reset();
            }
        }
        None
    }

    /// Until the client has all that was sent to it. It has the time of an answer for that, and is cut off then; a kernel that was
    /// left alone with it would hold it for as long as the client likes, and in any number.
    async fn deliver(&self, socket: &Socket) {
        if self.ending.is_reset() {
            return;
        }
        self.ending.deliver();
        tokio::select! {
            () = socket.deliver() => {}
            () = self.overdue() => {}
        }
    }
}
