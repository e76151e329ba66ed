//! The Prometheus rules of the repository.

use std::collections::BTreeMap;
use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::readers::dashboards::{files, folder};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "interval")]
    _interval: Option<String>,
    rules: Vec<Rule>,
}

/// A rule as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The series that it makes.
    pub record: Option<String>,
    /// The alert that it is.
    pub alert: Option<String>,
    /// PromQL.
    pub expr: String,
    /// How long it must hold.
    pub r#for: Option<String>,
    /// How long it goes on when it holds no more.
    pub keep_firing_for: Option<String>,
    /// Labels of the alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it says.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// The series or the alert.
    pub fn name(&self) -> &str {
        self.record.as_deref().or(self.alert.as_deref()).unwrap_or_default()
    }
}

/// What stands in the annotations for where runbooks and dashboards are, each with a place for tests. It is no template that Prometheus
/// knows, so it refuses a file in which one is left.
pub const URLS: [(&str, &str); 2] = [
    ("{{ RUNBOOK_URL }}", "http://localhost/runbooks"),
    ("{{ DASHBOARD_URL }}", "http://localhost:3000"),
];

/// A rule file, or promtool's tests of one, as it is once the URLs are set.
pub fn text(path: &Path) -> Result<String> {
    let text = read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(URLS
        .iter()
        .fold(text, |text, (placeholder, url)| text.replace(placeholder, url)))
}

/// The rule files in a folder, with the URLs set.
pub fn copy(folder: &Path) -> Result<()> {
    for path in rule_files()? {
        let name = path.file_name().context("a file without a name")?;
        write(folder.join(name), text(&path)?)?;
    }
    Ok(())
}

/// The rule files.
pub fn rule_files() -> Result<Vec<PathBuf>> {
    files(&folder().join("rules"), ".yaml")
}

/// The files of promtool's unit tests.
pub fn test_files() -> Result<Vec<PathBuf>> {
    files(&folder().join("rules/tests"), ".yaml")
}

/// All rules of all files.
pub fn rules() -> Result<Vec<Rule>> {
    let mut all = Vec::new();
    for path in rule_files()? {
        let read: RuleFile =
            serde_yaml::from_str(&read_to_string(&path)?).with_context(|| format!("parse {}", path.display()))?;
        all.extend(read.groups.into_iter().flat_map(|group| group.rules));
    }
    Ok(all)
}
