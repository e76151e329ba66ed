//! Parts of the file that only say whether something is measured.

use schemars::JsonSchema;
use serde::Deserialize;

/// `local_loss`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key enabled")]
pub(crate) struct RawLocalLoss {
    /// Whether to remember dropped TCP data until it is retransmitted. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
}

/// `listeners`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key enabled")]
pub(crate) struct RawListeners {
    /// Whether to read the accept queues of listeners and to count the connections that they drop. Default: `true`. Example: `false`.
    pub(crate) enabled: Option<bool>,
}

/// `devices`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key enabled")]
pub(crate) struct RawDevices {
    /// Whether to read them; needs the host's network namespace. Default: `false`. Example: `true`.
    pub(crate) enabled: Option<bool>,
}
