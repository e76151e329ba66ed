//! The way to a server: straight, or through the tunnel of a proxy.
//! It must never send to the proxy what is for the receiver: only a receiver with TLS is reached through one.
//! From `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; to the client.

use http::Uri;
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tcpvitals_config::Target;
use tokio::net::TcpStream;
use tonic::codegen::Service;

type Fault = Box<dyn Error + Send + Sync>;

/// Opens connections.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    Straight(HttpConnector),
    Tunnel(Tunnel<HttpConnector>),
}

impl Route {
    pub(crate) fn new(proxy: Option<&Intercept>) -> Self {
        let mut tcp = HttpConnector::new();
        // The scheme is the other connector's to look at.
        tcp.enforce_http(false);
        // HTTP/2 writes a small request in parts, and the last would wait for the receiver's delayed acknowledgment, 40 ms.
        tcp.set_nodelay(true);
        // A server that is gone without a word is noticed within two minutes, though nothing is to be sent: a watch waits for longer.
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_keepalive_interval(Some(Duration::from_secs(15)));
        tcp.set_keepalive_retries(Some(4));
        let Some(proxy) = proxy else {
            return Self::Straight(tcp);
        };
        let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        Self::Tunnel(match proxy.basic_auth() {
            Some(password) => tunnel.with_auth(password.clone()),
            None => tunnel,
        })
    }
}

/// The proxy of the environment for this receiver; one that cannot be used is warned of.
pub(crate) fn proxy(environment: &Matcher, target: &Target) -> Option<Intercept> {
    let proxy = environment.intercept(target.uri()).filter(|_| target.is_encrypted())?;
    if proxy.uri().scheme_str() == Some("http") {
        return Some(proxy);
    }
    tracing::warn!(
        proxy = %proxy.uri(),
        "the proxy for the push over OTLP is ignored: only those that begin with http:// can be used; name one in HTTPS_PROXY, or \
         the receiver in NO_PROXY"
    );
    None
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Fault>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self {
            Self::Straight(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Tunnel(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self {
            Self::Straight(tcp) => {
                let connected = tcp.call(target);
                Box::pin(async { Ok(connected.await?) })
            }
            Self::Tunnel(tunnel) => {
                let connected = tunnel.call(target);
                Box::pin(async { Ok(connected.await?) })
            }
        }
    }
}
