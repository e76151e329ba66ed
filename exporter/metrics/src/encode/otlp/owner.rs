//! Whose a point is, by the attributes that the semantic conventions have for it: the namespace, and the controller by its kind.
//! From the labels of a point; to its attributes.

use super::attribute::attribute;
use crate::{families::Point, workloads::is_special};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use tcpvitals_config::{TcpLabel, label::Label};

/// The namespace of workloads of any one: no namespace of Kubernetes.
const OF_ANY: &str = "tcpvitals.workload.namespace";

/// Kinds of controllers that the conventions have an attribute for.
const CONTROLLERS: [(&str, &str); 7] = [
    ("CronJob", "k8s.cronjob.name"),
    ("DaemonSet", "k8s.daemonset.name"),
    ("Deployment", "k8s.deployment.name"),
    ("Job", "k8s.job.name"),
    ("ReplicaSet", "k8s.replicaset.name"),
    ("ReplicationController", "k8s.replicationcontroller.name"),
    ("StatefulSet", "k8s.statefulset.name"),
];

/// The labels of a point that say whose it is; those that it does not have are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    kind: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Owner<'a> {
    pub(super) fn of(point: &'a Point) -> Self {
        let mut owner = Self { kind: None, name: None };
        for (label, value) in point.all_labels() {
            if label == TcpLabel::Workload.label() {
                owner.name = Some(value);
            } else if label == TcpLabel::WorkloadKind.label() {
                owner.kind = Some(value);
            }
        }
        owner
    }

    /// What a label is called, given its value.
    pub(super) fn key(&self, label: &Label, value: &str) -> &'static str {
        let is_of_any = || is_special(value) && self.name.is_none_or(|name| name == value);
        if label == TcpLabel::WorkloadNamespace.label() && is_of_any() {
            OF_ANY
        } else {
            label.attribute
        }
    }

    /// The controller by its kind, besides its name.
    pub(super) fn controller(&self) -> Option<KeyValue> {
        let kind = self.kind?;
        let (_, key) = CONTROLLERS.iter().find(|(known, _)| *known == kind)?;
        Some(attribute(*key, self.name?))
    }
}
