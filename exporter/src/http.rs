//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, `/-/reload`, and the page `/`; `api` has the rest.

use crate::{
    api::{self, access::FlowAccess},
    collect::{CollectError, Collector},
    families::METRICS,
    kernel::plan::Plan,
    page,
    prometheus::{self, Format},
    reload::Reloader,
    web::Web,
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use std::{fmt::Write, sync::Arc};
use tower_http::compression::CompressionLayer;

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    /// Collects when a scrape asks.
    pub collector: Arc<Collector>,
    /// Re-reads the configuration, if that is allowed over HTTP.
    pub reloader: Option<Arc<Reloader>>,
    /// What runs, and what does not and why.
    pub plan: Plan,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// Who may ask, besides what the guard before the routes lets through.
    pub web: Arc<Web>,
    /// Whether live flows may be shown.
    pub flows: FlowAccess,
    /// Release of the kernel.
    pub release: String,
    /// Name of the host.
    pub host: String,
}

/// The routes.
pub fn router(service: Service) -> Router {
    let path = service.telemetry_path.clone();
    Router::new()
        .route(&path, get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/-/reload", post(reload))
        .route("/", get(index))
        .merge(api::routes())
        .layer(CompressionLayer::new())
        .with_state(Arc::new(service))
}

async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept);
    match service.collector.families().await {
        Ok(families) => match prometheus::encode(&families, format) {
            Ok(body) => ([(header::CONTENT_TYPE, format.content_type())], body).into_response(),
            Err(error) => failed(&format!("encode the metrics: {error}")),
        },
        Err(error) => collection_failed(&error),
    }
}

/// Ready when a collection succeeds; says in any case what runs and what does not.
async fn readyz(State(service): State<Arc<Service>>) -> Response {
    if let Err(error) = service.collector.families().await {
        return collection_failed(&error);
    }
    let mut body = String::from("ready\n");
    for planned in &service.plan.programs {
        let name = planned.name();
        // Writing to a string does not fail.
        let _infallible = match &planned.off {
            None => writeln!(body, "{name}: attached"),
            Some(reason) => writeln!(body, "{name}: off: {reason}"),
        };
    }
    for metric in METRICS {
        if let Some(reason) = metric.why_off(&service.plan) {
            let _infallible = writeln!(body, "{}: off: {reason}", metric.full_name());
        }
    }
    body.into_response()
}

async fn reload(State(service): State<Arc<Service>>) -> Response {
    let Some(reloader) = &service.reloader else {
        let remedy = "reloading over HTTP is off; start with --web.enable-lifecycle, or send SIGHUP\n";
        return (StatusCode::FORBIDDEN, remedy).into_response();
    };
    match reloader.reload().await {
        Ok(()) => "reloaded\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn index(State(service): State<Arc<Service>>) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, page::policy()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let about = page::About {
        host: &service.host,
        release: &service.release,
        telemetry_path: &service.telemetry_path,
    };
    match service.collector.collect(false).await {
        Ok(collection) => {
            let page = page::render(about, &service.plan, &collection.families, collection.at);
            (headers, Html(page)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the collection failed");
            let page = page::render_failure(about, &error.to_string());
            (StatusCode::SERVICE_UNAVAILABLE, headers, Html(page)).into_response()
        }
    }
}

fn collection_failed(error: &CollectError) -> Response {
    tracing::error!(%error, "the collection failed");
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the collection failed: {error}\n"),
    )
        .into_response()
}

fn failed(what: &str) -> Response {
    tracing::error!(what, "the request failed");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}\n")).into_response()
}
