//! What the configuration wants, in the terms of the kernel side, and what is loaded there, in the terms of the metrics: neither
//! knows the other. Pure but for the file that it passes on how to read.

use common::{
    drops::skip,
    kernel::{
        fields::global,
        programs::{CGROUP_MADE, DROPS, FOLD, RETRANSMIT, SAMPLE_LISTENERS},
    },
    map::settings::{OVERRIDES, Override, Settings},
};
use std::path::Path;
use tcpvitals_config::{
    Config, ConfigError, DropLabel, Fallback,
    file::{files, variable},
    numbering::Numbering,
};
use tcpvitals_kernel::{
    load::lookups::Lookups,
    plan::{
        Plan,
        purpose::{Selection, Workloads},
    },
    probe::btf_file::BtfFile,
};
use tcpvitals_metrics::{
    coverage::{Coverage, Program},
    families, findings,
    host::Part,
};

/// Where the packages and the chart keep the configuration of the exporter.
const INSTALLED: [&str; 2] = ["/etc/tcpvitals/config.yaml", "/etc/tcpvitals/config/config.yaml"];

/// The configuration in a file, or the built-in one without.
///
/// # Errors
/// [`ConfigError`] as a sentence with place and remedy.
pub fn config(file: Option<&Path>) -> Result<Config, ConfigError> {
    own_config(file)?.with_networks_of_files()
}

/// The configuration of a command beside the exporter: that in a file, else that of the exporter installed here, so that both know
/// the same subnets, else the built-in one.
///
/// # Errors
/// The same.
pub fn config_beside(file: Option<&Path>) -> Result<Config, ConfigError> {
    let installed = || INSTALLED.map(Path::new).into_iter().find(|path| path.exists());
    config(file.or_else(installed))
}

/// The same as [`config`], without the networks of the files that it names.
///
/// # Errors
/// The same.
pub fn own_config(file: Option<&Path>) -> Result<Config, ConfigError> {
    Config::read_or_built_in(file, families::check)
}

/// Says in the log what of ours reads metrics that a configuration leaves out.
pub fn warn_of_missed(config: &Config) {
    for warning in families::missed(config) {
        tracing::warn!("{warning}");
    }
}

/// What a configuration chooses to measure.
pub fn selection(config: &Config) -> Selection {
    Selection {
        detail: config.tcp.detail,
        drops: config.drops.enabled,
        workloads: match &config.workloads {
            own if own.are_told_apart() => Workloads::Apart,
            own if own.enabled => Workloads::NoSource,
            _ => Workloads::Disabled,
        },
        local_loss: config.local_loss.enabled,
        listeners: config.listeners.enabled,
    }
}

/// The file with the kernel's type information: a given one, else the kernel's own.
pub fn btf_file(given: Option<&Path>) -> BtfFile {
    BtfFile::new(given, |path| files::read(path, files::BTF))
}

/// How large the tables of programs are, and what they are filled with.
#[derive(Debug)]
pub struct MapContents {
    /// Most bytes of label sets and drops.
    pub memory: u64,
    /// What programs look up.
    pub lookups: Lookups,
}

/// The tables for a configuration.
pub fn tables(config: &Config, numbering: &Numbering) -> MapContents {
    MapContents {
        memory: config.limits.memory,
        lookups: lookups(config, numbering),
    }
}

/// Whether tests want all CPUs to count in one shard: few machines with tests have so many that they would.
pub fn has_one_shard() -> bool {
    variable("TCPVITALS_TEST_ONE_SHARD").is_some()
}

/// What the programs look up by a configuration.
pub fn lookups(config: &Config, numbering: &Numbering) -> Lookups {
    Lookups {
        networks: numbering.networks(config).collect(),
        ports: numbering.ports(config).collect(),
        settings: settings(config),
    }
}

fn settings(config: &Config) -> Settings {
    let mut settings = Settings {
        generation: 1,
        ..Settings::default()
    };
    if let Fallback::Auto { ipv4, ipv6 } = config.subnets.fallback() {
        settings.auto_ipv4 = u32::from(*ipv4);
        settings.auto_ipv6 = u32::from(*ipv6);
    }
    for (entry, (pattern, connection)) in settings.overrides.iter_mut().zip(&config.connection_types) {
        *entry = Override {
            pattern: *pattern,
            connection: *connection as u64,
        };
    }
    let mut labels = config.drop_labels();
    if config.findings.enabled {
        let apart = config.workloads.are_told_apart().then_some(DropLabel::Workload);
        labels.extend(findings::DROP_LABELS.into_iter().chain(apart));
    }
    let looked_for = labels.iter().fold(0, |bits, label| bits | label.row().looks_for);
    settings.skipped_of_drops = (skip::ALL & !looked_for).into();
    settings.override_count = config.connection_types.len().min(OVERRIDES) as u64;
    settings
}

/// Whether a configuration wants something.
type Wanted = fn(&Config) -> bool;

/// What a configuration reads of the host.
const HOST_PARTS: [(Part, Wanted, &str); 3] = [
    (
        Part::Devices,
        |config| config.devices.enabled,
        "devices.enabled is false in the configuration",
    ),
    (
        Part::TcpMemory,
        |config| config.tcp.memory,
        "tcp.memory is false in the configuration",
    ),
    (
        Part::SynCookies,
        |config| config.listeners.enabled,
        "listeners.enabled is false in the configuration",
    ),
];

/// Parts of the host that are not read, and why: by the configuration, or because the exporter is elsewhere.
pub fn host_off(config: &Config, elsewhere: Option<&str>) -> Vec<(Part, String)> {
    let reason =
        |wanted: Wanted, why: &'static str| if wanted(config) { elsewhere } else { Some(why) }.map(str::to_owned);
    let off = HOST_PARTS
        .iter()
        .filter_map(|(part, wanted, why)| Some((*part, reason(*wanted, why)?)));
    off.collect()
}

/// Parts of the host that are read.
pub fn host_on(off: &[(Part, String)]) -> Vec<Part> {
    let is_on = |part: &Part| off.iter().all(|(own, _)| own != part);
    HOST_PARTS.iter().map(|(part, ..)| *part).filter(is_on).collect()
}

/// What can be switched off, in the order of the configuration: its key, and why it is off.
pub type Capability = (&'static str, Option<String>);

/// What runs of that what is chosen when the exporter starts, and why the rest does not: by the configuration, or because it cannot be
/// had here.
pub fn capabilities(plan: &Plan, host_off: &[(Part, String)]) -> Vec<Capability> {
    let of_plan = |program| plan.why_off(program).map(ToString::to_string);
    let of_host = |part| {
        let mut off = host_off.iter().filter(|(own, _)| *own == part);
        off.next().map(|(_, why)| why.clone())
    };
    let local_loss = plan.why_missing(global::TCP_SKB_CB_SEQ).map(str::to_owned);
    vec![
        ("tcp", of_plan(FOLD)),
        ("tcp.memory", of_host(Part::TcpMemory)),
        ("drops", of_plan(DROPS)),
        (
            "local_loss",
            local_loss.or_else(|| of_plan(DROPS)).or_else(|| of_plan(RETRANSMIT)),
        ),
        ("listeners", of_plan(SAMPLE_LISTENERS)),
        ("devices", of_host(Part::Devices)),
        ("workloads", of_plan(CGROUP_MADE)),
    ]
}

/// Why nothing is judged.
pub const FINDINGS_OFF: &str = "findings.enabled is false in the configuration";

/// What a plan covers, without what is off of the host.
pub fn coverage(plan: &Plan, host_off: Vec<(Part, String)>) -> Coverage {
    let programs = plan.programs.iter().map(|planned| Program {
        name: planned.name(),
        hook: planned.program.hook.name(),
        off: planned.off.as_ref().map(ToString::to_string),
    });
    Coverage {
        programs: programs.collect(),
        missing_fields: plan.missing_fields.clone(),
        host_off,
    }
}
