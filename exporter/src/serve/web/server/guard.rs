//! What stands before every route: the host that is asked for, the rate limit, the password; and behind every route: the headers
//! that are added to all answers, and the account of their memory.
//! It must never let a request through to a route, not even to an unknown one, that may not pass.
//! Around the router of `http`; it asks for the web configuration of the moment at each request.

use axum::{
    body::{Body as AxumBody, to_bytes},
    extract::{Extension, Request, State},
    http::{HeaderMap, StatusCode, Version, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

use super::current::{Current, Web};
use crate::serve::web::{
    access::{
        login::{Compared, Logins, Shown},
        rate::Who,
        site::{self, Fault},
    },
    body::{Body, Delivery, Turn},
    connections::{Connection, Running},
    transport::stream::Entrance,
};
use tcpvitals_metrics::snapshot::Refusal;

/// Bodies up to this size are not accounted for: there are few connections.
const SMALL: usize = 16 << 10;

/// The paths that tell how the exporter does.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// What the guard decides by.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) web: Arc<Web>,
    pub(crate) logins: Arc<Logins>,
}

/// Lets a request through, or answers it.
pub(crate) async fn guard(
    State(gate): State<Arc<Gate>>,
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
    next: Next,
) -> Response {
    connection.turn(request.version() <= Version::HTTP_11).await;
    let running = connection.begin();
    let current = gate.web.current();
    let (parts, body) = request.into_parts();
    let mut response = match gate.admit(&current, &connection, &parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => refusal,
    };
    add(response.headers_mut(), &current.headers);
    let response = deliver(response, &connection, running).await;
    connection.all().report.served.answered(response.status().as_u16());
    response
}

impl Gate {
    /// Whether a request may pass; else the answer.
    async fn admit(&self, current: &Current, connection: &Connection, request: &Parts) -> Result<(), Response> {
        let peer = connection.peer;
        let report = &connection.all().report;
        if connection.only_health && !HEALTH.contains(&request.uri.path()) {
            let what = "you have too many connections (limits.connections_per_peer); close some, and ask again\n";
            let answer = later(StatusCode::SERVICE_UNAVAILABLE, 1, what);
            // The next connection may be one like others.
            return Err(([(header::CONNECTION, "close")], answer).into_response());
        }
        let headers = &request.headers;
        let is_loopback = request.extensions.get() == Some(&Entrance::Loopback);
        let is_only_guard = is_loopback && !current.config.has_auth();
        let host = site::host(request.version, &request.uri, headers);
        let host = host.and_then(|host| {
            if is_only_guard {
                site::require_local(host.as_ref())
            } else {
                Ok(())
            }
        });
        host.map_err(|fault| match fault {
            Fault::Malformed => malformed(),
            Fault::Foreign => {
                report.refuse(
                    Refusal::Host,
                    peer,
                    "a request to the loopback address names another host",
                );
                (StatusCode::FORBIDDEN, FOREIGN).into_response()
            }
        })?;
        let shown = current.login.shown(headers.get(header::AUTHORIZATION), &self.logins);
        let known = match &shown {
            Shown::Credentials(credentials) => self.logins.knows(&credentials.tag).then_some(credentials.tag),
            Shown::NotAsked | Shown::Nothing => None,
        };
        let who = match known {
            Some(tag) => Who::User(peer, tag),
            None if connection.is_certified() => Who::Certified(peer),
            None => Who::Stranger(peer),
        };
        if let Some(buckets) = current.buckets.as_ref().filter(|buckets| !buckets.take(who)) {
            report.refuse(Refusal::RateLimit, peer, "more requests than rate_limit allows");
            return Err(later(
                StatusCode::TOO_MANY_REQUESTS,
                buckets.pause(),
                "more requests than rate_limit of the web configuration allows; ask again after the seconds of Retry-After\n",
            ));
        }
        let credentials = match shown {
            Shown::NotAsked => return Ok(()),
            Shown::Nothing => return Err(unauthorized()),
            Shown::Credentials(_) if known.is_some() => {
                connection.logged_in();
                return Ok(());
            }
            Shown::Credentials(credentials) => credentials,
        };
        let is_known = connection.all().knows(peer);
        match current.login.compare(credentials, peer, is_known, &self.logins).await {
            Compared::Right => {
                connection.logged_in();
                Ok(())
            }
            Compared::Wrong => {
                report.refuse(Refusal::Password, peer, "a name or a password is wrong");
                Err(unauthorized())
            }
            Compared::Refused => {
                report.refuse(Refusal::Logins, peer, "too many passwords wait to be compared");
                Err(later(
                    StatusCode::TOO_MANY_REQUESTS,
                    1,
                    "too many passwords wait to be compared; ask again in a second\n",
                ))
            }
        }
    }
}

const FOREIGN: &str = "this address is for this host only, and the request names another host, as a page in a browser does whose DNS has \
                       been turned to this one; ask for localhost or an address, or set passwords with --web.config.file\n";

const UNAUTHORIZED: &str = "a name and its password are needed, one of basic_auth_users of the web configuration; with curl: \
                            -u NAME, in a scrape of Prometheus: basic_auth\n";

fn unauthorized() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic")];
    (StatusCode::UNAUTHORIZED, challenge, UNAUTHORIZED).into_response()
}

fn malformed() -> Response {
    let close = [(header::CONNECTION, "close")];
    let what = "a request names one host, in one Host header; send one, as HTTP/1.1 has it\n";
    (StatusCode::BAD_REQUEST, close, what).into_response()
}

/// Not now, but in so many seconds.
fn later(status: StatusCode, seconds: u64, what: impl IntoResponse) -> Response {
    (status, [(header::RETRY_AFTER, seconds.to_string())], what).into_response()
}

/// Refuses requests of pages of other origins: for routes that change something or show flows.
pub(crate) async fn own_pages_only(
    Extension(connection): Extension<Arc<Connection>>,
    request: Request,
    next: Next,
) -> Response {
    let host = site::host(request.version(), request.uri(), request.headers())
        .ok()
        .flatten();
    if site::is_cross_site(host.as_ref(), request.headers()) {
        let report = &connection.all().report;
        report.refuse(
            Refusal::CrossSite,
            connection.peer,
            "a page of another site asks for what is not for it",
        );
        let what = "a page of another site may not ask for this; open the page of this exporter, or ask with a program that is no \
                    browser\n";
        return (StatusCode::FORBIDDEN, what).into_response();
    }
    next.run(request).await
}

/// Hands an answer to its connection, with its share of the memory for answers; without room for it another answer.
async fn deliver(response: Response, connection: &Arc<Connection>, running: Running) -> Response {
    let (mut parts, body) = response.into_parts();
    let shared = parts.extensions.remove::<Arc<Body>>();
    // It ends once the answer's memory is in the account.
    let _turn = parts.extensions.remove::<Turn>();
    let bytes = match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, "an answer has no body");
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the answer has no body; the log says why\n",
            )
                .into_response();
        }
    };
    let body = match shared {
        Some(body) => Some(body),
        None if bytes.len() <= SMALL => None,
        None => match Body::own(bytes.clone(), connection.all()).await {
            Ok(body) => Some(body),
            Err(no_room) => {
                let report = &connection.all().report;
                report.refuse(
                    Refusal::AnswerMemory,
                    connection.peer,
                    "the memory for answers that wait is used up",
                );
                return later(StatusCode::SERVICE_UNAVAILABLE, 1, format!("{no_room}\n"));
            }
        },
    };
    Response::from_parts(parts, AxumBody::new(Delivery::new(bytes, body, running)))
}

/// What an answer says for itself stands: a second policy would forbid the page its own style and script.
fn add(own: &mut HeaderMap, configured: &HeaderMap) {
    for (name, value) in configured {
        own.entry(name).or_insert_with(|| value.clone());
    }
}
