//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, `/-/reload`, and the page `/`; `api` has JSON, `documents` what
//! people read.

pub mod access;
pub mod api;
mod documents;
pub mod expositions;
mod pages;
pub(crate) mod runbooks;
mod service;

use crate::serve::web;
use axum::{
    Router, middleware,
    routing::{get, post},
};
use std::sync::Arc;

pub use service::{About, Service};

pub fn router(service: Service) -> Router {
    let path = service.telemetry_path.clone();
    Router::new()
        .route(&path, get(pages::metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(pages::readyz))
        .route(
            "/-/reload",
            post(pages::reload).layer(middleware::from_fn(web::own_pages_only)),
        )
        .route("/", get(pages::index))
        .merge(api::routes())
        .merge(documents::routes())
        .fallback(get(pages::view))
        .method_not_allowed_fallback(pages::not_allowed)
        .layer(middleware::from_fn(web::compress))
        .with_state(Arc::new(service))
}
