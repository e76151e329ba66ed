//! `doctor`: what this kernel offers, what would be attached, what is missing and why. It loads nothing.

use crate::{
    cli::Output,
    lifecycle::{
        host::{Host, why_another_namespace},
        setup,
        start::{Checked, SHOW_SYMBOLS},
    },
    serve::workloads::{self, health},
};
use common::kernel::programs::CGROUP_MADE;
use serde::Serialize;
use std::{
    fmt::{self, Display},
    path::Path,
};
use tcpvitals_config::Config;
use tcpvitals_kernel::{
    load::capabilities,
    plan::{Plan, purpose::Purpose},
    probe::symbols::Symbols,
};
use tcpvitals_metrics::families::METRICS;

/// What the doctor found.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// `uname -r`
    kernel: String,
    /// Nothing can run, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    fatal: Option<String>,
    /// Whether this process may load programs.
    may_load: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    privileges: Option<String>,
    /// Whether drop locations get names.
    symbols_visible: bool,
    /// Where names of workloads would come from.
    workloads: NameDiagnosis,
    programs: Vec<ProgramDiagnosis>,
    /// Metrics that would be missing.
    metrics_off: Vec<Off>,
    /// Kernel fields that are missing.
    fields_missing: Vec<Off>,
}

#[derive(Debug, Serialize)]
struct ProgramDiagnosis {
    program: &'static str,
    hook: &'static str,
    attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct NameDiagnosis {
    /// As configured.
    configured: &'static str,
    /// What that comes to here.
    source: &'static str,
    /// Why workloads would not be told apart, or not by this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why it comes to another source.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Off {
    name: String,
    reason: String,
}

impl Diagnosis {
    /// Examines the kernel for a configuration.
    pub fn new(config: &Config, btf: Option<&Path>) -> Self {
        let checked = Checked::new(config, btf, Purpose::Serve);
        // Those that a file gives are only permitted: the symbols would seem hidden.
        let privileges = capabilities::keep_needed().err().map(|error| error.to_string());
        let (fatal, plan) = match &checked {
            Ok(checked) => (None, Some(checked.plan())),
            Err(fatal) => (Some(fatal.to_string()), None),
        };
        let programs = plan.map_or_else(Vec::new, programs);
        let metrics_off = plan.map_or_else(Vec::new, |plan| {
            let coverage = setup::coverage(plan, setup::host_off(config, why_another_namespace()));
            let off = METRICS.iter().filter_map(|metric| {
                Some(Off {
                    name: metric.full_name(),
                    reason: metric.why_off(&coverage)?,
                })
            });
            off.collect()
        });
        let fields_missing = plan.map_or_else(Vec::new, |plan| {
            let missing = plan.missing_fields.iter().map(|(global, reason)| Off {
                name: (*global).to_owned(),
                reason: reason.clone(),
            });
            missing.collect()
        });
        Self {
            kernel: Host::read().release,
            fatal,
            may_load: privileges.is_none(),
            privileges,
            symbols_visible: !Symbols::open().are_hidden(),
            workloads: names(config, plan),
            programs,
            metrics_off,
            fields_missing,
        }
    }

    /// Whether the exporter would run.
    pub const fn is_fit(&self) -> bool {
        self.fatal.is_none() && self.may_load
    }

    /// The diagnosis as text.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn print(&self, output: Output) -> serde_json::Result<String> {
        match output {
            Output::Text => Ok(self.to_string()),
            Output::Json => serde_json::to_string_pretty(self).map(|json| json + "\n"),
        }
    }
}

fn programs(plan: &Plan) -> Vec<ProgramDiagnosis> {
    let programs = plan.programs.iter().map(|planned| ProgramDiagnosis {
        program: planned.name(),
        hook: planned.program.hook.name(),
        attachable: planned.off.is_none(),
        reason: planned.off.as_ref().map(ToString::to_string),
    });
    programs.collect()
}

/// The API server is not asked: only a look at what the process is given.
fn names(config: &Config, plan: Option<&Plan>) -> NameDiagnosis {
    let workloads = &config.workloads;
    let (source, note) = workloads::chosen(workloads.source);
    let by_plan = plan.and_then(|plan| plan.why_off(CGROUP_MADE)).map(ToString::to_string);
    let by_cgroups = || (!health::has_unified_cgroups()).then(|| health::NO_CGROUPS_REMEDY.to_owned());
    NameDiagnosis {
        configured: workloads.source.as_str(),
        source: source.as_str(),
        reason: by_plan.or_else(by_cgroups).or_else(|| workloads::why_absent(workloads)),
        note,
    }
}

impl Display for NameDiagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => write!(f, "names from {}", self.source)?,
            Some(reason) => write!(f, "off: {reason}")?,
        }
        self.note.as_ref().map_or(Ok(()), |note| write!(f, "; {note}"))
    }
}

impl Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel       {}", self.kernel)?;
        match &self.privileges {
            None => writeln!(f, "privileges   this process may load programs")?,
            Some(reason) => writeln!(f, "privileges   {reason}")?,
        }
        let symbols = if self.symbols_visible {
            "visible: drop locations get names".to_owned()
        } else {
            format!("hidden: drop locations stay numbers; {SHOW_SYMBOLS}")
        };
        writeln!(f, "symbols      {symbols}")?;
        writeln!(f, "workloads    {}", self.workloads)?;
        if let Some(fatal) = &self.fatal {
            return writeln!(f, "programs     none: {fatal}");
        }
        writeln!(f, "programs")?;
        for program in &self.programs {
            match &program.reason {
                None => writeln!(f, "  on   {}", program.program)?,
                Some(reason) => writeln!(f, "  off  {}: {reason}", program.program)?,
            }
        }
        list(f, "metrics that are off", &self.metrics_off)?;
        list(f, "kernel fields that are missing", &self.fields_missing)
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, entries: &[Off]) -> fmt::Result {
    if entries.is_empty() {
        return writeln!(f, "{title}: none");
    }
    writeln!(f, "{title}")?;
    entries
        .iter()
        .try_for_each(|entry| writeln!(f, "  {}: {}", entry.name, entry.reason))
}
