//! A receiver, over gRPC or HTTP: one HTTP client and one TLS set-up under both.
//! It must never try twice or wait longer than the time-out; what an answer means, `answer` says. From settings and requests
//! to the network.

use super::{answer::Answer, hint::Spoken, tls};
use crate::{
    client::{Http, USER_AGENT, chain, http, route},
    lifecycle::clock::since_1970,
};
use flate2::{Compression as Level, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use httpdate::parse_http_date;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
};
use prost::{Message as _, bytes::Bytes};
use rustls::ClientConfig;
use std::{
    error::Error,
    io::Write as _,
    time::{Duration, SystemTime},
};
use tcpvitals_config::{Compression, ConfigError, OtlpSettings, Protocol};
use tonic::{codec::CompressionEncoding, metadata::MetadataMap};

/// Largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// A receiver that is ready to be asked: settings that work.
#[derive(Clone, Debug)]
pub struct Receiver {
    settings: OtlpSettings,
    tls: ClientConfig,
    proxy: Option<Intercept>,
}

impl Receiver {
    /// Reads the files that the settings name, and the environment for a proxy. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] when a file cannot be used.
    pub fn new(settings: OtlpSettings) -> Result<Self, ConfigError> {
        Self::behind(&Matcher::from_env(), settings)
    }

    fn behind(proxies: &Matcher, settings: OtlpSettings) -> Result<Self, ConfigError> {
        let tls = tls::config(&settings)?;
        let proxy = route::proxy(proxies, &settings.target);
        Ok(Self { settings, tls, proxy })
    }

    /// The proxy that it is reached through.
    pub(super) fn proxy(&self) -> Option<&http::Uri> {
        self.proxy.as_ref().map(Intercept::uri)
    }

    /// How to push to it.
    pub const fn settings(&self) -> &OtlpSettings {
        &self.settings
    }

    /// A client with no connection yet.
    pub(super) fn client(&self) -> Client {
        let settings = self.settings.clone();
        let wire = match settings.protocol {
            Protocol::Grpc => Wire::Grpc(self.grpc()),
            Protocol::HttpProtobuf => Wire::Http(http(false, self.tls.clone(), self.proxy.as_ref())),
        };
        Client { settings, wire }
    }

    fn grpc(&self) -> MetricsServiceClient<Http<tonic::body::Body>> {
        let http = http(true, self.tls.clone(), self.proxy.as_ref());
        let client = MetricsServiceClient::with_origin(http, self.settings.target.uri().clone());
        match self.settings.compression {
            Compression::Gzip => client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip),
            Compression::None => client,
        }
    }
}

/// Asks a receiver.
#[derive(Debug)]
pub(super) struct Client {
    settings: OtlpSettings,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Grpc(MetricsServiceClient<Http<tonic::body::Body>>),
    Http(Http<Full<Bytes>>),
}

/// A request that is ready to travel, as often as it has to.
#[derive(Debug)]
pub(super) enum Parcel {
    Message(ExportMetricsServiceRequest),
    Body(Bytes),
}

impl Client {
    /// Does once what every attempt needs.
    pub(super) fn pack(&self, request: ExportMetricsServiceRequest) -> Parcel {
        match (&self.wire, self.settings.compression) {
            (Wire::Grpc(_), _) => Parcel::Message(request),
            (Wire::Http(_), Compression::None) => Parcel::Body(request.encode_to_vec().into()),
            (Wire::Http(_), Compression::Gzip) => Parcel::Body(gzip(&request.encode_to_vec()).into()),
        }
    }

    /// One attempt, no longer than the time-out.
    pub(super) async fn send(&mut self, parcel: &Parcel) -> Answer {
        let limit = self.settings.timeout;
        let sent = async {
            match (&mut self.wire, parcel) {
                (Wire::Grpc(client), Parcel::Message(message)) => call(client, &self.settings, message.clone()).await,
                (Wire::Http(client), Parcel::Body(body)) => post(client, &self.settings, body.clone()).await,
                // A client sends what it packed itself.
                (Wire::Grpc(_), Parcel::Body(_)) | (Wire::Http(_), Parcel::Message(_)) => Answer::Refused {
                    why: "the request was packed for another protocol".to_owned(),
                },
            }
        };
        let answer = tokio::time::timeout(limit, sent).await;
        answer.unwrap_or_else(|_elapsed| Answer::Silence {
            why: format!("no answer within {limit:?}"),
        })
    }
}

async fn call(
    client: &mut MetricsServiceClient<Http<tonic::body::Body>>,
    settings: &OtlpSettings,
    message: ExportMetricsServiceRequest,
) -> Answer {
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = MetadataMap::from_headers(headers(settings));
    request.set_timeout(settings.timeout);
    match client.export(request).await {
        Ok(response) => Answer::taken(response.into_inner()),
        // Made here of a connection that failed, not by the receiver.
        Err(status) => match status.source() {
            Some(source) => {
                let why = chain(source);
                let hint = spoken(settings).of_error(&why);
                Answer::Silence { why }.with(hint)
            }
            None => Answer::of_status(&status).with(spoken(settings).of_status(status.message())),
        },
    }
}

async fn post(client: &Http<Full<Bytes>>, settings: &OtlpSettings, body: Bytes) -> Answer {
    let mut request = Request::post(settings.target.uri()).body(Full::new(body));
    if let Ok(request) = &mut request {
        let own = request.headers_mut();
        *own = headers(settings);
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if settings.compression == Compression::Gzip {
            own.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    let response = match request.map(|request| client.request(request)) {
        Ok(response) => response.await,
        // The settings hold a URL that was parsed.
        Err(error) => return Answer::Refused { why: error.to_string() },
    };
    let (parts, body) = match response {
        Ok(response) => response.into_parts(),
        Err(error) => {
            let why = chain(&error);
            let hint = spoken(settings).of_error(&why);
            return Answer::Silence { why }.with(hint);
        }
    };
    let body = Limited::new(body, LARGEST_ANSWER).collect().await;
    let body = body.map(|collected| collected.to_bytes()).ok();
    let body = body.as_deref();
    let retry_after = parts.headers.get(header::RETRY_AFTER);
    let after = retry_after.and_then(|value| delay(value.to_str().ok()?, now()));
    let status = parts.status.as_u16();
    Answer::of_http(status, after, body).with(spoken(settings).of_answer(status, body.unwrap_or_default()))
}

fn spoken(settings: &OtlpSettings) -> Spoken {
    Spoken {
        protocol: settings.protocol,
        is_encrypted: settings.target.is_encrypted(),
    }
}

/// `Retry-After`: seconds, or a date.
fn delay(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| {
        let date = parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

fn headers(settings: &OtlpSettings) -> HeaderMap {
    let mut headers = settings.headers.map().clone();
    let own = headers.entry(header::USER_AGENT);
    own.or_insert(HeaderValue::from_static(USER_AGENT));
    headers
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    // Writing to memory does not fail.
    let _infallible = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + since_1970()
}

#[cfg(test)]
mod tests;
