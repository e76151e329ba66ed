//! Findings: what is wrong, whose it is, how bad, since when, and what to do next; a healthy host has none.
//!
//! One judgement for everything that people look at: the API, the page, `explain` and the metric show what is found here. Pure:
//! what collections counted goes in, findings come out.
//!
//! - `counts`, `seen`: what rules read of TCP, and beside it; `recorder`: what a collection added; `ring`: the last five minutes
//! - `window`: a minute of the ring, by subnet, service, workload and drop site
//! - `rules`: the table; `judge`: the table applied; `report`: the answer, as a value and as text
//! - `dictionary`: what a drop reason means; `reference`: the page of both tables

pub mod dictionary;
pub mod judge;
pub mod recorder;
pub mod reference;
pub mod report;
pub mod ring;
pub mod rules;

mod counts;
mod seen;
mod window;

use serde::{Deserialize, Serialize};

/// Whose a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// This host drops or limits its own traffic.
    Ours,
    /// Loss, reordering or delay beyond this host.
    Network,
    /// The other end refuses, resets or reads slowly.
    Peer,
    /// Nobody answers.
    Silent,
    /// Something of this host is full or wrong, whomever it hits.
    Here,
}

impl Whose {
    /// All, in the order of their words.
    pub const ALL: [Self; 5] = [Self::Ours, Self::Network, Self::Peer, Self::Silent, Self::Here];

    /// The value of the label `whose`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Network => "network",
            Self::Peer => "peer",
            Self::Silent => "silent",
            Self::Here => "here",
        }
    }
}
