//! What the programs are loaded for: each command runs those that it reads, and no others.

use crate::plan::off::Off;
use common::{kernel::fields::fact, map::detail::Detail};

/// Who reads what the programs find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `serve`, and whatever else reads counters and live flows.
    Serve,
    /// `trace`: every event of a flow, and live flows.
    Trace,
    /// `capture`: the packets that are dropped.
    Capture,
}

/// What the operator selects to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// How much of TCP.
    pub detail: Detail,
    /// Whether packets that are dropped.
    pub drops: bool,
    /// Whether workloads are told apart.
    pub workloads: Workloads,
    /// Whether retransmissions are told apart by what this host dropped.
    pub local_loss: bool,
    /// Whether listeners are looked at.
    pub listeners: bool,
}

/// Whether workloads are told apart, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workloads {
    /// They are.
    Apart,
    /// Nobody says what they are called.
    NoSource,
    /// They are switched off.
    Disabled,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            detail: Detail::default(),
            drops: true,
            workloads: Workloads::NoSource,
            local_loss: true,
            listeners: true,
        }
    }
}

/// What a program is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Adds up what live flows have counted.
    Fold,
    /// Looks at listeners.
    Listeners,
    /// Shows live flows one by one.
    Dump,
    /// Sees flows open, change and close.
    Tcp,
    /// Sees every segment that a flow receives.
    SegmentPath,
    /// Sees packets that the network stack drops.
    Drops,
    /// Sees what hardware and XDP drop, mostly before there is an `sk_buff`.
    OtherDrops,
    /// Sees cgroups come and go.
    Workloads,
}

impl Purpose {
    /// Why a part is not wanted; `None` when it is.
    pub(crate) fn why_off(self, part: Part, selection: Selection) -> Option<Off> {
        let Selection {
            detail,
            drops,
            workloads,
            local_loss: _,
            listeners,
        } = selection;
        let without_tcp = matches!(detail, Detail::Off);
        let by_detail = |off: bool| off.then_some(Off::Detail(detail));
        let by_listeners = (!listeners).then_some(Off::Listeners);
        let by_drops = (!drops).then_some(Off::Drops);
        match (self, part) {
            (Self::Serve, Part::Fold | Part::Dump | Part::Tcp) => by_detail(without_tcp),
            (Self::Serve, Part::Listeners) => by_detail(without_tcp).or(by_listeners),
            (Self::Serve, Part::SegmentPath) => by_detail(!matches!(detail, Detail::Full)),
            // A flow's record counts the segments that this host dropped.
            (Self::Serve | Self::Trace, Part::Drops | Part::OtherDrops) => by_drops,
            (Self::Serve | Self::Trace | Self::Capture, Part::Workloads) => match workloads {
                Workloads::Apart => None,
                Workloads::NoSource => Some(Off::NoSource),
                Workloads::Disabled => Some(Off::Workloads),
            },
            (Self::Trace, Part::Fold | Part::Listeners) => Some(Off::Trace),
            (Self::Trace, Part::Dump | Part::Tcp | Part::SegmentPath) | (Self::Capture, Part::Drops) => None,
            (
                Self::Capture,
                Part::Fold | Part::Listeners | Part::Dump | Part::Tcp | Part::SegmentPath | Part::OtherDrops,
            ) => Some(Off::Capture),
        }
    }

    /// The facts that it decides. Code that depends on one which is not set is not in the program that runs.
    pub(crate) fn facts(self) -> [(&'static str, u64); 2] {
        [
            (fact::HAS_EVENTS, u64::from(self == Self::Trace)),
            (fact::HAS_PACKETS, u64::from(self == Self::Capture)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 8] = [
        Part::Fold,
        Part::Listeners,
        Part::Dump,
        Part::Tcp,
        Part::SegmentPath,
        Part::Drops,
        Part::OtherDrops,
        Part::Workloads,
    ];

    const EVERYTHING: Selection = Selection {
        detail: Detail::Full,
        drops: true,
        workloads: Workloads::Apart,
        local_loss: true,
        listeners: true,
    };

    fn on(purpose: Purpose, selection: Selection) -> Vec<Part> {
        PARTS
            .into_iter()
            .filter(|part| purpose.why_off(*part, selection).is_none())
            .collect()
    }

    #[test]
    fn each_purpose_has_its_parts() {
        use Part::*;
        assert_eq!(on(Purpose::Serve, EVERYTHING), PARTS);
        assert_eq!(
            on(Purpose::Trace, EVERYTHING),
            [Dump, Tcp, SegmentPath, Drops, OtherDrops, Workloads]
        );
        assert_eq!(on(Purpose::Capture, EVERYTHING), [Drops, Workloads]);
    }

    #[test]
    fn the_configuration_says_what_is_counted_not_what_is_shown() {
        use Part::*;
        let all = Selection::default();
        let (tcp, drops) = (
            Selection {
                detail: Detail::Off,
                ..all
            },
            Selection { drops: false, ..all },
        );
        assert_eq!(on(Purpose::Serve, tcp), [Drops, OtherDrops]);
        assert_eq!(on(Purpose::Serve, drops), [Fold, Listeners, Dump, Tcp, SegmentPath]);
        assert_eq!(on(Purpose::Trace, tcp), [Dump, Tcp, SegmentPath, Drops, OtherDrops]);
        assert_eq!(on(Purpose::Trace, drops), [Dump, Tcp, SegmentPath]);
        assert_eq!(on(Purpose::Capture, drops), [Drops]);
        assert_eq!(on(Purpose::Serve, all), PARTS[..7]);
        let listeners = Selection {
            listeners: false,
            ..all
        };
        assert!(!on(Purpose::Serve, listeners).contains(&Listeners));
    }
}
