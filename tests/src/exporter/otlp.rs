//! A receiver of OTLP in the test's own process, over gRPC and HTTP on one port: it records what it gets, and fails on
//! request. What it says of a request is what travelled, decoded by the protocol's own types and nothing of the exporter.

mod authority;
mod compare;
mod metrics;
mod page;
mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
pub use authority::{Authority, Identity};
pub use compare::{Values, as_scraped, of_request, of_scrape, require_same};
pub use metrics::{Attributes, Number, Received, Sample};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
pub use page::{Documented, documented};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::machine::wait::until;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// gRPC
    Grpc,
    /// HTTP with protobuf
    Http,
}

/// What the receiver does instead of taking a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// gRPC: a status code, and when to try again.
    Status(tonic::Code, Option<Duration>),
    /// HTTP: a status, and the header `Retry-After`.
    Http(u16, Option<&'static str>),
    /// It takes the request but for so many data points.
    Partial(i64, &'static str),
    /// It never answers.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// How it came.
    pub transport: Transport,
    /// The path of the URL.
    pub path: String,
    /// Headers, or metadata.
    pub headers: BTreeMap<String, String>,
    /// What it holds.
    pub request: ExportMetricsServiceRequest,
    /// When it came.
    pub at: Instant,
    /// What became of it; none if it was taken.
    pub failure: Option<Failure>,
}

/// What the recorder and its server share.
#[derive(Debug, Default)]
struct State {
    requests: Vec<Recorded>,
    next: VecDeque<Failure>,
    always: Option<Failure>,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// A panic of a test leaves a list that is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver that runs until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    scheme: &'static str,
    shared: Shared,
    runtime: Option<Runtime>,
}

impl Recorder {
    /// On a free port of the loopback device, without TLS.
    pub fn start() -> Result<Self> {
        Self::at((std::net::Ipv4Addr::LOCALHOST, 0).into(), None)
    }

    /// The same with TLS.
    pub fn encrypted(tls: ServerConfig) -> Result<Self> {
        Self::at((std::net::Ipv4Addr::LOCALHOST, 0).into(), Some(tls))
    }

    /// At an address.
    pub fn at(address: SocketAddr, tls: Option<ServerConfig>) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(address));
        let listener = listener.with_context(|| format!("listen on {address} for OTLP"))?;
        let address = listener.local_addr()?;
        let shared = Shared::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        runtime.spawn(serve::serve(listener, tls, shared.clone()));
        Ok(Self {
            address,
            scheme,
            shared,
            runtime: Some(runtime),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The next requests fail so, one after the other.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = Failure>) {
        self.shared.lock().next.extend(failures);
    }

    /// All requests fail so, until told otherwise.
    pub fn fail_always(&self, failure: Option<Failure>) {
        self.shared.lock().always = failure;
    }

    /// All requests so far, failed ones too.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().requests.clone()
    }

    /// How many they are: asking so costs nothing.
    pub fn count(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// What was taken so far, request by request.
    pub fn taken(&self) -> Vec<Received> {
        let requests = self.requests();
        let taken = requests.into_iter().filter(|recorded| match &recorded.failure {
            None | Some(Failure::Partial(..)) => true,
            Some(Failure::Status(..) | Failure::Http(..) | Failure::Silence) => false,
        });
        taken.map(|recorded| Received::new(&recorded.request)).collect()
    }

    /// Waits until it has got so many requests, failed ones too.
    pub fn wait_for(&self, requests: usize) -> Result<Vec<Recorded>> {
        until(&format!("{requests} requests over OTLP"), || {
            let all = self.requests();
            Ok((all.len() >= requests).then_some(all))
        })
    }

    /// Waits until it has taken a request after those that it has by now.
    pub fn wait_for_another(&self) -> Result<Received> {
        let before = self.taken().len();
        until("another push over OTLP to be taken", || {
            let mut taken = self.taken();
            Ok(if taken.len() > before { taken.pop() } else { None })
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Some handlers never answer.
            runtime.shutdown_background();
        }
    }
}
