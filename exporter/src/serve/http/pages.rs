//! The metrics, the page, readiness, and a reload: what answers are made of, and with which status they go.

use super::{expositions::Form, service::Service};
use crate::serve::{
    collect::{CollectError, Collection},
    reload::Reason,
    web,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use std::{fmt::Write, io, sync::Arc};
use tcpvitals_metrics::{
    encode::{
        page,
        prometheus::{self, Format},
    },
    families::METRICS,
};

pub(super) async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept);
    let families = match service.collector.families().await {
        Ok(families) => families,
        Err(error) => return collection_failed(&error),
    };
    let gzip = web::accepts_gzip(&headers);
    let encoded = Arc::clone(&families);
    let encode = move || prometheus::encode(&encoded, format).map_err(io::Error::other);
    let body = service.expositions.get(&families, Form::Metrics(format), gzip, encode);
    let of_type = [(header::CONTENT_TYPE, format.content_type())];
    match body.await {
        Ok(body) => (of_type, shared(body, gzip)).into_response(),
        Err(error) => failed(&error.to_string()),
    }
}

/// A body that others may be waiting for, too.
fn shared(body: Arc<web::Body>, gzip: bool) -> Response {
    let mut response = Response::new(Body::from(body.bytes()));
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.extensions_mut().insert(body);
    response
}

/// Ready when a collection succeeds; says in any case what runs and what does not.
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Response {
    if let Err(error) = service.collector.families().await {
        return collection_failed(&error);
    }
    let mut body = String::from("ready\n");
    for program in &service.coverage.programs {
        let name = program.name;
        // Writing to a string does not fail.
        let _infallible = match &program.off {
            None => writeln!(body, "{name}: attached"),
            Some(reason) => writeln!(body, "{name}: off: {reason}"),
        };
    }
    for metric in METRICS {
        if let Some(reason) = metric.why_off(&service.coverage) {
            let _infallible = writeln!(body, "{}: off: {reason}", metric.full_name());
        }
    }
    body.into_response()
}

pub(super) async fn reload(State(service): State<Arc<Service>>) -> Response {
    let Some(reloader) = &service.reloader else {
        let remedy = "reloading over HTTP is off; start with --web.enable-lifecycle, or send SIGHUP\n";
        return (StatusCode::FORBIDDEN, remedy).into_response();
    };
    match reloader.reload(Reason::Request).await {
        Ok(()) => "reloaded\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

pub(super) async fn index(State(service): State<Arc<Service>>, asked: HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, page::policy()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    match service.collector.collect(false).await {
        Ok(Collection { at, families, .. }) => {
            let gzip = web::accepts_gzip(&asked);
            let (service, shown) = (Arc::clone(&service), Arc::clone(&families));
            let making = Arc::clone(&service);
            let render = move || Ok(page::render(making.about(), &making.coverage, &shown, at).into_bytes());
            let body = service.expositions.get(&families, Form::Page, gzip, render);
            match body.await {
                Ok(body) => (headers, Html(shared(body, gzip))).into_response(),
                Err(error) => failed(&error.to_string()),
            }
        }
        Err(error) => {
            let page = page::render_failure(service.about(), &error.to_string());
            (StatusCode::SERVICE_UNAVAILABLE, headers, Html(page)).into_response()
        }
    }
}

fn failed(what: &str) -> Response {
    tracing::error!(what, "the request failed");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}\n")).into_response()
}

/// The collector has said so in the log.
fn collection_failed(error: &CollectError) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the collection failed: {error}\n"),
    )
        .into_response()
}
