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
    /// Whether to separate traffic by workload if there is a source. If not, every list of labels omits those of workloads. Default:
    /// `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// Source of the names. none: traffic is not separated by workload; cgroup: the paths of cgroups; pod-logs: also the names of the
    /// folders of pods' logs; kubernetes: also the API server; auto: kubernetes in a pod with a token, cgroup elsewhere. Default: `none`.
    /// Example: `cgroup`.
    #[schemars(with = "Option<kinds::SourceWord>")]
    pub(crate) source: Option<String>,
    /// Name of this node in Kubernetes. Default: the variable `NODE_NAME`. Example: `node-1`.
    #[schemars(with = "Option<kinds::Name>")]
    pub(crate) node: Option<String>,
    /// The folder that contains the folders of pods' logs. Default: `/var/log/pods`. Example: `/host/var/log/pods`.
    #[schemars(with = "Option<kinds::Folder>")]
    pub(crate) pod_logs: Option<String>,
    /// Whether units of one systemd template are one workload: worker@.service. Default: `true`. Example: `false`.
    pub(crate) merge_templates: Option<bool>,
}
