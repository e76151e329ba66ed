//! Whose traffic it is: a thread gives each cgroup that the kernel meets the number of its workload.
//! It must never hold up a scrape: what it knows is read at once, and what it does not know yet counts as unresolved.
//! From the kernel's cgroups and the sources of names; to the kernel's table, and to whoever labels.

pub mod kubernetes;
mod sources;
mod thread;

pub use thread::follow;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tcpvitals_metrics::workloads::numbers::Names;

/// What is known of workloads, for those who label.
#[derive(Debug, Default)]
pub struct Known {
    names: Mutex<Names>,
    given: AtomicU64,
}

impl Known {
    /// Workloads by their numbers. A number keeps its name.
    pub fn names(&self) -> Names {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a cgroup was given a number so far.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Names come before the numbers that stand for them.
    fn learn(&self, names: Names) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn count(&self, given: usize) {
        self.given.fetch_add(given as u64, Ordering::Release);
    }
}
