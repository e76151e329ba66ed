//! What a request must be like: in the order in which a real server looks, and where that would let much pass, narrower.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// A page of the list.
    List,
    /// A stream of events.
    Watch,
    /// A change of a map that is there.
    Patch,
    /// A map that is not there yet.
    Create,
}

impl Verb {
    /// As rules of RBAC say it.
    pub(super) fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Whose lists and watches are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Pods of one node, of whom metadata is all that is needed.
    Pods {
        /// Its name.
        node: String,
    },
    /// All nodes, whole.
    Nodes,
}

impl Subject {
    /// Their word.
    pub(super) const fn plural(&self) -> &'static str {
        match self {
            Self::Pods { .. } => "pods",
            Self::Nodes => "nodes",
        }
    }
}

/// A refusal: the status, its reason, and what it says.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) &'static str, pub(super) String);

impl Refusal {
    /// The `Status` of `meta/v1` that says so.
    pub(super) fn body(&self) -> Value {
        let Self(code, reason, message) = self;
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
            "code": code.as_u16(),
        });
        match *code {
            StatusCode::FORBIDDEN => body["details"] = json!({"kind": "pods"}),
            StatusCode::NOT_ACCEPTABLE => body["details"] = json!({}),
            _ => {}
        }
        body
    }

    /// A version that is not known any more.
    pub(super) fn gone(version: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {version} ({oldest})");
        Self(StatusCode::GONE, "Expired", message)
    }

    pub(super) fn bad(message: String) -> Self {
        Self(StatusCode::BAD_REQUEST, "BadRequest", message)
    }
}

/// A request that keeps the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) verb: Verb,
    /// Whether metadata alone is wanted.
    pub(super) is_partial: bool,
    /// None for the latest.
    pub(super) version: Option<u64>,
    pub(super) limit: Option<usize>,
    pub(super) next: Option<String>,
    pub(super) has_bookmarks: bool,
    pub(super) seconds: Option<u64>,
}

/// Parameters of the request, by name.
pub(super) fn parameters(uri: &Uri) -> Result<BTreeMap<String, String>, Refusal> {
    let mut parameters = BTreeMap::new();
    let url = format!("http://localhost{uri}");
    let pairs = url.split_once('?').map_or("", |(_, query)| query).split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = unescape(value).ok_or_else(|| Refusal::bad(format!("{name}={value} is no parameter")))?;
        if parameters.insert(name.to_owned(), value).is_some() {
            return Err(Refusal::bad(format!("{name} is there twice")));
        }
    }
    Ok(parameters)
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Who asks: the owner of the one token that is accepted.
pub(super) fn authenticate(headers: &HeaderMap, token: &str) -> Result<(), Refusal> {
    let value = headers.get(header::AUTHORIZATION);
    if value.is_some_and(|value| value.as_bytes() == format!("Bearer {token}").as_bytes()) {
        return Ok(());
    }
    Err(Refusal(
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "Unauthorized".to_owned(),
    ))
}

/// What is asked, if it may be asked of these.
pub(super) fn question(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    subject: &Subject,
) -> Result<Question, Refusal> {
    if method != Method::GET {
        let message = "the server does not allow this method on the requested resource".to_owned();
        return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message));
    }
    if uri.path() != format!("/api/v1/{}", subject.plural()) {
        let message = "the server could not find the requested resource".to_owned();
        return Err(Refusal(StatusCode::NOT_FOUND, "NotFound", message));
    }
    let mut parameters = parameters(uri)?;
    let mut take = |name: &str| parameters.remove(name);
    let (watch, bookmarks) = (take("watch"), take("allowWatchBookmarks"));
    let (version, limit, next) = (take("resourceVersion"), take("limit"), take("continue"));
    let (seconds, selector) = (take("timeoutSeconds"), take("fieldSelector"));
    if let Some(name) = parameters.keys().next() {
        return Err(Refusal::bad(format!("nobody needs the parameter {name}")));
    }
    // A real one would show the pods of all nodes.
    let wanted = match subject {
        Subject::Pods { node } => Some(format!("spec.nodeName={node}")),
        Subject::Nodes => None,
    };
    if selector != wanted {
        return Err(Refusal::bad(format!("the selector {selector:?} is not {wanted:?}")));
    }
    let verb = if flag(watch)? { Verb::Watch } else { Verb::List };
    let question = Question {
        verb,
        is_partial: accepts(headers, verb, subject)?,
        version: number("resourceVersion", version)?,
        limit: number("limit", limit)?.and_then(|limit| usize::try_from(limit).ok()),
        next,
        has_bookmarks: flag(bookmarks)?,
        seconds: number("timeoutSeconds", seconds)?,
    };
    if question.next.is_some() && question.version.is_some() {
        let message = "specifying resource version is not allowed when using continue".to_owned();
        return Err(Refusal::bad(message));
    }
    let is_mixed = match verb {
        Verb::List => question.has_bookmarks || question.seconds.is_some(),
        Verb::Watch | Verb::Patch | Verb::Create => question.limit.is_some() || question.next.is_some(),
    };
    if is_mixed || question.limit == Some(0) {
        return Err(Refusal::bad(format!("parameters that mean nothing to a {verb:?}")));
    }
    Ok(question)
}

fn flag(value: Option<String>) -> Result<bool, Refusal> {
    match value.as_deref() {
        None => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Refusal::bad(format!("{other:?} is no flag that is set"))),
    }
}

fn number(name: &str, value: Option<String>) -> Result<Option<u64>, Refusal> {
    let parse = |value: String| value.parse().map_err(|_error| Refusal::bad(no_number(name, &value)));
    value.map(parse).transpose()
}

/// In the words of the language that a real one is written in.
fn no_number(name: &str, value: &str) -> String {
    let parse = format!("strconv.ParseUint: parsing {value:?}: invalid syntax");
    format!("invalid resource version: {name}: Invalid value: {value:?}: {parse}")
}

/// Whether metadata alone is wanted: the first form in `Accept` that the server has.
fn accepts(headers: &HeaderMap, verb: Verb, subject: &Subject) -> Result<bool, Refusal> {
    let wanted = match verb {
        Verb::List => "PartialObjectMetadataList",
        Verb::Watch | Verb::Patch | Verb::Create => "PartialObjectMetadata",
    };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    for range in accept.unwrap_or_default().split(',') {
        let mut parts = range.split(';').map(str::trim);
        if parts.next() != Some("application/json") {
            continue;
        }
        let parameters: BTreeMap<&str, &str> = parts.filter_map(|part| part.split_once('=')).collect();
        let form = [("as", wanted), ("g", "meta.k8s.io"), ("v", "v1")];
        if parameters.is_empty() {
            return Ok(false);
        } else if parameters == form.into() && *subject != Subject::Nodes {
            return Ok(true);
        }
    }
    let message = "406: Not Acceptable".to_owned();
    Err(Refusal(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message))
}
