//! Which rules and dashboards read which metric, as the exporter warns of when a configuration leaves one out.
//!
//! `UPDATE=1 cargo test -p tests --test host` writes it to its place.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::Path;

use anyhow::{Context as _, Result};
use tcpvitals_config::{Config, View};
use tcpvitals_metrics::families::{METRICS, Metric};
use tests::readers::dashboards::{dashboards, folder};
use tests::readers::rules::rules;

use crate::golden::require_golden;

/// Whether a query names a metric, or a series of one that is a histogram.
fn reads(query: &str, metric: &Metric) -> bool {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    query.split(|char| !is_name(char)).any(|word| metric.is_called(word))
}

#[test]
fn what_rules_and_dashboards_read_is_known() -> Result<()> {
    let mut queries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules()? {
        let readers = queries.entry(format!("rule {}", rule.name())).or_default();
        readers.push(rule.expr.clone());
    }
    for dashboard in dashboards()? {
        let title = dashboard.json["title"].as_str().unwrap_or_default();
        let readers = queries.entry(format!("dashboard {title}")).or_default();
        readers.extend(dashboard.queries()?.into_iter().map(|query| query.expression));
    }
    let mut text = String::new();
    for metric in METRICS {
        let readers = queries
            .iter()
            .filter(|(_, queries)| queries.iter().any(|query| reads(query, metric)));
        let readers: Vec<&str> = readers.map(|(reader, _)| reader.as_str()).collect();
        if !readers.is_empty() {
            text += &format!("{}\t{}\n", metric.full_name(), readers.join(", "));
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporter/metrics/src/families/readers.txt");
    require_golden(&file, &text)
}

/// The views of a recipe.
fn views(file: &str) -> Result<Vec<View>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/fleet").join(file);
    Ok(Config::from_yaml(&read_to_string(path)?, file)?.views)
}

#[test]
fn what_a_collector_is_pushed_is_the_view_of_the_other_recipes() -> Result<()> {
    assert_eq!(views("collector/tcpvitals.yaml")?, views("tcpvitals.yaml")?);
    Ok(())
}

/// Panels, marks and variables, and what the texts of alerts ask for.
#[test]
fn the_view_of_a_fleet_has_what_its_dashboard_and_the_service_levels_read() -> Result<()> {
    let views = views("tcpvitals.yaml")?;
    let view = views.first().context("no view")?;
    for file in ["fleet.json", "rules/slo.yaml"] {
        let text = read_to_string(folder().join(file))?;
        for metric in METRICS.iter().filter(|metric| reads(&text, metric)) {
            let name = metric.full_name();
            assert!(
                view.metrics.shows(&name),
                "{file} reads {name}, which is not in the view"
            );
        }
    }
    Ok(())
}
