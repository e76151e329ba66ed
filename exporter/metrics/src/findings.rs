//! Findings: what is wrong, whose it is, how bad, since when, and what to do next; a healthy host has none.
//!
//! One judgement for everything that people look at: the API, the page, `explain` and the metric show what is found here. Pure:
//! what collections counted goes in, findings come out.
//!
//! - `counts`, `seen`: what rules read of TCP, and beside it; `recorder`: what a collection added; `ring`: the last five minutes
//! - `window`: a minute of the ring, by subnet, service, workload and drop site
//! - `rules`: the table; `judge`: the table applied; `report`: the answer, as a value and as text; `flows`: where
//!   the API has the flows of a finding
//! - `dictionary`: what a drop reason means; `reference`: the page of both tables

pub mod dictionary;
pub mod judge;
pub mod recorder;
pub mod reference;
pub mod ring;
pub mod rules;

mod counts;
mod flows;
mod seen;
mod window;

pub use crate::snapshot::report::{self, Whose};
pub use window::SHORTEST;

use tcpvitals_config::DropLabel;

/// What rules read of a drop beside its site, whatever the metrics show; the workload, too, where workloads are told apart.
pub const DROP_LABELS: [DropLabel; 3] = [DropLabel::Direction, DropLabel::Protocol, DropLabel::Subnet];
