//! The Grafana dashboards of the repository, as Grafana takes them: panels, queries, variables.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// The folder of dashboards and rules.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Files in a folder whose names end so, in order.
pub fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    ensure!(!paths.is_empty(), "no file *{ending} in {}", folder.display());
    Ok(paths)
}

/// A dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Name of its file.
    pub file: String,
    /// What the file says.
    pub json: Value,
}

/// A query of a panel.
#[derive(Clone, Debug)]
pub struct Query {
    /// File, panel and letter.
    pub place: String,
    /// Number of the panel.
    pub panel: u64,
    /// The letter.
    pub letter: String,
    /// PromQL with variables.
    pub expression: String,
    /// Labels that its legend names.
    pub legend: Vec<String>,
    /// Whether it asks for one moment, not for a range.
    pub instant: bool,
}

/// A variable that asks for the values of a label.
#[derive(Clone, Debug)]
pub struct LabelValues {
    /// File and variable.
    pub place: String,
    /// Name of the variable.
    pub name: String,
    /// Selector of series, with variables.
    pub selector: String,
    /// The label.
    pub label: String,
}

/// All dashboards.
pub fn dashboards() -> Result<Vec<Dashboard>> {
    let read = |path: PathBuf| {
        let text = read_to_string(&path)?;
        let json = serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        let file = path.file_name().context("a file without a name")?;
        Ok(Dashboard {
            file: file.to_string_lossy().into_owned(),
            json,
        })
    };
    files(&folder(), ".json")?.into_iter().map(read).collect()
}

/// The elements of an array, none if it is not there.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text; "" if it is not there.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

impl Dashboard {
    /// All panels, those in rows and the rows themselves included.
    pub fn panels(&self) -> Vec<&Value> {
        let panels = list(&self.json, "panels").iter();
        panels
            .flat_map(|panel| [panel].into_iter().chain(list(panel, "panels")))
            .collect()
    }

    /// All queries of all panels.
    pub fn queries(&self) -> Result<Vec<Query>> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            for target in list(panel, "targets") {
                let (title, letter) = (text(panel, "title"), text(target, "refId"));
                queries.push(Query {
                    place: format!("{}: {title}/{letter}", self.file),
                    panel: panel["id"].as_u64().context("a panel without a number")?,
                    letter: letter.to_owned(),
                    expression: text(target, "expr").to_owned(),
                    legend: placeholders(text(target, "legendFormat")),
                    instant: target.get("instant") == Some(&Value::Bool(true)),
                });
            }
        }
        ensure!(!queries.is_empty(), "{} has no query", self.file);
        Ok(queries)
    }

    /// The variables of the dashboard.
    pub fn variables(&self) -> &[Value] {
        list(&self.json["templating"], "list")
    }

    /// The variables that ask for the values of a label.
    pub fn label_values(&self) -> Result<Vec<LabelValues>> {
        let asking = self
            .variables()
            .iter()
            .filter(|variable| text(variable, "type") == "query");
        asking
            .map(|variable| {
                let (name, query) = (text(variable, "name"), text(variable, "query"));
                let arguments = query
                    .strip_prefix("label_values(")
                    .and_then(|rest| rest.strip_suffix(')'));
                let (selector, label) = arguments
                    .and_then(|arguments| arguments.rsplit_once(", "))
                    .with_context(|| format!("{}: {name} asks {query}", self.file))?;
                Ok(LabelValues {
                    place: format!("{}: variable {name}", self.file),
                    name: name.to_owned(),
                    selector: selector.to_owned(),
                    label: label.to_owned(),
                })
            })
            .collect()
    }

    /// Every variable with the value for all, and those that Grafana has itself: the window of rates, and of the whole.
    pub fn everything(&self, window: &str, range: &str) -> BTreeMap<String, String> {
        let own = self.variables().iter().map(|variable| {
            let all = text(variable, "allValue");
            (text(variable, "name").to_owned(), all.to_owned())
        });
        let grafanas = [("__rate_interval", window), ("__range", range)];
        let grafanas = grafanas.map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.chain(grafanas).collect()
    }
}

/// Names in `{{…}}` of a legend.
fn placeholders(legend: &str) -> Vec<String> {
    let parts = legend.split("{{").skip(1);
    parts
        .filter_map(|part| Some(part.split_once("}}")?.0.trim().to_owned()))
        .collect()
}

/// A query with the values of its variables in their place: `$name`, `${name}`, `${name:format}`.
pub fn expand(query: &str, variables: &BTreeMap<String, String>) -> Result<String> {
    let mut expanded = String::new();
    let mut rest = query;
    while let Some((before, after)) = rest.split_once('$') {
        expanded += before;
        let (name, behind) = match after.strip_prefix('{') {
            Some(braced) => braced
                .split_once('}')
                .with_context(|| format!("an open brace in {query}"))?,
            None => {
                let end = after.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        let name = name.split(':').next().unwrap_or_default();
        let Some(value) = variables.get(name) else {
            bail!("{query} has the variable {name}, which the dashboard has not")
        };
        expanded += value;
        rest = behind;
    }
    Ok(expanded + rest)
}
