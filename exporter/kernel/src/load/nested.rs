//! What the second programs of tracepoints have to know: by which words the kernel decides to skip the first ones.

use super::{Kernel, LoadError, error::refused, iterators::run_once, write};
use crate::plan::{PROGRAMS_OF_KERNEL, Planned, off::Off};
use aya::{
    Btf,
    programs::{Iter, ProgramError},
};
use common::kernel::{programs::FIND, tracepoints::Run};

impl Kernel {
    /// Tells the second programs by which words the kernel decides to skip the first. Where that cannot be found out, there are
    /// none.
    pub(super) fn find_programs(&mut self, btf: &Btf) -> Result<(), LoadError> {
        let is_second = |planned: &&Planned| planned.run == Run::Nested && planned.off.is_none();
        let seconds: Vec<_> = self.plan.programs.iter().filter(is_second).cloned().collect();
        if seconds.is_empty() {
            return Ok(());
        }
        for tracepoint in seconds.iter().filter_map(|second| second.program.tracepoint()) {
            if let Some(id) = self.number_of(tracepoint.name()) {
                write::program_id(&mut self.object, tracepoint, id)?;
            }
        }
        if let Err(error) = self.run_finder(btf) {
            let reason = refused(FIND, &error)?;
            self.refusals.push((FIND, reason.clone()));
            for second in seconds {
                self.plan
                    .give_up(second.name(), Off::Refused(format!("{FIND}: {reason}")));
            }
        }
        Ok(())
    }

    fn run_finder(&mut self, btf: &Btf) -> Result<(), ProgramError> {
        let finder: &mut Iter = self.program(FIND)?.try_into()?;
        finder.load(PROGRAMS_OF_KERNEL, btf)?;
        run_once(finder)?;
        finder.unload()
    }

    /// The kernel's number of a loaded program.
    fn number_of(&self, name: &str) -> Option<u32> {
        Some(self.object.program(name)?.info().ok()?.id())
    }
}
