//! What rules read of TCP: a few counters of a group, and who opened its connections.

use common::tcp::group::{Counter, Role};

/// The counters that rules read.
pub(super) const READ: [Counter; 30] = [
    Counter::DataSegmentsTransmitted,
    Counter::RetransmittedSegmentsOther,
    Counter::RetransmittedSegmentsTimeout,
    Counter::RetransmittedSegmentsTailLossProbe,
    Counter::RetransmittedSegmentsFast,
    Counter::LocallyDroppedSegments,
    Counter::RetransmittedAfterLocalDrop,
    Counter::Dsacks,
    Counter::ReorderingEvents,
    Counter::SenderBusyJiffies,
    Counter::ReceiveWindowJiffies,
    Counter::SendBufferJiffies,
    Counter::Opened,
    Counter::Closed,
    Counter::SynRetransmits,
    Counter::SynAckRetransmits,
    Counter::FailedRefused,
    Counter::FailedTimedOut,
    Counter::FailedUnanswered,
    Counter::FailedReset,
    Counter::FailedHostUnreachable,
    Counter::FailedNetworkUnreachable,
    Counter::FailedProhibited,
    Counter::FailedNoRoute,
    Counter::FailedNoLocalPort,
    Counter::FailedOther,
    Counter::ListenDropsAcceptQueue,
    Counter::ListenDropsSynQueue,
    Counter::ResetsReceived,
    Counter::ResetsInUse,
];

/// What the services of some connections were counted over all subnets. The kernel does not say whom a listener turned away: that
/// counts for no subnet, while who came in counts for the subnet of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Everywhere {
    /// [`Counts::server_opens`]
    pub(super) server_opens: u64,
    /// [`Counter::ListenDropsAcceptQueue`]
    pub(super) accept_queue_full: u64,
}

impl Everywhere {
    pub(super) const fn add(&mut self, more: Self) {
        self.server_opens += more.server_opens;
        self.accept_queue_full += more.accept_queue_full;
    }
}

/// Sums of the counters that rules read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    counters: [u64; READ.len()],
    /// [`Counter::Opened`] of connections that this host opened.
    pub(super) client_opens: u64,
    /// [`Counter::Closed`] of those.
    pub(super) client_closes: u64,
    /// [`Counter::ResetsInUse`] of those.
    pub(super) client_resets_in_use: u64,
    /// The same, of those that peers opened.
    pub(super) server_opens: u64,
    /// [`Counter::Closed`] of those.
    pub(super) server_closes: u64,
    /// [`Counter::ResetsReceived`] of those and of listeners.
    pub(super) server_resets: u64,
    /// Nothing until the window is summed up.
    pub(super) everywhere: Everywhere,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            counters: [0; READ.len()],
            client_opens: 0,
            client_closes: 0,
            client_resets_in_use: 0,
            server_opens: 0,
            server_closes: 0,
            server_resets: 0,
            everywhere: Everywhere::default(),
        }
    }
}

impl Counts {
    /// The sum of one counter; 0 for one that no rule reads.
    pub(super) fn get(&self, counter: Counter) -> u64 {
        let place = READ.iter().position(|own| *own == counter);
        place
            .and_then(|place| self.counters.get(place))
            .copied()
            .unwrap_or_default()
    }

    /// The sum of several.
    pub(super) fn sum(&self, counters: &[Counter]) -> u64 {
        counters.iter().map(|counter| self.get(*counter)).sum()
    }

    /// Of these counts what is summed over all subnets.
    pub(super) fn own_part(&self) -> Everywhere {
        Everywhere {
            server_opens: self.server_opens,
            accept_queue_full: self.get(Counter::ListenDropsAcceptQueue),
        }
    }

    /// Adds what connections of a role were counted.
    pub(super) fn add(&mut self, role: Role, grown: &[(u8, u32)]) {
        for (place, more) in grown {
            let more = u64::from(*more);
            let Some(counter) = READ.get(usize::from(*place)) else {
                continue;
            };
            if let Some(sum) = self.counters.get_mut(usize::from(*place)) {
                *sum += more;
            }
            match (role, counter) {
                (Role::Client, Counter::Opened) => self.client_opens += more,
                (Role::Client, Counter::Closed) => self.client_closes += more,
                (Role::Client, Counter::ResetsInUse) => self.client_resets_in_use += more,
                (Role::Server, Counter::Opened) => self.server_opens += more,
                (Role::Server, Counter::Closed) => self.server_closes += more,
                (Role::Server, Counter::ResetsReceived) => self.server_resets += more,
                _ => {}
            }
        }
    }

    /// Adds other sums.
    pub(super) fn merge(&mut self, other: &Self) {
        let Self {
            counters,
            client_opens,
            client_closes,
            client_resets_in_use,
            server_opens,
            server_closes,
            server_resets,
            everywhere,
        } = self;
        for (sum, more) in counters.iter_mut().zip(&other.counters) {
            *sum += more;
        }
        *client_opens += other.client_opens;
        *client_closes += other.client_closes;
        *client_resets_in_use += other.client_resets_in_use;
        *server_opens += other.server_opens;
        *server_closes += other.server_closes;
        *server_resets += other.server_resets;
        everywhere.add(other.everywhere);
    }
}
