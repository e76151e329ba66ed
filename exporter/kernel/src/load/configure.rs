//! Goes over to the tables of another configuration while the programs run. Needs no privileges: a map whose descriptor is open may be
//! written.

use super::{lookups::Lookups, write};
use crate::{Kernel, load::LoadError};

impl Kernel {
    /// Goes over to other tables, of whatever generation. Live flows follow at the next fold, events from now on.
    ///
    /// # Errors
    /// [`LoadError::Map`] when a map takes no more; what it held before is restored.
    pub fn configure(&mut self, mut wanted: Lookups) -> Result<(), LoadError> {
        let generation = self.lookups.settings.generation + 1;
        wanted.settings.generation = generation;
        if let Err(fault) = write::lookups(&mut self.object, &self.lookups, &wanted) {
            // Flows that were labelled meanwhile are labelled once more.
            let mut before = self.lookups.clone();
            before.settings.generation = generation;
            write::undo(&mut self.object, &wanted, &before);
            self.lookups = before;
            return Err(fault.into());
        }
        self.lookups = wanted;
        Ok(())
    }

    /// Live flows get their labels anew at the next fold: their workloads have numbers that they did not have.
    ///
    /// # Errors
    /// [`LoadError::Map`]
    pub fn label_anew(&mut self) -> Result<(), LoadError> {
        self.configure(self.lookups.clone())
    }
}
