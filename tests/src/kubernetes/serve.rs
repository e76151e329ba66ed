//! How the API server answers: pages of the list, streams of events, refusals.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::api::{Asked, Shared, Store};
use super::events::{Sender, Stream, partial, stream};
use super::maps;
use super::odd::Odd;
use super::rules::{Question, Refusal, Verb, authenticate, question};

/// Serves until it is aborted; connections end with it.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Shared) {
    let mut connections = tokio::task::JoinSet::new();
    let router = Router::new().fallback(answer).with_state(shared.clone());
    while let Ok((stream, _)) = listener.accept().await {
        let (router, acceptor, cut) = (router.clone(), acceptor.clone(), Arc::clone(&shared.cut));
        let before = cut.epoch.load(Ordering::SeqCst);
        connections.spawn(async move {
            // A client that refuses our certificate is what some tests want.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = TowerToHyperService::new(router);
            let builder = auto::Builder::new(TokioExecutor::new());
            let conversation = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // A client that goes away says so by its next request.
                ended = conversation => drop(ended),
                () = cut.after(before) => {}
            }
        });
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if method != Method::GET {
        return write(&shared, &method, &uri, &headers, &body);
    }
    let asked = judge(&shared, &method, &uri, &headers);
    let status = asked.as_ref().map_or_else(|refusal| refusal.0, |_| StatusCode::OK);
    let odd = {
        let mut store = shared.lock();
        let verb = asked.as_ref().ok().map(|question| question.verb);
        let odd = verb.and_then(|verb| store.odd.get_mut(&verb)?.pop_front());
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        store.asked.push(Asked {
            verb,
            uri: uri.to_string(),
            status: status.as_u16(),
            token: token.unwrap_or_default().trim_start_matches("Bearer ").to_owned(),
        });
        odd
    };
    match (odd, asked) {
        (Some(odd), _) => strange(odd, &shared).await,
        (None, Err(refusal)) => refused(&refusal),
        (None, Ok(question)) => {
            let answered = match question.verb {
                Verb::List => list(&shared, &question),
                Verb::Watch | Verb::Patch | Verb::Create => watch(&shared, &question),
            };
            answered.unwrap_or_else(|refusal| refused(&refusal))
        }
    }
}

fn judge(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Question, Refusal> {
    let store = shared.lock();
    authenticate(headers, &store.token)?;
    let question = question(method, uri, headers, &store.subject)?;
    if store.allowed.contains(&question.verb) {
        return Ok(question);
    }
    let (verb, plural) = (question.verb.word(), store.subject.plural());
    let message = format!(
        "{plural} is forbidden: User \"system:serviceaccount:vitals:tcpvitals\" cannot {verb} resource \"{plural}\" in API group \
         \"\" at the cluster scope"
    );
    Err(Refusal(StatusCode::FORBIDDEN, "Forbidden", message))
}

fn list(shared: &Shared, question: &Question) -> Result<Response, Refusal> {
    let mut store = shared.lock();
    // A cache sends all that it has, as old as that may be.
    let is_cached = question.version == Some(0) && store.has_cache;
    let (version, begin) = match &question.next {
        None => (store.version, 0),
        Some(token) => {
            let (version, begin) = token
                .split_once('/')
                .and_then(|(version, begin)| Some((version.parse().ok()?, begin.parse().ok()?)))
                .ok_or_else(|| Refusal::bad(format!("invalid continue token: continue key is not valid: {token}")))?;
            if version < store.oldest {
                return Err(Refusal::gone(version, store.oldest));
            }
            (version, begin)
        }
    };
    let all = store.at(version);
    let limit = question.limit.filter(|_| !is_cached).unwrap_or(usize::MAX);
    let is_partial = question.is_partial && !store.is_old;
    let page = all.iter().skip(begin).take(limit);
    let items: Vec<Value> = page
        .map(|pod| if is_partial { partial(pod) } else { in_list(pod) })
        .collect();
    let end = begin + items.len();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    // It stops looking at the limit: what follows may be all of other nodes, and the last page empty.
    let goes_on = items.len() == limit;
    if goes_on {
        metadata["continue"] = format!("{version}/{end}").into();
    }
    if store.forgets_between_pages && goes_on {
        store.forgets_between_pages = false;
        store.change_elsewhere();
        store.oldest = store.version;
    }
    let (kind, group) = if is_partial {
        ("PartialObjectMetadataList", "meta.k8s.io/v1")
    } else {
        ("List", "v1")
    };
    let body = json!({"kind": kind, "apiVersion": group, "metadata": metadata, "items": items});
    Ok(response(StatusCode::OK, Body::from(body.to_string())))
}

fn watch(shared: &Shared, question: &Question) -> Result<Response, Refusal> {
    let mut store = shared.lock();
    let version = question.version.unwrap_or(store.version);
    let (mut sender, stream) = stream(question.is_partial && !store.is_old, question.has_bookmarks);
    // Any version: all pods first, and then what comes.
    let is_any = version == 0;
    if version < store.oldest && !is_any {
        let gone = Refusal::gone(version, store.oldest);
        if !store.says_gone_by_event {
            return Err(gone);
        }
        sender.event("ERROR", &gone.body());
        return Ok(streamed(stream));
    }
    if is_any {
        for pod in store.at(store.version) {
            sender.event("ADDED", &pod);
        }
    } else {
        for change in store.history.iter().filter(|change| change.version > version) {
            sender.event(change.kind, &change.pod);
        }
    }
    begin(&mut store, sender, question.seconds, shared);
    Ok(streamed(stream))
}

/// A whole pod as a list has it: the list says what all of them are.
fn in_list(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(fields) = pod.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    pod
}

/// Keeps the stream, and ends it after so many seconds.
fn begin(store: &mut Store, sender: Sender, seconds: Option<u64>, shared: &Shared) {
    store.begun += 1;
    let number = store.begun;
    store.watches.insert(number, sender);
    if let Some(seconds) = seconds.filter(|_| !store.never_ends) {
        let shared = shared.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(seconds)).await;
            shared.lock().watches.remove(&number);
        });
    }
}

/// Writes a map, or refuses.
fn write(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let mut store = shared.lock();
    let written = authenticate(headers, &store.token).and_then(|()| {
        let allowed = store.allowed.clone();
        maps::write(&mut store.maps, &allowed, method, uri, headers, body)
    });
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    store.asked.push(Asked {
        verb: written.as_ref().ok().map(|(verb, _)| *verb),
        uri: uri.to_string(),
        status: written
            .as_ref()
            .map_or_else(|refusal| refusal.0, |_| StatusCode::OK)
            .as_u16(),
        token: token.unwrap_or_default().trim_start_matches("Bearer ").to_owned(),
    });
    match written {
        Ok((_, map)) => response(StatusCode::OK, Body::from(map.to_string())),
        Err(refusal) => refused(&refusal),
    }
}

async fn strange(odd: Odd, shared: &Shared) -> Response {
    let Odd {
        status,
        headers,
        body,
        is_endless,
        is_silent,
    } = odd;
    if is_silent {
        return std::future::pending().await;
    }
    let (mut sender, stream) = stream(true, false);
    sender.raw(&body);
    if is_endless {
        tokio::spawn(async move {
            while sender.is_open() {
                sender.raw(&body);
                sleep(Duration::from_millis(1)).await;
            }
        });
    } else if headers.iter().any(|(name, _)| *name == HELD) {
        begin(&mut shared.lock(), sender, None, shared);
    }
    let mut response = response(StatusCode::from_u16(status).unwrap_or_default(), Body::new(stream));
    for (name, value) in headers {
        let value = value.parse().unwrap_or(header::HeaderValue::from_static(""));
        response.headers_mut().insert(name, value);
    }
    response
}

/// A header by which the stream stays open after its odd beginning.
pub(super) const HELD: &str = "x-held";

fn refused(refusal: &Refusal) -> Response {
    response(refusal.0, Body::from(refusal.body().to_string()))
}

fn streamed(stream: Stream) -> Response {
    response(StatusCode::OK, Body::new(stream))
}

fn response(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
