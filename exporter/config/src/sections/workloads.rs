//! Whose traffic it is: where the names of workloads come from.
//! It must never look for a source: whoever serves knows what is there.
//! From `workloads` of the file; to the plan, and to the thread that gives workloads their numbers.

use std::path::PathBuf;

use crate::{
    file::{Problem, choose, variable},
    kinds::{sets::WorkloadSource, words},
    raw::RawWorkloads,
};

/// Where names of workloads come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workloads {
    /// Whether anybody is told apart, if there is a source.
    pub enabled: bool,
    /// Whom to ask.
    pub source: WorkloadSource,
    /// The own node's name in Kubernetes; `None` where the environment has to say it.
    pub node: Option<String>,
    /// The folder that has a folder for each pod's logs.
    pub pod_logs: PathBuf,
    /// Whether units of one systemd template are one workload.
    pub merges_templates: bool,
}

impl Default for Workloads {
    fn default() -> Self {
        Self {
            enabled: true,
            source: WorkloadSource::None,
            node: None,
            pod_logs: PathBuf::from("/var/log/pods"),
            merges_templates: true,
        }
    }
}

impl Workloads {
    pub(crate) fn parse(raw: &RawWorkloads) -> Result<Self, Problem> {
        let RawWorkloads {
            enabled,
            source,
            node,
            pod_logs,
            merge_templates,
        } = raw;
        let mut workloads = Self {
            enabled: enabled.unwrap_or(true),
            ..Self::default()
        };
        if let Some(text) = source {
            let (all, word) = (&WorkloadSource::ALL, WorkloadSource::as_str);
            workloads.source = choose("workloads.source", text, "a source of names", all, word)?;
        }
        if let Some(text) = node {
            workloads.node = Some(words::name("workloads.node", text)?.to_owned());
        }
        if let Some(text) = pod_logs {
            workloads.pod_logs = folder("workloads.pod_logs", text)?;
        }
        if let Some(merges) = merge_templates {
            workloads.merges_templates = *merges;
        }
        Ok(workloads)
    }

    /// Whether workloads are told apart.
    pub fn are_told_apart(&self) -> bool {
        self.enabled && self.source != WorkloadSource::None
    }

    /// The own node's name in Kubernetes, by the file or by the environment.
    pub fn node(&self) -> Option<String> {
        self.node.clone().or_else(|| variable("NODE_NAME"))
    }
}

fn folder(key: &str, text: &str) -> Result<PathBuf, Problem> {
    if text.starts_with('/') {
        return Ok(PathBuf::from(text));
    }
    let what = format!("{text:?} is not a path from the root; write one that begins with /");
    Err(Problem::new(key, what))
}
