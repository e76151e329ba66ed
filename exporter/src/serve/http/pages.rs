//! The metrics, the page, readiness, and a reload: what answers are made of, and with which status they go.

use super::{
    api,
    expositions::{self, Form, MakersTurn},
    service::Service,
};
use crate::{
    lifecycle::setup,
    serve::{
        collect::{
            CollectError, Collection,
            shown::{Exposition, Shown},
        },
        reload::Reason,
        web::{self, Turn},
    },
};
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use std::{
    fmt::Write,
    io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tcpvitals_metrics::{
    encode::{
        page,
        prometheus::{self, Format},
    },
    families::METRICS,
    snapshot::NameSource,
};

/// The metrics path.
pub(super) async fn metrics(state: State<Arc<Service>>, query: RawQuery, headers: HeaderMap) -> Response {
    exposition(state, "", query, headers).await
}

/// The paths of views; nothing else is served here.
pub(super) async fn view(state: State<Arc<Service>>, uri: Uri, query: RawQuery, headers: HeaderMap) -> Response {
    if !state.collector.has_view(uri.path()).await {
        return not_found(&state);
    }
    exposition(state, uri.path(), query, headers).await
}

async fn exposition(
    State(service): State<Arc<Service>>,
    path: &str,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let names = names(&query.unwrap_or_default());
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let wanted = Wanted {
        path,
        format: Format::accepted(&accept),
        gzip: web::accepts_gzip(&headers),
    };
    let answer = if names.is_empty() {
        whole(&service, wanted).await
    } else {
        named(&service, wanted, &names).await
    };
    answer.unwrap_or_else(|error| collection_failed(&error))
}

/// What is wanted of the metrics.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// "" for the path of the command line.
    path: &'a str,
    format: Format,
    gzip: bool,
}

/// All that a path shows.
async fn whole(service: &Service, Wanted { path, format, gzip }: Wanted<'_>) -> Result<Response, CollectError> {
    let form = |shown: &Shown| shown.at(path).map(|(place, _)| Form::Metrics(place, format));
    let (Collection { shown, .. }, made) = last(service, form, gzip).await?;
    let Some((place, exposition)) = shown.at(path) else {
        return Ok(not_found(service));
    };
    let body = match made {
        Ok(body) => Ok(body),
        Err(turn) => {
            let Exposition {
                families, histograms, ..
            } = exposition.clone();
            let started = shown.all.started();
            let encode = move || prometheus::encode(&families, started, format, &histograms).map_err(io::Error::other);
            let form = Form::Metrics(place, format);
            service.expositions.make(turn, shown, form, gzip, encode).await
        }
    };
    let of_type = [(header::CONTENT_TYPE, format.content_type())];
    Ok(match body {
        Ok(body) => (of_type, shared(body, gzip)).into_response(),
        Err(error) => failed(&error.to_string()),
    })
}

/// Metrics of these names alone. Whoever waits for the turn holds no collection.
async fn named(
    service: &Service,
    Wanted { path, format, gzip }: Wanted<'_>,
    names: &[String],
) -> Result<Response, CollectError> {
    let turn = Turn::take().await;
    let shown = service.collector.collect(false).await?.shown;
    let Some((_, exposition)) = shown.at(path) else {
        return Ok(not_found(service));
    };
    let families = match exposition.families.named(names) {
        Ok(families) => Arc::new(families),
        Err(name) => {
            let what =
                format!("name[]: no metric is called {name:?}; the metrics path without a query has all names\n");
            return Ok((StatusCode::BAD_REQUEST, what).into_response());
        }
    };
    let histograms = Arc::clone(&exposition.histograms);
    let started = shown.all.started();
    let encode = move || prometheus::encode(&families, started, format, &histograms).map_err(io::Error::other);
    let of_type = [(header::CONTENT_TYPE, format.content_type())];
    Ok(match expositions::once(turn.clone(), gzip, encode).await {
        Ok(bytes) => (of_type, Extension(turn), packed(bytes, gzip)).into_response(),
        Err(error) => failed(&error.to_string()),
    })
}

/// The last collection, with this form of it, or else the turn to have that made. Whoever waits for the turn holds no collection: there
/// may be many, and only the last is to be in memory.
async fn last(
    service: &Service,
    form: impl Fn(&Shown) -> Option<Form>,
    gzip: bool,
) -> Result<(Collection, Result<Arc<web::Body>, MakersTurn>), CollectError> {
    let Service {
        collector, expositions, ..
    } = service;
    let collection = collector.collect(false).await?;
    let made = form(&collection.shown).and_then(|form| expositions.made(&collection.shown, form, gzip));
    if let Some(body) = made {
        return Ok((collection, Ok(body)));
    }
    if let Some(turn) = expositions.turn_at_once() {
        return Ok((collection, Err(turn)));
    }
    drop(collection);
    let turn = expositions.turn().await;
    Ok((collector.collect(false).await?, Err(turn)))
}

/// What is said where nothing is.
pub(super) fn not_found(service: &Service) -> Response {
    let what = format!(
        "there is no such path; there are / (the page), {}, /healthz, /readyz, /docs, {}, and the paths of views in the configuration\n",
        service.telemetry_path,
        api::PATHS.join(", ")
    );
    (StatusCode::NOT_FOUND, what).into_response()
}

/// What is said where a path is asked in a way that it does not know; the header Allow has those that it does.
pub(super) async fn not_allowed() -> Response {
    let what = "this path has no such method; use GET, or POST for /-/reload\n";
    (StatusCode::METHOD_NOT_ALLOWED, what).into_response()
}

/// The metrics that a query asks for, by `name[]`; other parameters are the scraper's own.
fn names(query: &str) -> Vec<String> {
    let parameters = form_urlencoded::parse(query.as_bytes());
    let names = parameters.filter(|(name, _)| name == "name[]");
    names.map(|(_, value)| value.into_owned()).collect()
}

/// A body that others may be waiting for, too.
fn shared(body: Arc<web::Body>, gzip: bool) -> Response {
    let mut response = packed(body.bytes(), gzip);
    response.extensions_mut().insert(body);
    response
}

/// A body that is packed already, or is to stay as it is.
fn packed(bytes: Bytes, gzip: bool) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    // The format of metrics depends on the first.
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Ready when a collection succeeds; says in any case what runs and what does not.
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Response {
    let (status, findings) = match service.collector.collect(false).await {
        Ok(Collection { status, findings, .. }) => (status, findings),
        Err(error) => return collection_failed(&error),
    };
    let mut body = String::from("ready\n");
    let findings = findings.is_none().then(|| setup::FINDINGS_OFF.to_owned());
    for (key, off) in service.capabilities.iter().chain(&[("findings", findings)]) {
        // Writing to a string does not fail.
        let _infallible = match off {
            None => writeln!(body, "{key}: on"),
            Some(reason) => writeln!(body, "{key}: off: {reason}"),
        };
    }
    for program in &service.coverage.programs {
        let name = program.name;
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
    if let Some(source) = &status.exporter.name_source {
        let _infallible = writeln!(body, "{}", sentence(source));
    }
    body.into_response()
}

/// How the source of names does.
fn sentence(source: &NameSource) -> String {
    let NameSource {
        name,
        off,
        note,
        since,
        last_update,
    } = source;
    let at = |time: &Duration| humantime::format_rfc3339_seconds(UNIX_EPOCH + *time);
    let mut text = match off {
        None => format!("workloads: names from {name}"),
        Some(reason) => format!("workloads: off: no names from {name} since {}: {reason}", at(since)),
    };
    if let Some(note) = note {
        text += &format!(": {note}");
    }
    if let Some(time) = last_update {
        text += &format!("; last update {}", at(time));
    }
    text
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

/// What goes with every document for people.
pub(super) fn guards(cache: &'static str) -> [(header::HeaderName, &'static str); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, page::policy()),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ]
}

pub(super) async fn index(State(service): State<Arc<Service>>, asked: HeaderMap) -> Response {
    let headers = guards("no-store");
    let gzip = web::accepts_gzip(&asked);
    let (collection, made) = match last(&service, |_| Some(Form::Page), gzip).await {
        Ok(last) => last,
        Err(error) => {
            let page = page::render_failure(service.about(), &error.to_string());
            return (StatusCode::SERVICE_UNAVAILABLE, headers, Html(page)).into_response();
        }
    };
    let body = match made {
        Ok(body) => Ok(body),
        Err(turn) => {
            let Collection {
                at,
                shown,
                status,
                findings,
            } = collection;
            let (making, showing) = (Arc::clone(&service), Arc::clone(&shown));
            let render = move || {
                let collected = page::Collected {
                    families: &showing.all,
                    cost: &showing.cost(),
                    findings: findings.as_deref(),
                    exporter: &status.exporter,
                    at,
                };
                Ok(page::render(making.about(), &making.coverage, collected).into_bytes())
            };
            service.expositions.make(turn, shown, Form::Page, gzip, render).await
        }
    };
    match body {
        Ok(body) => (headers, Html(shared(body, gzip))).into_response(),
        Err(error) => failed(&error.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_names_is_told_with_reason_and_times() {
        let mut source = NameSource {
            name: "kubernetes",
            off: None,
            note: None,
            since: Duration::from_secs(1_700_000_000),
            last_update: Some(Duration::from_secs(1_700_000_060)),
        };
        assert_eq!(
            sentence(&source),
            "workloads: names from kubernetes; last update 2023-11-14T22:14:20Z"
        );
        source.off = Some("forbidden".to_owned());
        source.note = Some("the service account may not list and watch pods (403)".to_owned());
        assert_eq!(
            sentence(&source),
            "workloads: off: no names from kubernetes since 2023-11-14T22:13:20Z: forbidden: the service account may not list and \
             watch pods (403); last update 2023-11-14T22:14:20Z"
        );
    }
}
