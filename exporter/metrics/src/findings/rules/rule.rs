//! What a rule is, and what it may look at.

use crate::{
    findings::{
        Whose,
        counts::Counts,
        seen::{Beside, Site},
    },
    number::number,
};

/// What is looked for, and what is said of it.
#[derive(Debug)]
pub struct Rule {
    /// The word of the finding: the value of the label `finding`.
    pub name: &'static str,
    pub whose: Whose,
    /// What is below is no finding, unless the configuration says otherwise.
    pub floor: Floor,
    /// What is said of it: `{rate}` stands for events per second, `{share}` for their share.
    pub says: &'static str,
    /// What to do first.
    pub next: &'static str,
    /// The page of `docs/runbooks` that is about it.
    pub runbook: &'static str,
    pub(in crate::findings) reads: Reads,
}

/// Least rate and share of a finding; a finding reaches both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Events per second, or seconds per second for what is a time.
    pub rate: f64,
    /// Of what could have been such an event: 0 to 1.
    pub share: f64,
}

/// What a rule reads.
#[derive(Clone, Copy, Debug)]
pub(in crate::findings) enum Reads {
    /// The connections of a subnet; the whole of it, and each service.
    Traffic(fn(&Seen<'_>) -> Part),
    /// Drop sites of a subnet that this says yes to.
    Sites(fn(&Site) -> bool),
    /// Round-trip times of a subnet, beside what was usual.
    Rtt,
    /// What the host says beside the drop sites.
    Host(fn(&Beside) -> u64),
    /// What the exporter could not see.
    Blind,
}

/// What a rule about connections may look at.
#[derive(Debug)]
pub(in crate::findings) struct Seen<'a> {
    pub(in crate::findings) counts: &'a Counts,
    /// TCP packets of the subnet that this host dropped on their way out, by class.
    pub(in crate::findings) dropped: Dropped,
    /// Whether it was found that next hops to the subnet do not answer.
    pub(in crate::findings) lacks_neighbor: bool,
    /// Whether drops of this host are looked for when a segment is retransmitted.
    pub(in crate::findings) finds_local_losses: bool,
    /// Length of a jiffy, in seconds.
    pub(in crate::findings) jiffy: f64,
}

/// TCP packets that this host dropped on their way out, but for those of class `benign`.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::findings) struct Dropped {
    pub(in crate::findings) policy: u64,
    pub(in crate::findings) capacity: u64,
    pub(in crate::findings) all: u64,
}

/// Events, and what could have been one.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::findings) struct Part {
    pub(in crate::findings) events: f64,
    pub(in crate::findings) of: f64,
}

impl Part {
    pub(in crate::findings) fn new(events: u64, of: u64) -> Self {
        let [events, of] = [events, of].map(number);
        Self { events, of }
    }

    /// Their share; 0 of nothing.
    pub(in crate::findings) fn share(self) -> f64 {
        if self.of > 0.0 {
            (self.events / self.of).min(1.0)
        } else {
            0.0
        }
    }
}
