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
use common::kernel::programs::{CGROUP_MADE, QDISC, TRAPS};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    path::Path,
};
use tcpvitals_config::Config;
use tcpvitals_kernel::{
    plan::{Plan, off::Off, purpose::Purpose},
    probe::symbols::Symbols,
    sys::capabilities,
};
use tcpvitals_metrics::families::METRICS;

/// What the doctor found.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// In a line: whether it runs here, and what to do if not.
    verdict: String,
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
    /// What the configuration can switch off.
    capabilities: Vec<CapabilityDiagnosis>,
    programs: Vec<ProgramDiagnosis>,
    /// Metrics that would be missing.
    metrics_off: Vec<Missing>,
    /// Kernel fields that are missing.
    fields_missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct ProgramDiagnosis {
    program: &'static str,
    hook: &'static str,
    attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether it is off because that is configured.
    #[serde(skip)]
    is_asked_for: bool,
}

#[derive(Debug, Serialize)]
struct CapabilityDiagnosis {
    /// Its key in the configuration.
    name: &'static str,
    on: bool,
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
struct Missing {
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
                Some(Missing {
                    name: metric.full_name(),
                    reason: metric.why_off(&coverage)?,
                })
            });
            off.collect()
        });
        let fields_missing = plan.map_or_else(Vec::new, |plan| {
            // A field that the configuration switches off is not missing.
            let by_choice = Off::LocalLoss.to_string();
            let missing = plan.missing_fields.iter().filter(|(_, reason)| *reason != by_choice);
            let missing = missing.map(|(global, reason)| Missing {
                name: (*global).to_owned(),
                reason: reason.clone(),
            });
            missing.collect()
        });
        let kernel = Host::read().release;
        Self {
            verdict: verdict(&kernel, fatal.as_deref(), privileges.as_deref(), &programs),
            kernel,
            fatal,
            may_load: privileges.is_none(),
            privileges,
            symbols_visible: !Symbols::open().are_hidden(),
            workloads: names(config, plan),
            capabilities: plan.map_or_else(Vec::new, |plan| capabilities(config, plan)),
            programs,
            metrics_off,
            fields_missing,
        }
    }

    /// Whether the exporter would run.
    pub const fn is_fit(&self) -> bool {
        self.fatal.is_none() && self.may_load
    }

    /// The verdict, and what is not as it could be: each with what is lost by it.
    fn deviations(&self) -> String {
        let mut text = self.verdict.clone() + "\n";
        let mut line = |what: String| text += &format!("    {what}\n");
        if let Some(reason) = &self.privileges {
            line(format!("privileges: {reason}"));
        }
        if !self.symbols_visible {
            line(format!("you lose: the names of drop locations; do: {SHOW_SYMBOLS}"));
        }
        let asked_for = self.programs.iter().filter(|program| program.is_asked_for);
        let mut settings: BTreeSet<&str> = asked_for.filter_map(|program| program.reason.as_deref()).collect();
        let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Missing { name, reason } in &self.metrics_off {
            let reason = reason
                .split_once(" is not attached: ")
                .map_or(reason.as_str(), |(_, reason)| reason);
            match reason.strip_suffix(" in the configuration") {
                Some(setting) => drop(settings.insert(setting)),
                None if settings.contains(reason) => {}
                None => lost.entry(reason).or_default().push(name),
            }
        }
        for (program, reason) in unexpected(&self.programs) {
            lost.entry(reason).or_insert_with(|| vec![seen_by(program.hook)]);
        }
        for (reason, lost) in lost {
            line(format!("{reason}; you lose: {}", lost.join(", ")));
        }
        if self.workloads.configured != "none"
            && let Some(reason) = &self.workloads.reason
            && !settings.contains(reason.as_str())
        {
            line(format!("{reason}; you lose: the names of workloads"));
        }
        if !settings.is_empty() {
            line(format!(
                "off by the configuration: {}",
                settings.into_iter().collect::<Vec<_>>().join("; ")
            ));
        }
        if self.is_fit() {
            line("tcpvitals doctor --verbose lists programs, metrics and fields".to_owned());
        }
        text
    }

    /// The diagnosis as text.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn print(&self, output: Output, verbose: bool) -> serde_json::Result<String> {
        match output {
            Output::Text if verbose => Ok(self.to_string()),
            Output::Text => Ok(self.deviations()),
            Output::Json => serde_json::to_string_pretty(self).map(|json| json + "\n"),
        }
    }
}

/// Whether it runs here.
fn verdict(kernel: &str, fatal: Option<&str>, privileges: Option<&str>, programs: &[ProgramDiagnosis]) -> String {
    if let Some(fatal) = fatal {
        return format!("NO  it cannot run on {kernel}: {fatal}");
    }
    if privileges.is_some() {
        return "NO  it cannot run: loading kernel programs needs root. Try: sudo tcpvitals doctor".to_owned();
    }
    let hooks: BTreeSet<&str> = unexpected(programs).map(|(program, _)| program.hook).collect();
    match hooks.len() {
        0 => format!("OK  everything that is configured works on {kernel}"),
        1 => format!("OK  everything that is configured works on {kernel}, but for 1 hook"),
        many => format!("OK  everything that is configured works on {kernel}, but for {many} hooks"),
    }
}

/// Programs that would not run although nobody asked for that, and why.
fn unexpected(programs: &[ProgramDiagnosis]) -> impl Iterator<Item = (&ProgramDiagnosis, &str)> {
    let off = programs.iter().filter(|program| !program.is_asked_for);
    off.filter_map(|program| Some((program, program.reason.as_deref()?)))
}

/// What a hook sees that no metric needs by itself.
fn seen_by(hook: &str) -> &str {
    match hook {
        TRAPS => "packets that network hardware drops",
        QDISC => "the reasons that queues give",
        _ => hook,
    }
}

fn capabilities(config: &Config, plan: &Plan) -> Vec<CapabilityDiagnosis> {
    let mut all = setup::capabilities(plan, &setup::host_off(config, why_another_namespace()));
    let findings = (!config.findings.enabled).then(|| setup::FINDINGS_OFF.to_owned());
    all.extend([("findings", findings), ("otlp", why_nothing_is_pushed(config))]);
    let all = all.into_iter().map(|(name, reason)| CapabilityDiagnosis {
        name,
        on: reason.is_none(),
        reason,
    });
    all.collect()
}

fn why_nothing_is_pushed(config: &Config) -> Option<String> {
    if config.otlp.is_off() {
        return Some("otlp.enabled is false in the configuration".to_owned());
    }
    match config.otlp_settings() {
        Ok((Some(_), _)) => None,
        Ok((None, warnings)) if warnings.is_empty() => Some("there is no endpoint: otlp.endpoint is empty".to_owned()),
        Ok((None, warnings)) => Some(warnings.join("; ")),
        Err(error) => Some(error.to_string()),
    }
}

fn programs(plan: &Plan) -> Vec<ProgramDiagnosis> {
    let programs = plan.programs.iter().map(|planned| ProgramDiagnosis {
        program: planned.name(),
        hook: planned.program.hook.name(),
        attachable: planned.off.is_none(),
        reason: planned.off.as_ref().map(ToString::to_string),
        is_asked_for: planned.off.as_ref().is_some_and(Off::is_asked_for),
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
        writeln!(f, "{}", self.verdict)?;
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
        writeln!(f, "capabilities")?;
        for CapabilityDiagnosis { name, reason, .. } in &self.capabilities {
            match reason {
                None => writeln!(f, "  on   {name}")?,
                Some(reason) => writeln!(f, "  off  {name}: {reason}")?,
            }
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

fn list(f: &mut fmt::Formatter<'_>, title: &str, entries: &[Missing]) -> fmt::Result {
    if entries.is_empty() {
        return writeln!(f, "{title}: none");
    }
    writeln!(f, "{title}")?;
    entries
        .iter()
        .try_for_each(|entry| writeln!(f, "  {}: {}", entry.name, entry.reason))
}
