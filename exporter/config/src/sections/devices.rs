//! Whether the host's devices and connection tracking are read.
//! It must never name a device: those of hardware are told apart by themselves. From `devices` of the file; to the collector.

use crate::raw::RawDevices;

/// What is read of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Whether they are read at all.
    pub enabled: bool,
}

impl Devices {
    pub(crate) fn parse(raw: &RawDevices) -> Self {
        let RawDevices { enabled } = raw;
        Self {
            enabled: enabled.unwrap_or_default(),
        }
    }
}
