//! The items: one file each, which measures one thing and says what it found.

mod bulk;
mod connection;
mod drop;
mod latency;
mod retransmit;
mod segment;

use anyhow::Result;

use crate::context::Context;
use crate::report::model::Item;

/// One bench.
pub(crate) struct Entry {
    /// Name, as in [`Item::id`].
    pub(crate) id: &'static str,
    /// Measures.
    pub(crate) run: fn(&Context) -> Result<Item>,
}

/// All of them, in the order of the page.
pub(crate) const ITEMS: &[Entry] = &[
    Entry {
        id: "segment",
        run: segment::run,
    },
    Entry {
        id: "bulk",
        run: bulk::run,
    },
    Entry {
        id: "connection",
        run: connection::run,
    },
    Entry {
        id: "drop",
        run: drop::run,
    },
    Entry {
        id: "retransmit",
        run: retransmit::run,
    },
    Entry {
        id: "latency",
        run: latency::run,
    },
];
