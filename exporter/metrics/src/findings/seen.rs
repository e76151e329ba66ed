//! What rules look at beside the counts of TCP: drop sites, and what the host says beside them.

use crate::host::Host;

/// Where and why packets were dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    pub(super) location: String,
    pub(super) reason: String,
    /// A word of [`tcpvitals_config::Class`].
    pub(super) class: String,
    /// `receive` or `transmit`.
    pub(super) direction: String,
    pub(super) protocol: String,
    pub(super) subnet: String,
    /// With its namespace; "" where workloads are not told apart.
    pub(super) workload: String,
}

/// What the host says beside its drop sites, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Dropped because the table of connection tracking was full.
    pub(super) conntrack_full: u64,
    pub(super) lost_by_devices: u64,
}

impl Beside {
    pub(super) fn of(host: &Host) -> Self {
        let failures = host.conntrack.as_ref().and_then(|conntrack| conntrack.failures);
        Self {
            conntrack_full: failures.map_or(0, |failures| failures.drop),
            lost_by_devices: host.lost.values().sum(),
        }
    }

    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            conntrack_full: self.conntrack_full.saturating_sub(before.conntrack_full),
            lost_by_devices: self.lost_by_devices.saturating_sub(before.lost_by_devices),
        }
    }

    /// What it counted before goes on where it cannot be read for a while.
    pub(super) fn at_least(self, before: Self) -> Self {
        Self {
            conntrack_full: self.conntrack_full.max(before.conntrack_full),
            lost_by_devices: self.lost_by_devices.max(before.lost_by_devices),
        }
    }

    pub(super) const fn add(&mut self, more: Self) {
        self.conntrack_full += more.conntrack_full;
        self.lost_by_devices += more.lost_by_devices;
    }
}
