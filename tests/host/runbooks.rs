//! Alerts and their runbooks: each has the other, and promtool's tests know when each fires and when it is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_yaml::Value;
use tests::readers::dashboards::files;
use tests::readers::rules::{Rule, rules, test_files};

/// Where runbooks are, from the top of the repository on: what a rule's link begins with.
const FOLDER: &str = "docs/runbooks/";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn alerts() -> Result<Vec<(String, Rule)>> {
    let named = |rule: Rule| Some((rule.alert.clone()?, rule));
    Ok(rules()?.into_iter().filter_map(named).collect())
}

#[test]
fn every_alert_says_what_is_wrong_and_how_bad_and_where_to_read_on() -> Result<()> {
    for (alert, rule) in alerts()? {
        let severity = rule.labels.get("severity").map_or("", String::as_str);
        assert!(
            ["info", "warning", "critical"].contains(&severity),
            "{alert}: {severity:?}"
        );
        for key in ["summary", "description"] {
            assert!(
                rule.annotations.get(key).is_some_and(|said| said.contains(' ')),
                "{alert}: {key}"
            );
        }
        assert_eq!(
            rule.annotations.get("runbook_url"),
            Some(&format!("{FOLDER}{alert}.md")),
            "{alert}"
        );
        let windows = rule.expr.matches(":bad_ratio_rate").count();
        assert!(
            rule.r#for.is_some() || windows >= 2,
            "{alert} fires at the first evaluation"
        );
    }
    Ok(())
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() -> Result<()> {
    let name = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let pages = files(&top().join(FOLDER), ".md")?;
    let pages: BTreeSet<String> = pages.iter().filter_map(name).filter(|page| page != "README").collect();
    let alerts: BTreeSet<String> = alerts()?.into_iter().map(|(alert, _)| alert).collect();
    assert_eq!(pages, alerts);
    let index = read_to_string(top().join(FOLDER).join("README.md"))?;
    for alert in alerts {
        let page = read_to_string(top().join(format!("{FOLDER}{alert}.md")))?;
        assert!(page.starts_with(&format!("# {alert}\n")), "{alert}");
        for section in [
            "## What it means",
            "## How to look",
            "## What to do",
            "## When to silence it",
        ] {
            assert!(page.contains(section), "{alert} lacks {section}");
        }
        assert!(index.contains(&format!("]({alert}.md)")), "the index lacks {alert}");
    }
    Ok(())
}

#[test]
fn every_alert_is_shown_to_fire_and_to_be_silent() -> Result<()> {
    let mut shown: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for path in test_files()? {
        let read: Value = serde_yaml::from_str(&read_to_string(&path)?)?;
        for group in read["tests"].as_sequence().context("no tests")? {
            for case in group["alert_rule_test"].as_sequence().into_iter().flatten() {
                let alert = case["alertname"].as_str().context("a case without an alert")?;
                let fires = !case["exp_alerts"].as_sequence().context("no expectation")?.is_empty();
                let (firing, silent) = shown.entry(alert.to_owned()).or_default();
                *if fires { firing } else { silent } += 1;
            }
        }
    }
    // Of one name may be one that is critical and one that warns.
    let alerts: BTreeSet<String> = alerts()?.into_iter().map(|(alert, _)| alert).collect();
    for alert in &alerts {
        let (firing, silent) = shown.get(alert).copied().unwrap_or_default();
        assert!(
            firing > 0 && silent > 0,
            "{alert}: fires {firing} times, is silent {silent} times"
        );
    }
    assert_eq!(shown.len(), alerts.len(), "a test of an alert that is no more");
    Ok(())
}
