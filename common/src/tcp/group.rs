//! A group: all flows with the same labels. Its counters lie in one slot.

use crate::{
    closed::closed_set,
    histogram::{DURATION_BUCKETS, Histogram, RTT_BUCKETS, TIME_BUCKETS, not_below},
    kernel::fields::global,
    net::address::SubnetKey,
    tcp::ConnectFailure,
    workload::Number,
};
use zerocopy::FromBytes;

closed_set! {
    /// Who opened a connection: the value of the `role` label.
    Role {
        /// The flow is older than the exporter and its ports do not tell.
        Unknown = "unknown",
        /// This host opened it.
        Client = "client",
        /// The peer opened it.
        Server = "server",
    }
}

impl Role {
    /// The likely role in a flow whose beginning was not seen: the end whose port is in the protocol table serves.
    #[inline(always)]
    pub const fn of_ports(local_known: bool, remote_known: bool) -> Self {
        match (local_known, remote_known) {
            (true, false) => Self::Server,
            (false, true) => Self::Client,
            _ => Self::Unknown,
        }
    }
}

/// The labels of a flow. The key of the map `GROUP_SLOTS` is [`GroupKey::words`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes)]
#[repr(C)]
pub struct GroupKey {
    /// Subnet of the remote address.
    pub subnet: SubnetKey,
    /// Number of the application protocol in the configuration; 0 is `other`.
    pub protocol: u16,
    /// A [`crate::net::connection::ConnectionType`].
    pub connection: u8,
    /// A [`Role`].
    pub role: u8,
    /// Whose the flow is.
    pub workload: Number,
    /// 0.
    pub reserved: u16,
}

impl GroupKey {
    /// How many words hold it.
    pub const WORDS: usize = 3;

    /// The key of these words.
    #[expect(clippy::cast_possible_truncation, reason = "takes words apart")]
    pub const fn from_words([first, second, third]: [u64; Self::WORDS]) -> Self {
        Self {
            subnet: SubnetKey {
                words: [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32],
                kind: third as u32 & 0xffff,
            },
            workload: (third >> 16) as u16,
            protocol: (third >> 32) as u16,
            connection: (third >> 48) as u8,
            role: (third >> 56) as u8,
            reserved: 0,
        }
    }

    /// The key as the map has it, in as few words as hold it; as words for the reason that [`crate::drops::DropKey::words`] gives.
    #[inline(always)]
    pub const fn words(&self) -> [u64; Self::WORDS] {
        let Self {
            subnet: SubnetKey { words, kind },
            protocol,
            connection,
            role,
            workload,
            reserved: _,
        } = *self;
        [
            words[0] as u64 | (words[1] as u64) << 32,
            words[2] as u64 | (words[3] as u64) << 32,
            // Kinds of subnets are a handful: bits 8 to 15 are free.
            kind as u64
                | (workload as u64) << 16
                | (protocol as u64) << 32
                | (connection as u64) << 48
                | (role as u64) << 56,
        ]
    }
}

macro_rules! counters {
    ({ $($(#[$row:meta])* $global:ident: $type:ty = $structure:literal . $member:literal as $here:ident =>
        Counter::$kept:ident, FlowRecord::$number:ident;)+ }
     $($(#[$doc:meta])* $name:ident,)+) => {
        /// A counter of a group: the index into [`GroupCounters::counters`]. Those that the kernel keeps come first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Counter {
            $(
                #[doc = concat!("`", $structure, ".", $member, "`:")]
                $(#[$row])*
                $kept,
            )+
            $($(#[$doc])* $name,)+
        }

        impl Counter {
            /// Every counter, in the order of its index.
            pub const ALL: &'static [Self] = &[$(Self::$kept,)+ $(Self::$name,)+];
            /// Number of counters.
            pub const COUNT: usize = Self::ALL.len();

            /// The global of the kernel's field that it adds up, if it is one.
            pub const fn field(self) -> Option<&'static str> {
                match self {
                    $(Self::$kept => Some(global::$global),)+
                    $(Self::$name => None,)+
                }
            }
        }
    };
}

crate::kept_counters! { [counters]
    /// Retransmitted segments of the kind [`Timeout`](crate::tcp::retransmission::RetransmissionKind::Timeout)
    RetransmittedSegmentsTimeout,
    /// Retransmitted segments of the kind [`TailLossProbe`](crate::tcp::retransmission::RetransmissionKind::TailLossProbe)
    RetransmittedSegmentsTailLossProbe,
    /// Retransmitted segments of the kind [`Fast`](crate::tcp::retransmission::RetransmissionKind::Fast)
    RetransmittedSegmentsFast,
    /// SYNs sent again
    SynRetransmits,
    /// retransmitted SYN-ACKs
    SynAckRetransmits,
    /// Segments of a local flow that this host dropped itself on their way out
    LocallyDroppedSegments,
    /// Retransmitted segments whose transmission before this host had dropped
    RetransmittedAfterLocalDrop,
    /// Duplicate acknowledgments received (RFC 5681)
    DuplicateAcks,
    /// Segments received with a SACK option (RFC 2018)
    Sacks,
    /// Blocks in them
    SackBlocks,
    /// `tcp_sock.chrono_stat`, all three, in jiffies
    SenderBusyJiffies,
    /// `chrono_stat` of `TCP_CHRONO_RWND_LIMITED`, in jiffies
    ReceiveWindowJiffies,
    /// `chrono_stat` of `TCP_CHRONO_SNDBUF_LIMITED`, in jiffies
    SendBufferJiffies,
    /// Entries into `TCP_CA_Disorder`
    DisorderEntries,
    /// Entries into `TCP_CA_CWR`
    CwrEntries,
    /// Entries into `TCP_CA_Recovery`
    RecoveryEntries,
    /// Entries into `TCP_CA_Loss`
    LossEntries,
    /// Entries into `TCP_CA_Recovery` that the sender undid, because nothing had been lost
    RecoveriesUndone,
    /// Entries into `TCP_CA_Loss` that the sender undid, because nothing had been lost
    LossesUndone,
    /// Connections established
    Opened,
    /// Connections closed
    Closed,
    /// Active opens that failed: `ECONNREFUSED`
    FailedRefused,
    /// Active opens that failed: `ETIMEDOUT`
    FailedTimedOut,
    /// Active opens that failed: `ECONNRESET`
    FailedReset,
    /// Active opens that failed: `EHOSTUNREACH` and its kin
    FailedHostUnreachable,
    /// Active opens that failed: `ENETUNREACH` and its kin
    FailedNetworkUnreachable,
    /// Active opens that failed: `EACCES`
    FailedProhibited,
    /// Active opens that the application gave up after a retransmitted SYN
    FailedUnanswered,
    /// Active opens that the application gave up before that
    FailedCancelled,
    /// Active opens that failed before the SYN: the route was gone
    FailedNoRoute,
    /// Active opens that failed before the SYN: no local port was free
    FailedNoLocalPort,
    /// Active opens that failed otherwise
    FailedOther,
    /// SYNs and last ACKs of handshakes that a listener turned away: its accept queue was full
    ListenDropsAcceptQueue,
    /// SYNs that a listener turned away: its SYN queue was full
    ListenDropsSynQueue,
    /// Handshakes that a listener turned away otherwise
    ListenDropsOther,
    /// Resets sent
    ResetsTransmitted,
    /// Resets received
    ResetsReceived,
    /// Connections in use that a reset of the peer ended ([`is_in_use`](crate::tcp::is_in_use))
    ResetsInUse,
}

impl Counter {
    /// The counter of active opens that failed so.
    #[inline(always)]
    pub const fn of_failure(failure: ConnectFailure) -> Self {
        match failure {
            ConnectFailure::Refused => Self::FailedRefused,
            ConnectFailure::TimedOut => Self::FailedTimedOut,
            ConnectFailure::Unanswered => Self::FailedUnanswered,
            ConnectFailure::Cancelled => Self::FailedCancelled,
            ConnectFailure::Reset => Self::FailedReset,
            ConnectFailure::HostUnreachable => Self::FailedHostUnreachable,
            ConnectFailure::NetworkUnreachable => Self::FailedNetworkUnreachable,
            ConnectFailure::Prohibited => Self::FailedProhibited,
            ConnectFailure::NoRoute => Self::FailedNoRoute,
            ConnectFailure::NoLocalPort => Self::FailedNoLocalPort,
            ConnectFailure::Other => Self::FailedOther,
        }
    }
}

/// What the hooks and the fold add up for one group, in one shard: the value of the map `GROUPS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct GroupCounters {
    /// By [`Counter`].
    pub counters: [u64; Counter::COUNT],
    /// Round-trip times in microseconds.
    pub rtt: Histogram<RTT_BUCKETS>,
    /// Handshake times in microseconds.
    pub handshake: Histogram<TIME_BUCKETS>,
    /// Times from established to closed, in microseconds.
    pub duration: Histogram<DURATION_BUCKETS>,
}

impl Default for GroupCounters {
    fn default() -> Self {
        Self {
            counters: [0; Counter::COUNT],
            rtt: Histogram::default(),
            handshake: Histogram::default(),
            duration: Histogram::default(),
        }
    }
}

impl GroupCounters {
    /// One counter.
    pub const fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// Adds the counters of another CPU or group.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            counters,
            rtt,
            handshake,
            duration,
        } = self;
        for (counter, more) in counters.iter_mut().zip(&other.counters) {
            *counter = counter.wrapping_add(*more);
        }
        rtt.merge(&other.rtt);
        handshake.merge(&other.handshake);
        duration.merge(&other.duration);
    }

    /// What has been added since `before`.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        let Self {
            counters,
            rtt,
            handshake,
            duration,
        } = &mut self;
        for (counter, old) in counters.iter_mut().zip(&before.counters) {
            *counter = counter.wrapping_sub(*old);
        }
        *rtt = rtt.since(&before.rtt);
        *handshake = handshake.since(&before.handshake);
        *duration = duration.since(&before.duration);
        self
    }

    /// Raises every number to what it was before, so that none ever falls.
    pub fn clamp(&mut self, before: &Self) {
        let Self {
            counters,
            rtt,
            handshake,
            duration,
        } = self;
        for (counter, old) in counters.iter_mut().zip(&before.counters) {
            *counter = not_below(*counter, *old);
        }
        rtt.clamp(&before.rtt);
        handshake.clamp(&before.handshake);
        duration.clamp(&before.duration);
    }
}

/// The slot of flows and events that no slot of their own could be found for.
pub const OTHER_SLOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_served_port_tells_the_role_of_an_old_flow() {
        assert_eq!(Role::of_ports(true, false), Role::Server);
        assert_eq!(Role::of_ports(false, true), Role::Client);
        assert_eq!(Role::of_ports(true, true), Role::Unknown);
        assert_eq!(Role::of_ports(false, false), Role::Unknown);
    }

    #[test]
    fn a_key_survives_its_words() {
        let key = GroupKey {
            subnet: SubnetKey {
                words: [0x0102_0304, 0x0506_0708, 0x090a_0b0c, 0x0d0e_0f10],
                kind: 0x1314,
            },
            protocol: 0x1516,
            connection: 0x17,
            role: 0x18,
            workload: 0x191a,
            reserved: 0,
        };
        assert_eq!(GroupKey::from_words(key.words()), key);
    }

    #[test]
    fn a_sum_never_falls_and_a_negative_moment_is_not_shown() {
        let with = |opened: u64| {
            let mut group = GroupCounters::default();
            group.counters[Counter::Opened as usize] = opened;
            group
        };
        let check = |before, now, expected| {
            let mut group = with(now);
            group.clamp(&with(before));
            assert_eq!(group.get(Counter::Opened), expected, "{before} then {now}");
        };
        check(10, 12, 12);
        check(10, 9, 10);
        check(0, 3u64.wrapping_neg(), 0);
    }

    #[test]
    fn counters_are_indexed_in_order() {
        for (index, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index);
        }
        assert_eq!(
            size_of::<GroupCounters>(),
            8 * (Counter::COUNT + RTT_BUCKETS + TIME_BUCKETS + DURATION_BUCKETS + 3)
        );
    }
}
