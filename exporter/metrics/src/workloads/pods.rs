//! Pods as an API server describes them: their metadata alone.

/// What is known of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMetadata {
    /// The pod's own, for good.
    pub uid: String,
    pub namespace: String,
    pub name: String,
    /// What its name was made of, if its controller left that to the API server.
    pub generate_name: Option<String>,
    /// The label `pod-template-hash`, which a Deployment gives.
    pub pod_template_hash: Option<String>,
    /// Who made it and keeps it.
    pub controller: Option<Controller>,
    /// Seconds since the epoch.
    pub created: Option<u64>,
    /// The annotation `kubernetes.io/config.hash`: what a static pod's cgroup has for a UID.
    pub config_hash: Option<String>,
    /// The annotation `kubernetes.io/config.source`: `file` or `http` for a static pod.
    pub config_source: Option<String>,
}

/// The owner of a pod that is marked as its controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// `ReplicaSet`, `DaemonSet`, `Job`, …
    pub kind: String,
    pub name: String,
}
