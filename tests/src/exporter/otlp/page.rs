//! What the reference page promises: the names of every metric, and the attribute of every label.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

/// A metric of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documented {
    /// Name in a scrape.
    pub name: String,
    /// Name over OTLP.
    pub dotted: String,
    /// Unit over OTLP.
    pub unit: String,
    /// What it is over OTLP.
    pub kind: String,
    /// Labels by attribute.
    pub labels: BTreeMap<String, String>,
}

/// The metrics of `docs/metrics.md`.
pub fn documented() -> Result<Vec<Documented>> {
    const PAGE: &str = include_str!("../../../../docs/metrics.md");
    read(PAGE)
}

fn read(page: &str) -> Result<Vec<Documented>> {
    let mut metrics = Vec::new();
    let mut shared = BTreeMap::new();
    for line in page.lines() {
        if line.starts_with("## ") {
            shared.clear();
        } else if line.starts_with("All have these labels") {
            shared = labels(line);
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<&str> = row.split(" | ").collect();
            let [names, kind, own, ..] = cells.as_slice() else {
                anyhow::bail!("no row of the metrics: {line}");
            };
            let (name, over_otlp) = names.split_once("`<br>`").context("no name over OTLP")?;
            let (dotted, rest) = over_otlp.split_once("`, `").context("no unit")?;
            let (unit, differs) = rest.split_once('`').context("no unit")?;
            let kind = match (differs.strip_prefix(", "), *kind) {
                (Some(differs), _) => differs,
                (None, "histogram") => "exponential histogram",
                (None, kind) => kind,
            };
            let mut labels = labels(own);
            labels.extend(shared.clone());
            metrics.push(Documented {
                name: name.to_owned(),
                dotted: dotted.to_owned(),
                unit: unit.to_owned(),
                kind: kind.to_owned(),
                labels,
            });
        }
    }
    ensure!(!metrics.is_empty(), "the page has no metrics");
    Ok(metrics)
}

/// The attribute of each label in a cell, where it stands behind the label in brackets.
fn labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split("` [`").zip(text.split("` [`").skip(1));
    let label = |before: &str| before.rsplit('`').next().unwrap_or_default().to_owned();
    let attribute = |after: &str| after.split('`').next().unwrap_or_default().to_owned();
    pairs.map(|(before, after)| (attribute(after), label(before))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_units_and_attributes_are_read_off_a_page() {
        let page = "## A\n\nAll have these labels, unless `labels` switches one off: `s` [`x.s`], `r` [`x.r`].\n\n| metric | kind |\n\
                    | `a_total`<br>`x.a`, `{b}` | counter | `d` [`y.d`] (in, out) | Help | from |\n\n## B\n\n\
                    | `m`<br>`x.m`, `By`, up-down counter | gauge |  | Help | from |\n";
        let metrics = read(page).unwrap();
        let labels: Vec<(&str, &str)> = metrics[0]
            .labels
            .iter()
            .map(|(attribute, label)| (attribute.as_str(), label.as_str()))
            .collect();
        assert_eq!(labels, [("x.r", "r"), ("x.s", "s"), ("y.d", "d")]);
        let names: Vec<[&str; 4]> = metrics
            .iter()
            .map(|metric| [&metric.name, &metric.dotted, &metric.unit, &metric.kind].map(String::as_str))
            .collect();
        assert_eq!(
            names,
            [
                ["a_total", "x.a", "{b}", "counter"],
                ["m", "x.m", "By", "up-down counter"]
            ]
        );
        assert!(metrics[1].labels.is_empty());
    }
}
