//! What the file says of workloads, as written.

use crate::kinds;
use schemars::JsonSchema;
use serde::Deserialize;

/// `workloads`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys enabled, source, node, pod_logs and merge_templates"
)]
pub(crate) struct RawWorkloads {
    /// Whether workloads are told apart where there is a source. If not, their labels are left out of every list.
    /// Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// Where names come from: none, and traffic is not separated by workload; cgroup, the paths of cgroups alone; pod-logs, the names of the
    /// folders of pods' logs besides; kubernetes, the API server besides; auto, kubernetes within a pod with a token and cgroup elsewhere.
    /// Default: `none`. Example: `cgroup`.
    #[schemars(with = "Option<kinds::SourceWord>")]
    pub(crate) source: Option<String>,
    /// The own node's name in Kubernetes. Default: the variable `NODE_NAME`. Example: `node-1`.
    #[schemars(with = "Option<kinds::Name>")]
    pub(crate) node: Option<String>,
    /// The folder that has a folder for each pod's logs. Default: `/var/log/pods`. Example: `/host/var/log/pods`.
    #[schemars(with = "Option<kinds::Folder>")]
    pub(crate) pod_logs: Option<String>,
    /// Whether units of one systemd template are one workload: worker@.service. Default: `true`. Example: `false`.
    pub(crate) merge_templates: Option<bool>,
}
