//! What an API server says, in values: pages of a list, events of a watch, and why it refuses.
//! It must never keep what is not asked for, nor a text longer than Kubernetes allows. From bytes; to `watch`.
//! What is kept of an object is said by its kind: `pods`, `nodes`.

pub(super) mod nodes;
pub(super) mod pods;

use super::resource::{Read, Resource, Unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest name of an object (a DNS subdomain), and of a UID.
const LONGEST_NAME: usize = 253;
/// Longest token of the server's own: versions, and where a list goes on. The latter holds a key and a version in Base64.
const LONGEST_TOKEN: usize = 4096;

/// A part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<O> {
    pub(super) objects: Vec<O>,
    /// Objects that cannot be told from others.
    pub(super) unusable: usize,
    /// What to watch from, after the last page.
    pub(super) version: String,
    /// Where the list goes on, if it does.
    pub(super) next: Option<String>,
}

/// A line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<O, K> {
    Added(O),
    Modified(O),
    Deleted {
        uid: K,
    },
    /// Nothing but the version has changed.
    Bookmark,
    /// Of an object that cannot be told from others, or of a kind to come.
    Unusable,
}

/// Why a server refuses: its `Status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    /// As over HTTP; zero where it says none.
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) message: String,
    kind: String,
}

/// What a line of a watch says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<O, K> {
    /// An event, and the version of the list after it.
    Event(Box<Event<O, K>>, String),
    /// The watch is over.
    Error(Status),
}

/// A page of a list.
///
/// # Errors
/// [`Unreadable`]
pub(super) fn page<R: Resource>(resource: &R, bytes: &[u8]) -> Result<Page<R::Object>, Unreadable> {
    let RawList { metadata, items } = serde_json::from_slice(bytes)?;
    let items = items.unwrap_or_default();
    let mut objects = Vec::with_capacity(items.len());
    for item in &items {
        objects.extend(resource.read(item.get())?.object);
    }
    Ok(Page {
        unusable: items.len() - objects.len(),
        objects,
        version: version(metadata.version)?,
        next: match metadata.next.filter(|next| !next.is_empty()) {
            None => None,
            Some(next) => Some(token(next).ok_or(Unreadable::Continue)?),
        },
    })
}

/// A line of a watch.
///
/// # Errors
/// [`Unreadable`]
pub(super) fn line<R: Resource>(resource: &R, bytes: &[u8]) -> Result<Line<R::Object, R::Key>, Unreadable> {
    // Twice, since what the object is stands beside it, and may stand behind it.
    let Kind { kind } = serde_json::from_slice(bytes)?;
    if kind == "ERROR" {
        let RawEvent::<Status> { object } = serde_json::from_slice(bytes)?;
        return Ok(Line::Error(object));
    }
    let RawEvent::<&RawValue> { object } = serde_json::from_slice(bytes)?;
    let Read {
        version: at,
        key,
        object,
    } = resource.read(object.get())?;
    let version = version(at)?;
    let event = match kind.as_str() {
        "BOOKMARK" => Some(Event::Bookmark),
        "ADDED" => object.map(Event::Added),
        "MODIFIED" => object.map(Event::Modified),
        "DELETED" => key.map(|uid| Event::Deleted { uid }),
        _ => None,
    };
    Ok(Line::Event(Box::new(event.unwrap_or(Event::Unusable)), version))
}

/// The `Status` that a refusal has for a body, if it is one.
pub(super) fn status(bytes: &[u8]) -> Option<Status> {
    let status: Status = serde_json::from_slice(bytes).ok()?;
    (status.kind == "Status").then_some(status)
}

#[derive(Deserialize)]
struct RawList<'a> {
    metadata: ListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct ListMeta {
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct RawEvent<T> {
    object: T,
}

/// A text that can be the name of something.
fn name(text: Option<String>) -> Option<String> {
    text.filter(|text| is_plain(text, LONGEST_NAME))
}

fn version(text: Option<String>) -> Result<String, Unreadable> {
    text.and_then(token).ok_or(Unreadable::Version)
}

fn token(text: String) -> Option<String> {
    Some(text).filter(|text| is_plain(text, LONGEST_TOKEN))
}

fn is_plain(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
