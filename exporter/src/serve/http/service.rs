//! What the handlers share.

use crate::{
    lifecycle::{host::Host, setup::Capability},
    serve::{
        collect::Collector,
        http::{access::FlowAccess, expositions::Expositions},
        reload::Reloader,
        web::Web,
    },
};
use std::sync::Arc;
use tcpvitals_metrics::{coverage::Coverage, encode::page};

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    /// Collects when a scrape asks.
    pub collector: Arc<Collector>,
    /// Makes once what many ask for.
    pub expositions: Expositions,
    /// Re-reads the configuration, if that is allowed over HTTP.
    pub reloader: Option<Arc<Reloader>>,
    /// What runs, and what does not and why.
    pub coverage: Coverage,
    /// What of that the configuration can switch off.
    pub capabilities: Vec<Capability>,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// The file of the configuration, if there is one.
    pub config_file: Option<String>,
    /// Who may ask, besides what the guard before the routes lets through.
    pub web: Arc<Web>,
    /// Whether live flows may be shown.
    pub flows: FlowAccess,
    /// Which host and kernel.
    pub about: About,
}

/// Of which host and kernel people see numbers.
#[derive(Debug)]
pub struct About {
    pub host: Host,
    /// That it is a recording, as a sentence; `None` where it is the kernel.
    pub notice: Option<String>,
}

impl Service {
    /// What the page says of its host.
    pub(super) fn about(&self) -> page::About<'_> {
        page::About {
            host: &self.about.host.name,
            release: &self.about.host.release,
            notice: self.about.notice.as_deref(),
            telemetry_path: &self.telemetry_path,
            config_file: self.config_file.as_deref(),
            flows: self.flows.is_open_to_some(self.web.has_auth()),
        }
    }
}
