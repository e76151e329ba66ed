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
    /// Whether collections are judged. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
    /// What is meant to be so: it is counted as muted, and shown nowhere else. Default: `[]`.
    /// Example: `[{finding: peer_reads_slowly, subnet: kafka}]`.
    pub(crate) ignore: Option<Vec<RawMute>>,
    /// From where on something is a finding, by its word; docs/findings.md has words and defaults.
    /// Default: `{}`.
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
    /// The word of a finding; without it any. Example: `network_loss`.
    pub(crate) finding: Option<String>,
    /// The name of a subnet, as a pattern; without it any. Example: `branch-*`.
    #[schemars(with = "Option<kinds::Glob>")]
    pub(crate) subnet: Option<String>,
    /// The name of a workload, with its namespace, as a pattern; without it any. Example: `batch/*`.
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
