//! The server of the recorder: gRPC and HTTP on one port, with TLS or without.

use std::collections::BTreeMap;
use std::future::pending;
use std::io::Read as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use flate2::read::GzDecoder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message as _;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Failure, Recorded, Shared, Transport};
use crate::machine::wait::moment;

/// Serves until the runtime ends.
pub(super) async fn serve(listener: TcpListener, tls: Option<ServerConfig>, shared: Shared) {
    let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
    let grpc = MetricsServiceServer::new(Grpc(shared.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(usize::MAX);
    let router = Routes::new(grpc)
        .into_axum_router()
        .merge(Router::new().route("/{*path}", post(http)).with_state(shared));
    while let Ok((stream, _)) = listener.accept().await {
        let (router, acceptor) = (router.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => converse(stream, router).await,
                Some(acceptor) => {
                    // A client that refuses our certificate is what some tests want.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, router).await;
                    }
                }
            }
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    // A client that goes away says so by its next request.
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// Records a request, and gives how it is to fail.
fn record(shared: &Shared, mut recorded: Recorded) -> Option<Failure> {
    let mut state = shared.lock();
    let failure = state.next.pop_front().or_else(|| state.always.clone());
    recorded.failure.clone_from(&failure);
    state.requests.push(recorded);
    failure
}

fn success(failure: Option<Failure>) -> Result<ExportMetricsServiceResponse, Failure> {
    match failure {
        None => Ok(ExportMetricsServiceResponse::default()),
        Some(Failure::Partial(rejected_data_points, message)) => Ok(ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message: message.to_owned(),
            }),
        }),
        Some(failure) => Err(failure),
    }
}

struct Grpc(Shared);

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let recorded = Recorded {
            transport: Transport::Grpc,
            path: String::new(),
            headers: headers(&metadata.into_headers()),
            request: message,
            at: moment(),
            failure: None,
        };
        match success(record(&self.0, recorded)) {
            Ok(response) => Ok(tonic::Response::new(response)),
            Err(Failure::Status(code, None)) => Err(Status::new(code, "as the test wants it")),
            Err(Failure::Status(code, after)) => {
                let details = ErrorDetails::with_retry_info(after);
                Err(Status::with_error_details(code, "as the test wants it", details))
            }
            Err(Failure::Silence) => pending().await,
            Err(Failure::Http(..) | Failure::Partial(..)) => Err(Status::internal("a failure of HTTP over gRPC")),
        }
    }
}

async fn http(State(shared): State<Shared>, uri: Uri, own: HeaderMap, body: Bytes) -> Response {
    let mut plain = Vec::new();
    let is_gzip = own
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    let unpacked = if is_gzip {
        GzDecoder::new(&*body).read_to_end(&mut plain).is_ok()
    } else {
        plain.extend_from_slice(&body);
        true
    };
    let message = ExportMetricsServiceRequest::decode(plain.as_slice());
    let Some(request) = message.ok().filter(|_| unpacked) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let recorded = Recorded {
        transport: Transport::Http,
        path: uri.to_string(),
        headers: headers(&own),
        request,
        at: moment(),
        failure: None,
    };
    match success(record(&shared, recorded)) {
        Ok(response) => (
            [(header::CONTENT_TYPE, "application/x-protobuf")],
            response.encode_to_vec(),
        )
            .into_response(),
        Err(Failure::Http(status, after)) => {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            match after {
                Some(after) => (status, [(header::RETRY_AFTER, after)]).into_response(),
                None => status.into_response(),
            }
        }
        Err(Failure::Silence) => pending().await,
        Err(Failure::Status(..) | Failure::Partial(..)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn headers(own: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    own.iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}
