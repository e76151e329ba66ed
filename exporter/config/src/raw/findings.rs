//! What the file says of findings, as written.

use super::shapes::Pairs;
use crate::kinds;
use schemars::JsonSchema;
use serde::Deserialize;

/// `findings`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys enabled, ignore and thresholds"
)]
pub(crate) struct RawFindings {
    /// Whether to look for findings. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// Intended conditions: such findings count as muted, and appear nowhere else. Default: `[]`.
    /// Example: `[{finding: peer_reads_slowly, subnet: kafka}]`.
    pub(crate) ignore: Option<Vec<RawMute>>,
    /// Thresholds by the name of the finding; docs/findings.md lists names and defaults. Default: `{}`.
    /// Example: `{network_loss: {rate: 1, share: 0.02}}`.
    #[schemars(with = "Option<kinds::Thresholds>")]
    pub(crate) thresholds: Option<Pairs<RawThreshold>>,
}

/// One entry of `findings.ignore`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with the keys finding, subnet and workload"
)]
#[schemars(transform = kinds::mutes_something)]
pub(crate) struct RawMute {
    /// The name of a finding; any if absent. Example: `network_loss`.
    pub(crate) finding: Option<String>,
    /// The name of a subnet, as a pattern; any if absent. Example: `branch-*`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) subnet: Option<String>,
    /// The name of a workload, with its namespace, as a pattern; any if absent. Example: `batch/*`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) workload: Option<String>,
}

/// One value of `findings.thresholds`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the keys rate and share")]
pub(crate) struct RawThreshold {
    pub(crate) rate: Option<String>,
    pub(crate) share: Option<String>,
}
