//! The documents at `/docs`, out of the binary: they cost no collection and change only with the version.

use super::{
    pages::{guards, not_found},
    runbooks,
    service::Service,
};
use crate::serve::web::one_at_a_time;
use axum::{
    Router,
    extract::{Path, State},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;
use tcpvitals_metrics::encode::page;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/docs", get(|| async { document(page::contents(runbooks::names())) }))
        .route("/docs/reasons", get(|| async { document(page::reasons()) }))
        .route("/docs/runbooks/{name}", get(runbook))
        .route_layer(middleware::from_fn(one_at_a_time))
}

async fn runbook(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Response {
    match runbooks::page(&name) {
        Some(markdown) => document(page::runbook(&name, markdown)),
        None => not_found(&service),
    }
}

fn document(page: String) -> Response {
    (guards("max-age=3600"), Html(page)).into_response()
}
