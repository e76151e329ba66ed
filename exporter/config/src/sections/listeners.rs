//! Whether listeners are looked at.
//! It must never name a listener: their labels are those of flows. From `listeners` of the file; to the plan.

use crate::raw::RawListeners;

/// What is measured of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Whether they are looked at all.
    pub enabled: bool,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Listeners {
    pub(crate) fn parse(raw: &RawListeners) -> Self {
        let RawListeners { enabled } = raw;
        Self {
            enabled: enabled.unwrap_or(Self::default().enabled),
        }
    }
}
