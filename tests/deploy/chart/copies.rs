//! What the chart holds of other folders is what lies there: Helm reads no file outside a chart.

use std::collections::BTreeMap;
use std::fs::{create_dir_all, read_to_string, remove_dir_all, write};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tcpvitals_config as config;
use tempfile::TempDir;

use super::helm::{RELEASES, documents, only, render, value_sets};
use super::{chart, require_file, top};

/// Folders of the chart, what they are copies of, and which files.
const COPIES: [(&str, &str, &str); 2] = [
    ("files/dashboards", "dashboards", "json"),
    ("files/rules", "dashboards/rules", "yaml"),
];

/// Texts by name; none in a folder that is not there.
fn texts(folder: &Path, extension: &str) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            let name = path.file_name().context("a file without a name")?;
            texts.insert(name.to_string_lossy().into_owned(), read_to_string(&path)?);
        }
    }
    Ok(texts)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the maintainer says whether to write")]
fn dashboards_and_rules_are_copies() -> Result<()> {
    for (copy, original, extension) in COPIES {
        let original = texts(&top().join(original), extension)?;
        let copy = chart().join(copy);
        if std::env::var("UPDATE").is_ok() && !original.is_empty() {
            remove_dir_all(&copy).ok();
            create_dir_all(&copy)?;
            for (name, text) in &original {
                write(copy.join(name), text)?;
            }
        }
        assert!(
            texts(&copy, extension)? == original,
            "{} differs from {:?}: run `make chart`",
            copy.display(),
            original.keys()
        );
    }
    Ok(())
}

#[test]
fn dashboards_and_rules_arrive_unchanged() -> Result<()> {
    let (_, values) = value_sets()?
        .into_iter()
        .find(|(name, _)| name == "operator")
        .context("no value set has everything for the operator")?;
    let rendered = documents(&render(RELEASES[1], &values)?)?;
    for (name, text) in texts(&top().join("dashboards"), "json")? {
        let is_its = |document: &&Value| document["data"][&name].is_string();
        let map = rendered
            .iter()
            .find(is_its)
            .with_context(|| format!("no map of {name}"))?;
        let arrived: Value = serde_json::from_str(map["data"][&name].as_str().unwrap_or_default())?;
        assert_eq!(arrived, serde_json::from_str::<Value>(&text)?, "{name}");
    }
    let set: Value = serde_yaml::from_str(&read_to_string(&values)?)?;
    let url = |value: &str| {
        let url = set["prometheusRule"][value]
            .as_str()
            .with_context(|| format!("no {value}"))?;
        anyhow::Ok(url.trim_end_matches('/'))
    };
    let (runbooks, dashboards) = (url("runbookUrl")?, url("dashboardUrl")?);
    let mut groups = Vec::new();
    for (name, text) in texts(&top().join("dashboards/rules"), "yaml")? {
        let text = text
            .replace("{{ RUNBOOK_URL }}", runbooks)
            .replace("{{ DASHBOARD_URL }}", dashboards);
        let rules: Value = serde_yaml::from_str(&text).with_context(|| name.clone())?;
        let more = rules["groups"]
            .as_array()
            .with_context(|| format!("{name} has no groups"))?;
        groups.extend(more.clone());
    }
    assert!(!groups.is_empty());
    let arrived = &only(&rendered, "PrometheusRule")?["spec"]["groups"];
    for link in [
        format!("\"runbook_url\":\"{runbooks}/TcpvitalsDown.md\""),
        format!("\"dashboard_url\":\"{dashboards}/d/tcpvitals-"),
    ] {
        assert!(arrived.to_string().contains(&link), "{link}");
    }
    assert_eq!(arrived.as_array().cloned().unwrap_or_default(), groups);
    Ok(())
}

#[test]
fn links_are_left_out_where_there_is_no_place_for_them() -> Result<()> {
    let folder = TempDir::new()?;
    let values = folder.path().join("values.yaml");
    write(&values, "prometheusRule: {enabled: true, runbookUrl: none}")?;
    for release in RELEASES {
        let rendered = documents(&render(release, &values)?)?;
        let rules = only(&rendered, "PrometheusRule")?["spec"]["groups"].to_string();
        for left in ["runbook_url", "dashboard_url", "_URL"] {
            assert!(!rules.contains(left), "{release}: {left}");
        }
        assert_eq!(rules.matches("\"summary\"").count(), rules.matches("\"alert\"").count());
    }
    Ok(())
}

/// Text is a string and nothing else. The exporter takes a name that looks like a number or a word of YAML as it is written; Helm makes
/// `1.5` of `1.50`, `8` of `010` and `true` of `on` before the exporter sees them, so there such a name needs its quotes.
fn take_text_as_strings_alone(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type")
                && types.contains(&json!("string"))
                && types.contains(&json!("boolean"))
            {
                types.retain(|kind| kind != "number" && kind != "boolean");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            object.values_mut().for_each(take_text_as_strings_alone);
        }
        Value::Array(list) => list.iter_mut().for_each(take_text_as_strings_alone),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The configuration's own schema is the schema of the value `config`, but for what Helm does to text.
#[test]
fn the_schema_of_config_is_the_exporters() -> Result<()> {
    let path = chart().join("values.schema.json");
    let mut schema: Value = serde_json::from_str(&read_to_string(&path)?)?;
    let mut own: Value = serde_json::from_str(&config::docs::schema::json()?)?;
    let is_whole = !own.to_string().contains("\"$ref\"");
    ensure!(
        is_whole,
        "the configuration's schema refers to parts of itself, which it cannot from here"
    );
    own.as_object_mut()
        .context("the schema is no object")?
        .remove("$schema");
    take_text_as_strings_alone(&mut own);
    schema["properties"]["config"] = own;
    require_file(&path, &format!("{}\n", serde_json::to_string_pretty(&schema)?))
}

#[test]
fn the_chart_has_the_exporters_version() -> Result<()> {
    let text = read_to_string(chart().join("Chart.yaml"))?;
    let description: Value = serde_yaml::from_str(&text)?;
    assert_eq!(description["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(description["appVersion"], env!("CARGO_PKG_VERSION"));
    Ok(())
}
