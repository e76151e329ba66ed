//! Whose traffic it is: a thread gives each cgroup that the kernel meets the number of its workload.
//! It must never hold up a scrape: what it knows is read at once, and what it does not know yet counts as unresolved.
//! From the kernel's cgroups and the sources of names; to the kernel's table, and to whoever labels.

pub mod health;
mod sources;
mod thread;

pub use sources::{chosen, why_absent};
pub use thread::follow;

use health::Health;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tcpvitals_metrics::{
    snapshot::Fill,
    workloads::{Instance, book::Book, numbers::Names},
};

/// What is known of workloads, for those who label.
#[derive(Debug, Default)]
pub struct Known {
    names: Mutex<Names>,
    fill: Mutex<Option<Fill>>,
    given: AtomicU64,
    book: OnceLock<Mutex<Book>>,
    /// How the source of names does.
    pub health: Health,
}

impl Known {
    /// Workloads by their numbers. A number keeps its name.
    pub fn names(&self) -> Names {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many there are; `None` where they are not told apart.
    pub fn fill(&self) -> Option<Fill> {
        *self.fill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a cgroup was given a number so far.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// The pod and the container of each of these cgroups; `None` where workloads are not told apart.
    pub fn instances(&self, cgroups: impl Iterator<Item = u64>) -> Option<HashMap<u64, Arc<Instance>>> {
        let book = self.book()?;
        let mut instances = HashMap::new();
        for cgroup in cgroups {
            let instance = || Arc::new(book.instance(cgroup).unwrap_or_default());
            instances.entry(cgroup).or_insert_with(instance);
        }
        Some(instances)
    }

    /// The pod and the container of a cgroup; `None` where workloads are not told apart.
    pub fn instance(&self, cgroup: u64) -> Option<Instance> {
        Some(self.book()?.instance(cgroup).unwrap_or_default())
    }

    /// The book, which is never held while anything is waited for or read.
    fn book(&self) -> Option<MutexGuard<'_, Book>> {
        let book = self.book.get()?;
        Some(book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names come before the numbers that stand for them.
    fn learn(&self, names: Names, fill: Fill) {
        *self.fill.lock().unwrap_or_else(PoisonError::into_inner) = Some(fill);
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn count(&self, given: usize) {
        self.given.fetch_add(given as u64, Ordering::Release);
    }
}
