//! The configuration: the YAML file as written (`RawConfig`), and `Config`, which is valid by construction.
//! It must never start, log or print anything, and never hand out a value that was not checked.
//! Text comes from `read` (or a test); `Config` goes to the plan, the labels and the collector, errors to the caller.

#![forbid(unsafe_code)]

pub mod docs;
pub mod file;
pub mod kinds;
pub mod numbering;
mod raw;
pub mod sections;
mod summary;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use common::net::connection::{ConnectionType, NamePattern};

pub use common::map::detail::Detail;

pub use crate::{
    kinds::{
        label::{self, DropLabel, TcpLabel},
        sets::{Class, Compression, HistogramForm, Names, Protocol, Temporality, WorkloadSource},
        units::{duration, length, size},
        words::OTHER,
    },
    sections::{
        devices::Devices,
        drops::{Drops, Glob, Rule},
        findings::{Findings, Mute, Mutes, Threshold},
        labels::Labels,
        limits::{Collect, Limits},
        listeners::Listeners,
        otlp::{Headers, Otlp, OtlpSettings, Target, Tls},
        protocols::AppProtocols,
        subnets::{
            Fallback, Subnets,
            files::{NetworksOfFiles, SubnetFiles},
            network, subnet_name,
        },
        views::{ClassicBuckets, Histograms, MetricFilter, ON_DEMAND, View},
        workloads::Workloads,
    },
};

pub use crate::file::{ConfigError, Problem};

use crate::file::{Quote, Source};
use raw::{RawConfig, RawLocalLoss, RawTcp};

/// A configuration file with every key, its default and an example; it means the same as no file.
pub const SAMPLE: &str = include_str!("sample.yaml");

/// Attributes of the resource that the environment says, and what to warn of.
pub fn resource_attributes() -> (BTreeMap<String, String>, Option<String>) {
    sections::otlp::resource::attributes(file::variable)
}

/// What a value names is looked for where it is known: the names of metrics, and the bounds of their buckets.
pub type Check = fn(&Config) -> Result<(), Problem>;

/// Everything that a configuration file decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Names of remote networks.
    pub subnets: Subnets,
    /// Where more of them come from.
    pub subnets_files: SubnetFiles,
    /// What came from there; none without such files, and before they were read.
    pub networks_of_files: Option<NetworksOfFiles>,
    /// Names of server ports.
    pub app_protocols: AppProtocols,
    /// Connection types by device name; the first match wins, without a match the device decides.
    pub connection_types: Vec<(NamePattern, ConnectionType)>,
    /// What is measured of TCP.
    pub tcp: Tcp,
    /// What is measured of dropped packets.
    pub drops: Drops,
    /// Whether retransmissions are told apart by what this host dropped.
    pub local_loss: LocalLoss,
    /// What is measured of listeners.
    pub listeners: Listeners,
    /// What is read of devices.
    pub devices: Devices,
    /// What is judged, and how strictly.
    pub findings: Findings,
    /// What the metrics path shows.
    pub shown: View,
    /// What other paths show.
    pub views: Vec<View>,
    /// Whose traffic it is.
    pub workloads: Workloads,
    /// Bounds of memory and series.
    pub limits: Limits,
    /// How old a snapshot may be.
    pub collect: Collect,
    /// Where and how metrics are pushed.
    pub otlp: Otlp,
}

impl Config {
    /// The configuration without a file.
    pub fn built_in() -> Self {
        Self {
            subnets: Subnets::built_in(),
            subnets_files: SubnetFiles::default(),
            networks_of_files: None,
            app_protocols: AppProtocols::built_in(),
            connection_types: Vec::new(),
            tcp: Tcp::default(),
            drops: Drops::default(),
            local_loss: LocalLoss::default(),
            listeners: Listeners::default(),
            devices: Devices::default(),
            findings: Findings::default(),
            shown: View::built_in(),
            views: Vec::new(),
            workloads: Workloads::default(),
            limits: Limits::default(),
            collect: Collect::default(),
            otlp: Otlp::default(),
        }
    }

    /// The configuration that `text` describes; `file` is only named in errors.
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, ConfigError> {
        let source = Source::new(text, file);
        let raw: RawConfig = source.parse(Quote::Values)?;
        Self::try_from(raw).map_err(|problem| source.error(&problem))
    }

    /// Where and how metrics are pushed, by this configuration and the environment, and what to warn of.
    ///
    /// # Errors
    /// [`ConfigError`] when the file's endpoint does not fit the protocol.
    pub fn otlp_settings(&self) -> Result<(Option<OtlpSettings>, Vec<String>), ConfigError> {
        self.otlp.settings(file::variable)
    }

    /// The same, with a check of what only others know.
    ///
    /// # Errors
    /// [`ConfigError`] as a sentence with place and remedy.
    pub fn from_yaml_checked(text: &str, file: &str, check: Check) -> Result<Self, ConfigError> {
        let config = Self::from_yaml(text, file)?;
        check(&config).map_err(|problem| Source::new(text, file).error(&problem))?;
        Ok(config)
    }

    /// The configuration in the file at `path`. Files that it names lie beside it, unless their paths are absolute.
    pub fn read(path: &Path, check: Check) -> Result<Self, ConfigError> {
        let text = file::text(path, "")?;
        let mut config = Self::from_yaml_checked(&text, &path.display().to_string(), check)?;
        if let Some(folder) = path.parent() {
            config.otlp.resolve_paths(folder);
            config.subnets_files.resolve(folder);
        }
        Ok(config)
    }

    /// The same with the networks of the files that it names. Blocks.
    ///
    /// # Errors
    /// [`ConfigError`] as a sentence with place and remedy.
    pub fn with_networks_of_files(mut self) -> Result<Self, ConfigError> {
        let files = self.subnets_files.expand()?;
        let networks = sections::subnets::files::join(&mut self.subnets, &files, self.limits.subnets)?;
        self.networks_of_files = (self.subnets_files != SubnetFiles::default()).then_some(NetworksOfFiles {
            files: files.len(),
            networks,
        });
        Ok(self)
    }

    /// The same, or the built-in configuration without a file.
    ///
    /// # Errors
    /// [`ConfigError`] as a sentence with place and remedy.
    pub fn read_or_built_in(file: Option<&Path>, check: Check) -> Result<Self, ConfigError> {
        file.map_or_else(|| Ok(Self::built_in()), |file| Self::read(file, check))
    }

    /// What this configuration shows and pushes of what was measured by another one.
    #[must_use]
    pub fn measured_as(self, other: &Self) -> Self {
        let own = self;
        let Self {
            subnets,
            subnets_files: _,
            networks_of_files: _,
            app_protocols,
            connection_types,
            tcp,
            drops,
            local_loss,
            listeners,
            devices,
            findings: _,
            shown: _,
            views: _,
            workloads,
            limits,
            collect: _,
            otlp: _,
        } = other.clone();
        Self {
            subnets,
            subnets_files: SubnetFiles::default(),
            networks_of_files: None,
            app_protocols,
            connection_types,
            tcp,
            drops: Drops {
                enabled: drops.enabled,
                ..own.drops
            },
            local_loss,
            listeners,
            devices,
            workloads,
            limits: Limits {
                memory: limits.memory,
                workloads: limits.workloads,
                ..own.limits
            },
            ..own
        }
    }

    /// The metrics path, then all views.
    pub fn all_views(&self) -> impl Iterator<Item = &View> {
        std::iter::once(&self.shown).chain(&self.views)
    }

    /// The labels of drops that any view shows.
    pub fn drop_labels(&self) -> BTreeSet<DropLabel> {
        self.all_views().flat_map(|view| &view.labels.drops).copied().collect()
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = Problem;

    fn try_from(raw: RawConfig) -> Result<Self, Problem> {
        let RawConfig {
            subnets,
            subnets_files,
            subnets_fallback,
            app_protocols,
            connection_types,
            tcp,
            drops,
            local_loss,
            listeners,
            devices,
            findings,
            labels,
            metrics,
            histograms,
            views,
            workloads,
            limits,
            collect,
            otlp,
        } = raw;
        let limits = Limits::parse(&limits.unwrap_or_default())?;
        let built_in = View::built_in();
        let mut shown = View {
            labels: Labels::parse("labels", &labels.unwrap_or_default(), built_in.labels)?,
            metrics: MetricFilter::parse("metrics", &metrics.unwrap_or_default(), built_in.metrics)?,
            histograms: Histograms::parse("histograms", &histograms.unwrap_or_default(), built_in.histograms)?,
            series: limits.series,
            ..built_in
        };
        let mut views = View::parse_all(&views.unwrap_or_default(), &shown)?;
        let workloads = Workloads::parse(&workloads.unwrap_or_default())?;
        if !workloads.enabled {
            for view in std::iter::once(&mut shown).chain(&mut views) {
                view.labels = std::mem::take(&mut view.labels).without_workloads();
            }
        }
        if !workloads.are_told_apart()
            && std::iter::once(&shown)
                .chain(&views)
                .any(|view| view.labels.name_workloads())
        {
            let what = "is none, but a list of labels has one of workloads; set it to auto, or take the label out";
            return Err(Problem::new("workloads.source", what));
        }
        let otlp = Otlp::parse(&otlp.unwrap_or_default())?;
        if let Some(name) = otlp.view()
            && views.iter().all(|view| view.name != name)
        {
            let what = format!("{name:?} is no view; add it to views, or remove the key");
            return Err(Problem::new("otlp.view", what));
        }
        Subnets::refuse_too_many(subnets.as_deref(), limits.subnets)?;
        let tcp = Tcp::parse(&tcp.unwrap_or_default())?;
        let drops = Drops::parse(&drops.unwrap_or_default())?;
        if tcp.detail == Detail::Off && !drops.enabled {
            let what = "nothing is left to measure, as drops.enabled is false too; switch one of them on";
            return Err(Problem::new("tcp.detail", what));
        }
        Ok(Self {
            subnets: Subnets::parse(subnets.as_deref(), subnets_fallback.as_ref())?,
            subnets_files: SubnetFiles::parse(&subnets_files.unwrap_or_default())?,
            networks_of_files: None,
            app_protocols: AppProtocols::parse(&app_protocols.unwrap_or_default())?,
            connection_types: sections::connection_types::parse(&connection_types.unwrap_or_default())?,
            tcp,
            drops,
            local_loss: LocalLoss::of(&local_loss.unwrap_or_default()),
            listeners: Listeners::parse(&listeners.unwrap_or_default()),
            devices: Devices::parse(&devices.unwrap_or_default()),
            findings: Findings::parse(&findings.unwrap_or_default())?,
            shown,
            views,
            workloads,
            limits,
            collect: Collect::parse(&collect.unwrap_or_default())?,
            otlp,
        })
    }
}

/// Whether retransmissions are told apart by what this host dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLoss {
    /// Whether dropped data of TCP is remembered until it is sent again.
    pub enabled: bool,
}

impl Default for LocalLoss {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl LocalLoss {
    fn of(raw: &RawLocalLoss) -> Self {
        let RawLocalLoss { enabled } = *raw;
        Self {
            enabled: enabled.unwrap_or(Self::default().enabled),
        }
    }
}

/// What is measured of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// How much is measured.
    pub detail: Detail,
    /// Whether the memory that it holds is read.
    pub memory: bool,
}

impl Tcp {
    fn parse(raw: &RawTcp) -> Result<Self, Problem> {
        let RawTcp { detail, memory } = raw;
        let detail = match detail {
            Some(text) => file::choose("tcp.detail", text, "a level of detail", &Detail::ALL, Detail::as_str)?,
            None => Detail::default(),
        };
        let memory = memory.unwrap_or_default();
        Ok(Self { detail, memory })
    }
}
