//! What the parts of the page may read.

use crate::{families::Families, findings::report::Report, snapshot::Exporter};
use std::time::Duration;

/// What the page says of the host and of where things are.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Name of the host.
    pub host: &'a str,
    /// Release of the kernel.
    pub release: &'a str,
    /// That it is a recording, as a sentence; `None` where it is the kernel.
    pub notice: Option<&'a str>,
    /// Path of the metrics; begins with a slash.
    pub telemetry_path: &'a str,
    /// The file of the configuration, which commands need to know its names; none with the built-in one.
    pub config_file: Option<&'a str>,
    /// Whether whoever asks may see flows.
    pub flows: bool,
}

/// What every part of the page may read.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) about: About<'a>,
    pub(super) families: &'a Families,
    pub(super) findings: Option<&'a Report>,
    pub(super) exporter: &'a Exporter,
    pub(super) at: Duration,
    /// How long the exporter has counted.
    pub(super) seconds: Option<f64>,
}

impl Page<'_> {
    /// Whether something is wrong with the traffic of a subnet.
    pub(super) fn is_found(&self, subnet: &str) -> bool {
        let mut found = self.findings.iter().flat_map(|report| &report.findings);
        found.any(|finding| finding.subnet == subnet)
    }
}
