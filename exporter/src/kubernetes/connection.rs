//! Asks an API server once: for a page of a list, for a watch, or to write an object.
//! It must never try twice, follow a redirect, or read more than can be right. From `request`; to `watch` and `write`.

use super::{
    in_cluster::Api,
    lines::TooLong,
    objects::{self, Page},
    request::{self, Part},
    resource::Resource,
    status::{Fault, Kind, Question, Verb},
};
use crate::client::{Http, USER_AGENT, chain, http};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use prost::bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

/// Largest page that is read. The metadata of a pod can have a MiB in theory, and has 5 KiB; a node has some 20 KiB.
const LARGEST_PAGE: usize = 16 << 20;
/// Most of a refusal that is read.
const LARGEST_REFUSAL: usize = 64 << 10;

/// Why there is no answer that helps.
#[derive(Debug)]
pub(crate) enum Setback {
    /// The version, or the token of a page, is too old (410).
    Gone,
    /// A page is larger than is read.
    TooLarge,
    /// The stream of a watch has broken, or an empty one ended at once: a pause, and on.
    Broken,
    /// It may list and not watch (403).
    MayOnlyList(Fault),
    /// Something is wrong.
    Failed {
        /// What.
        fault: Fault,
        /// How long the server asked not to be asked.
        asked: Option<Duration>,
    },
}

impl From<Fault> for Setback {
    fn from(fault: Fault) -> Self {
        Self::Failed { fault, asked: None }
    }
}

impl From<TooLong> for Setback {
    fn from(error: TooLong) -> Self {
        Fault::new(
            Kind::Answer,
            format!("the watch brings {error}; see that an API server of Kubernetes runs there"),
        )
        .into()
    }
}

/// An object to be written.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) question: Question,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    /// The type of the body.
    pub(super) form: &'static str,
    pub(super) body: Bytes,
}

/// A client that trusts the authority as it was when it was made.
#[derive(Debug)]
pub(super) struct Connection {
    http: Http<Full<Bytes>>,
}

impl Connection {
    /// One with no connection yet. In a cluster nobody stands between a pod and the API server: proxies of the environment are not asked.
    pub(super) fn new(api: &Api) -> Result<Self, Fault> {
        Ok(Self {
            http: http(false, api.tls()?, None),
        })
    }

    /// A page of the list.
    pub(super) async fn page<R: Resource>(
        &self,
        api: &Api,
        resource: &R,
        part: &Part,
        limit: u32,
    ) -> Result<Page<R::Object>, Setback> {
        let path = request::list(resource, part, limit);
        let read = async {
            let question = Question::new(Verb::List, R::PLURAL);
            let answer = self.get(api, question, R::LIST, &path).await?;
            let body = Limited::new(answer.into_body(), LARGEST_PAGE).collect().await;
            match body {
                Ok(body) => objects::page(resource, &body.to_bytes()).map_err(|error| unreadable(api, &error).into()),
                Err(error) if error.is::<LengthLimitError>() => Err(Setback::TooLarge),
                Err(error) => Err(broken(api, &chain(&*error)).into()),
            }
        };
        in_time(api, read).await
    }

    /// The stream of a watch.
    pub(super) async fn watch<R: Resource>(
        &self,
        api: &Api,
        resource: &R,
        version: &str,
        seconds: u64,
    ) -> Result<Incoming, Setback> {
        let path = request::watch(resource, version, seconds);
        let question = Question::new(Verb::Watch, R::PLURAL);
        let answer = in_time(api, self.get(api, question, R::WATCH, &path)).await?;
        Ok(answer.into_body())
    }

    /// Writes an object: whether there was a place for it. 404 and 409 say that there was none.
    pub(super) async fn write(&self, api: &Api, change: &Change) -> Result<bool, Setback> {
        let request = Request::builder()
            .method(change.method.clone())
            .uri(format!("{}{}", api.server(), change.path))
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::CONTENT_TYPE, HeaderValue::from_static(change.form))
            .body(Full::from(change.body.clone()));
        let written = async {
            let answer = self.send(api, request).await?;
            match answer.status() {
                status if status.is_success() => Ok(true),
                StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(false),
                _ => Err(refused(api, change.question, answer).await),
            }
        };
        in_time(api, written).await
    }

    /// An answer that is a success, and JSON.
    async fn get(
        &self,
        api: &Api,
        question: Question,
        accept: &'static str,
        path: &str,
    ) -> Result<Response<Incoming>, Setback> {
        let request = Request::get(format!("{}{path}", api.server()))
            .header(header::ACCEPT, HeaderValue::from_static(accept))
            .body(Full::default());
        let answer = self.send(api, request).await?;
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        match answer.status() {
            StatusCode::OK if is_json => Ok(answer),
            StatusCode::OK => Err(unreadable(api, &"it is no JSON").into()),
            StatusCode::GONE => Err(Setback::Gone),
            _ => Err(refused(api, question, answer).await),
        }
    }

    /// Sends a request with what every one has.
    async fn send(
        &self,
        api: &Api,
        request: Result<Request<Full<Bytes>>, http::Error>,
    ) -> Result<Response<Incoming>, Setback> {
        // The URL was parsed before.
        let mut request = request.map_err(|error| Fault::new(Kind::Answer, error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, api.authorization()?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let answer = self.http.request(request).await;
        answer.map_err(|error| broken(api, &chain(&error)).into())
    }
}

/// The server does not do what it was asked to.
async fn refused(api: &Api, question: Question, answer: Response<Incoming>) -> Setback {
    let status = answer.status().as_u16();
    let asked = answer.headers().get(header::RETRY_AFTER);
    let asked = asked.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let body = Limited::new(answer.into_body(), LARGEST_REFUSAL).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    Setback::Failed {
        fault: Fault::of_refusal(question, status, &body, api.server()),
        asked: asked.map(Duration::from_secs),
    }
}

/// What comes within the time for an answer.
async fn in_time<T>(api: &Api, answer: impl Future<Output = Result<T, Setback>>) -> Result<T, Setback> {
    let limit = api.pace().answer;
    let answer = timeout(limit, answer).await;
    answer.unwrap_or_else(|_elapsed| Err(broken(api, &format!("nothing within {limit:?}")).into()))
}

/// The connection failed.
pub(super) fn broken(api: &Api, error: &str) -> Fault {
    Fault::of_error(error, api.server(), api.authority())
}

/// The answer is none of an API server.
pub(super) fn unreadable(api: &Api, error: &dyn std::fmt::Display) -> Fault {
    let what = format!(
        "the answer of {} cannot be read: {error}; see that an API server of Kubernetes runs there",
        api.server()
    );
    Fault::new(Kind::Answer, what)
}
