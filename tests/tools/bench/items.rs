//! The items: one file each, which measures one thing and says what it found.

mod bulk;
mod connection;
mod drop;
mod duty;
mod flows;
mod fold;
mod kernel_memory;
mod latency;
mod memory;
mod otlp;
mod retransmit;
mod scrape;
mod second;
mod segment;
mod start;
mod wake_ups;
mod workloads;

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
        id: "second",
        run: second::run,
    },
    Entry {
        id: "latency",
        run: latency::run,
    },
    Entry {
        id: "flows",
        run: flows::run,
    },
    Entry {
        id: "fold",
        run: fold::run,
    },
    Entry {
        id: "scrape",
        run: scrape::run,
    },
    Entry {
        id: "otlp",
        run: otlp::run,
    },
    Entry {
        id: "memory",
        run: memory::run,
    },
    Entry {
        id: "kernel-memory",
        run: kernel_memory::run,
    },
    Entry {
        id: "start",
        run: start::run,
    },
    Entry {
        id: "duty",
        run: duty::run,
    },
    Entry {
        id: "wake-ups",
        run: wake_ups::run,
    },
    Entry {
        id: "workloads",
        run: workloads::run,
    },
];
