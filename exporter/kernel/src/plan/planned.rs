//! What a plan says: of every program whether it runs, and what the programs are told.

use super::{off::Off, programs::Program};
use crate::probe::casts::Casts;
use common::kernel::{programs::FOLD_LISTENERS, tracepoints::Run};

/// A program and whether it runs.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The program, or the first of the two that its tracepoint has.
    pub program: &'static Program,
    /// Which of the two.
    pub run: Run,
    /// Why it does not run; `None` when it does.
    pub off: Option<Off>,
}

impl Planned {
    /// What the program is called.
    pub fn name(&self) -> &'static str {
        match (self.run, self.program.tracepoint()) {
            (Run::Nested, Some(tracepoint)) => tracepoint.nested(),
            _ => self.program.name,
        }
    }

    /// Name of the program's function in the object.
    pub fn function(&self) -> &'static str {
        match self.program.tracepoint() {
            Some(_) => self.name(),
            None => self.program.function,
        }
    }
}

/// What is attached, and what is not and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every program.
    pub programs: Vec<Planned>,
    /// Every field: its global and its offset in the encoding of [`common::kernel::fields::FieldOffset`].
    pub fields: Vec<(&'static str, u64)>,
    /// Fields that the kernel does not have, and why.
    pub missing_fields: Vec<(&'static str, String)>,
    /// Facts about the kernel and the plan, by the name of their global.
    pub facts: Vec<(&'static str, u64)>,
    /// With what programs give types to addresses; without it they ask for each piece of memory.
    pub casts: Option<Casts>,
    /// The number of the per-CPU variable `__preempt_count`, if programs read it.
    pub preempt_count: Option<u32>,
    /// Whether what is known of sockets is kept in tables, since the kernel does not let their storage be walked.
    pub keeps_tables: bool,
    /// Ring buffers that somebody reads, and their sizes in bytes. The others are as small as can be.
    pub rings: Vec<(&'static str, u32)>,
}

impl Plan {
    /// Why a program does not run; `None` when it does.
    pub fn why_off(&self, name: &str) -> Option<&Off> {
        let planned = self.programs.iter().find(|planned| planned.name() == name)?;
        planned.off.as_ref()
    }

    /// Why a field cannot be read; `None` when it can.
    pub fn why_missing(&self, global: &str) -> Option<&str> {
        self.missing_fields
            .iter()
            .find(|(missing, _)| *missing == global)
            .map(|(_, reason)| reason.as_str())
    }

    /// Number of programs that are to run, of those that do not depend on types for addresses.
    pub fn running(&self) -> usize {
        let independent = |planned: &&Planned| planned.program.name != FOLD_LISTENERS;
        self.programs
            .iter()
            .filter(independent)
            .filter(|planned| planned.off.is_none())
            .count()
    }

    /// Whether a program is to run.
    pub fn runs(&self, name: &str) -> bool {
        self.why_off(name).is_none()
    }
}
