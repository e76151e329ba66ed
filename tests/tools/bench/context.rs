//! What every item is told of the run it belongs to.

use std::path::PathBuf;

use crate::report::model::Machine;

/// What every item is told.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The exporter under test.
    pub(crate) exporter: PathBuf,
    /// An older one, which takes part where drops are measured.
    pub(crate) older: Option<PathBuf>,
    /// Fewer rounds: to see that an item works, not for its figures.
    pub(crate) quick: bool,
    /// The processor that the workload is pinned to.
    pub(crate) processor: usize,
    /// Where it runs; goes into each item.
    pub(crate) machine: Machine,
}

impl Context {
    /// This many, or a few if the run is a quick one.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        if self.quick { (full / 10).max(3) } else { full }
    }
}
