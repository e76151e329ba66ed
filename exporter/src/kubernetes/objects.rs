//! What an API server says, in values: pages of a list, events of a watch, and why it refuses.
//! It must never keep what is not asked for, nor a text longer than Kubernetes allows. From bytes; to `watch`.
//! Forms are those of `meta.k8s.io/v1`; a whole pod is read like its metadata.

use humantime::parse_rfc3339;
use serde::Deserialize;
use std::time::UNIX_EPOCH;
use tcpvitals_metrics::workloads::{
    path::PodId,
    pods::{Controller, PodMetadata},
};

/// Longest name of an object (a DNS subdomain), and of a UID.
const LONGEST_NAME: usize = 253;
/// Longest value of a label.
const LONGEST_LABEL: usize = 63;
/// Longest token of the server's own: versions, and where a list goes on. The latter holds a key and a version in Base64.
const LONGEST_TOKEN: usize = 4096;

/// Bytes that are none of these forms.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no JSON of the expected form ({0})")]
    Json(#[from] serde_json::Error),
    #[error("it has no usable resourceVersion")]
    Version,
    #[error("it says nothing of where the list goes on that could be sent back")]
    Continue,
}

/// A part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) pods: Vec<PodMetadata>,
    /// Pods without a UID or a name that could be one.
    pub(super) unusable: usize,
    /// What to watch from, after the last page.
    pub(super) version: String,
    /// Where the list goes on, if it does.
    pub(super) next: Option<String>,
}

/// A line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Added(PodMetadata),
    Modified(PodMetadata),
    Deleted {
        uid: PodId,
    },
    /// Nothing but the version has changed.
    Bookmark,
    /// A pod without a UID or a name that could be one, or an event of a kind to come.
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
pub(super) enum Line {
    /// An event, and the version of the list after it.
    Event(Box<Event>, String),
    /// The watch is over.
    Error(Status),
}

/// A page of a list.
///
/// # Errors
/// [`Unreadable`]
pub(super) fn page(bytes: &[u8]) -> Result<Page, Unreadable> {
    let RawList { metadata, items } = serde_json::from_slice(bytes)?;
    let items = items.unwrap_or_default();
    let count = items.len();
    let pods: Vec<PodMetadata> = items.into_iter().filter_map(|item| pod(item.metadata)).collect();
    Ok(Page {
        unusable: count - pods.len(),
        pods,
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
pub(super) fn line(bytes: &[u8]) -> Result<Line, Unreadable> {
    // Twice, since what the object is stands beside it, and may stand behind it.
    let Kind { kind } = serde_json::from_slice(bytes)?;
    if kind == "ERROR" {
        let RawEvent::<Status> { object } = serde_json::from_slice(bytes)?;
        return Ok(Line::Error(object));
    }
    let RawEvent::<RawObject> { object } = serde_json::from_slice(bytes)?;
    let version = version(object.metadata.version.clone())?;
    let event = match kind.as_str() {
        "BOOKMARK" => Some(Event::Bookmark),
        "ADDED" => pod(object.metadata).map(Event::Added),
        "MODIFIED" => pod(object.metadata).map(Event::Modified),
        "DELETED" => id(object.metadata.uid).map(|uid| Event::Deleted { uid }),
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
struct RawList {
    metadata: ListMeta,
    items: Option<Vec<RawObject>>,
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

#[derive(Deserialize)]
struct RawObject {
    metadata: ObjectMeta,
}

/// `ObjectMeta`, as much of it as names a workload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectMeta {
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
    uid: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    generate_name: Option<String>,
    creation_timestamp: Option<String>,
    labels: Option<Labels>,
    annotations: Option<Annotations>,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Default, Deserialize)]
struct Labels {
    #[serde(rename = "pod-template-hash")]
    template: Option<String>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "kubernetes.io/config.hash")]
    hash: Option<String>,
    #[serde(rename = "kubernetes.io/config.source")]
    source: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    controller: Option<bool>,
}

/// None for one that cannot be told from others.
fn pod(metadata: ObjectMeta) -> Option<PodMetadata> {
    let ObjectMeta {
        version: _,
        uid,
        namespace,
        name: own_name,
        generate_name,
        creation_timestamp,
        labels,
        annotations,
        owner_references,
    } = metadata;
    let Labels { template } = labels.unwrap_or_default();
    let Annotations { hash, source } = annotations.unwrap_or_default();
    let mut owners = owner_references.unwrap_or_default().into_iter();
    let controller = owners.find(|owner| owner.controller == Some(true));
    Some(PodMetadata {
        uid: id(uid)?,
        namespace: name(namespace)?,
        name: name(own_name)?,
        generate_name: name(generate_name),
        pod_template_hash: name(template).filter(|hash| hash.len() <= LONGEST_LABEL),
        controller: controller.and_then(|owner| {
            Some(Controller {
                kind: name(Some(owner.kind))?,
                name: name(Some(owner.name))?,
            })
        }),
        created: creation_timestamp.and_then(|time| seconds(&time)),
        config_hash: id(hash),
        config_source: name(source),
    })
}

/// A text that can be the UID of a pod, or the hash of its manifest.
fn id(text: Option<String>) -> Option<PodId> {
    PodId::parse(&name(text)?)
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

/// Seconds since 1970 of a time by RFC 3339, as Kubernetes writes it: in UTC.
fn seconds(time: &str) -> Option<u64> {
    let time = parse_rfc3339(time).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests;
