//! Coverage: which programs run and which fields there are, and so which metrics can say something. A value, made of what was
//! loaded; the families, the page and the API read it.

use crate::host::Part;
use common::kernel::{
    fields::global,
    programs::{DROPS, RETRANSMIT},
};

/// What runs, and what does not and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub programs: Vec<Program>,
    /// Fields that the kernel does not have, and why.
    pub missing_fields: Vec<(&'static str, String)>,
    /// What is not read of the host, and why.
    pub host_off: Vec<(Part, String)>,
}

/// A program and whether it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of its function.
    pub name: &'static str,
    /// The kernel's name of its hook.
    pub hook: &'static str,
    /// Why it does not run; `None` when it does.
    pub off: Option<String>,
}

impl Coverage {
    /// Why a program does not run; `None` when it does.
    pub fn why_off(&self, name: &str) -> Option<&str> {
        let program = self.programs.iter().find(|program| program.name == name)?;
        program.off.as_deref()
    }

    /// Why a field cannot be read; `None` when it can.
    pub fn why_missing(&self, global: &str) -> Option<&str> {
        let mut missing = self.missing_fields.iter();
        missing
            .find(|(missing, _)| *missing == global)
            .map(|(_, reason)| reason.as_str())
    }

    /// Why a part of the host is not read; `None` when it is.
    pub fn why_not_read(&self, part: Part) -> Option<&str> {
        let mut off = self.host_off.iter();
        off.find(|(own, _)| *own == part).map(|(_, reason)| reason.as_str())
    }

    /// Whether drops are looked for that are sent again (`local_loss`).
    pub fn finds_local_losses(&self) -> bool {
        self.runs(DROPS) && self.runs(RETRANSMIT) && self.why_missing(global::TCP_SKB_CB_SEQ).is_none()
    }

    /// Whether a program runs.
    pub fn runs(&self, name: &str) -> bool {
        self.why_off(name).is_none()
    }
}
