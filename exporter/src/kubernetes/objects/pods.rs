//! Pods of one node: their metadata, of which as much is kept as names a workload. A whole pod is read like its metadata.
//! It must never ask for more than that. Forms are those of `meta.k8s.io/v1`.

use super::name;
use crate::kubernetes::resource::{Read, Resource, Unreadable};
use humantime::parse_rfc3339;
use serde::Deserialize;
use std::time::UNIX_EPOCH;
use tcpvitals_config::ConfigError;
use tcpvitals_metrics::workloads::{
    path::PodId,
    pods::{Controller, PodMetadata},
};

/// The variable that a pod's template sets by `fieldRef: {fieldPath: spec.nodeName}`.
const NODE: &str = "NODE_NAME";

/// Longest value of a label.
const LONGEST_LABEL: usize = 63;

/// The pods of a node, in all namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    node: String,
}

impl Pods {
    /// Those of the node of this name.
    ///
    /// # Errors
    /// [`ConfigError`] when no node can have that name, or there is none.
    pub fn on(node: Option<&str>) -> Result<Self, ConfigError> {
        /// The longest DNS subdomain.
        const LONGEST: usize = 253;
        let Some(node) = node.filter(|node| !node.is_empty()) else {
            let what = "not set; set it in the pod's template by valueFrom: {fieldRef: {fieldPath: spec.nodeName}}";
            return Err(ConfigError::of_setting(NODE, what.to_owned()));
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if node.len() > LONGEST || !node.bytes().all(is_name) {
            let what = format!("{node:?} is no name of a node: lower-case letters, digits, dots and dashes");
            return Err(ConfigError::of_setting(NODE, what));
        }
        Ok(Self { node: node.to_owned() })
    }
}

impl Resource for Pods {
    type Object = PodMetadata;
    type Key = PodId;

    const PLURAL: &'static str = "pods";
    const SINGULAR: &'static str = "pod";
    const PURPOSE: &'static str = "workloads";
    /// Metadata alone, or whole objects from a server that has no such form (before Kubernetes 1.15).
    const LIST: &'static str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
    const WATCH: &'static str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
    /// More than a node can have.
    const MOST: usize = 10_000;

    fn selector(&self) -> Option<String> {
        Some(format!("spec.nodeName={}", self.node))
    }

    fn describe(&self) -> String {
        format!("pods of node {}", self.node)
    }

    fn read(&self, json: &str) -> Result<Read<PodMetadata, PodId>, Unreadable> {
        let RawPod { metadata } = serde_json::from_str(json)?;
        Ok(Read {
            version: metadata.version.clone(),
            key: id(metadata.uid.clone()),
            object: pod(metadata),
        })
    }
}

#[derive(Deserialize)]
struct RawPod {
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

/// Seconds since 1970 of a time by RFC 3339, as Kubernetes writes it: in UTC.
fn seconds(time: &str) -> Option<u64> {
    let time = parse_rfc3339(time).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_kubernetes_writes_it() {
        for (time, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
    }

    #[test]
    fn what_is_no_node_is_refused_with_a_remedy() {
        for (node, complaint) in [
            (None, "NODE_NAME: not set; set it in the pod's template by valueFrom"),
            (Some(""), "NODE_NAME: not set"),
            (Some("node1,metadata.name=x"), "is no name of a node"),
            (Some("Node1"), "is no name of a node"),
        ] {
            let error = Pods::on(node).unwrap_err().to_string();
            assert!(error.contains(complaint), "{node:?}: {error}");
        }
        let pods = Pods::on(Some("node-1.example")).unwrap();
        assert_eq!(pods.describe(), "pods of node node-1.example");
    }
}
