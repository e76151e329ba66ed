//! VictoriaMetrics takes what the exporter pushes over HTTP, and holds what a scrape of the same snapshot shows.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::exposition::Series;
use tests::exporter::otlp::{Documented, Values, as_scraped, documented, of_scrape};
use tests::exporter::scrape::{Scrape, differences};
use tests::machine::turn;
use tests::readers::victoria_metrics::{Stored, VictoriaMetrics};

use crate::push::compare;

/// What it makes labels of: the resource, and the scope.
const WHO: [&str; 6] = [
    "host_name",
    "scope_name",
    "scope_version",
    "service_instance_id",
    "service_name",
    "service_version",
];

/// The name that OpenTelemetry's rules for Prometheus give a metric.
fn name(Documented { dotted, unit, kind, .. }: &Documented) -> String {
    let mut name = dotted.replace('.', "_");
    name += match unit.as_str() {
        "s" => "_seconds",
        "By" => "_bytes",
        "By/s" => "_bytes_per_second",
        "1" => "_ratio",
        _ => "",
    };
    if kind == "counter" {
        name += "_total";
    }
    name
}

/// The metric that a series belongs to, and what its name ends in.
fn metric<'a>(series: &str, page: &'a [Documented]) -> Option<(&'a Documented, String)> {
    page.iter().find_map(|documented| {
        let suffix = series.strip_prefix(&name(documented))?;
        let is_histogram = documented.kind == "exponential histogram";
        let fits =
            is_histogram == ["_bucket", "_sum", "_count"].contains(&suffix) && (is_histogram || suffix.is_empty());
        fits.then(|| (documented, suffix.to_owned()))
    })
}

/// What was stored for one moment, under the names of a scrape; buckets have the upper bound of their range as `le` and
/// count only what lies in it.
fn at_moment(stored: &[Stored], moment: i64, page: &[Documented]) -> Result<Values> {
    let mut values = Values::new();
    for series in stored {
        let Some(&value) = series.values.get(&moment) else {
            continue;
        };
        let (documented, suffix) =
            metric(&series.name, page).with_context(|| format!("{} is not documented", series.name))?;
        let (mut labels, mut is_by_mode) = (BTreeMap::new(), false);
        for (label, value) in &series.labels {
            if let Some((_, upper)) = value.split_once("...").filter(|_| label == "vmrange") {
                labels.insert("le".to_owned(), upper.to_owned());
            } else if label == "cpu_mode" {
                is_by_mode = true;
            } else if !WHO.contains(&label.as_str()) {
                let own = documented
                    .labels
                    .iter()
                    .find(|(attribute, _)| attribute.replace('.', "_") == *label);
                let (_, own) = own.with_context(|| format!("{}: {label} is not documented", series.name))?;
                labels.insert(own.clone(), as_scraped(own, value).to_owned());
            }
        }
        let series = Series {
            name: format!("{}{suffix}", documented.name),
            labels,
        };
        if is_by_mode {
            *values.entry(series).or_default() += value;
            continue;
        }
        ensure!(values.insert(series.clone(), value).is_none(), "{series:?} twice");
    }
    Ok(values)
}

/// Every classic bucket of a scrape is the sum of the ranges below its bound. Gives how many were compared.
fn require_same_buckets(scrape: &Scrape, ranges: &Values) -> Result<usize> {
    let mut compared = 0;
    let classic = scrape.exposition().samples.iter();
    for (series, &up_to) in classic.filter(|(series, _)| series.name.ends_with("_bucket")) {
        let bound: f64 = series.labels["le"].parse()?;
        let mut below = 0.0;
        for (range, count) in ranges.iter().filter(|(range, _)| range.name == series.name) {
            let upper: f64 = range.labels["le"].parse()?;
            let is_own = series
                .labels
                .iter()
                .all(|(label, value)| label == "le" || range.labels.get(label) == Some(value));
            // Ranges are written with four digits, and the narrowest are a fifth wide.
            if is_own && upper < bound * 1.01 {
                below += count;
            }
        }
        assert_eq!(up_to, below, "{series:?}");
        compared += 1;
    }
    Ok(compared)
}

/// It keeps decimal numbers, so that the last bits of a fraction may differ.
fn same(stored: f64, shown: f64) -> bool {
    shown.fract() != 0.0 && (stored - shown).abs() <= 1e-12 * shown.abs()
}

#[test]
fn victoria_metrics_holds_what_came_over_http() -> Result<()> {
    let _turn = turn::shared()?;
    let victoria = VictoriaMetrics::start()?;
    let (scrape, (stored, moment)) = compare(&victoria.endpoint(), "http/protobuf", |duration| {
        let stored = victoria.stored()?;
        let name = "tcpvitals_collect_duration_seconds";
        let durations = stored
            .iter()
            .filter(|series| series.name == name)
            .flat_map(|series| &series.values);
        let moment = durations
            .clone()
            .find_map(|(moment, value)| (*value == duration).then_some(*moment));
        // The series of a push are stored one after another; once the next is there, the push is whole.
        let whole = moment.filter(|moment| durations.clone().any(|(later, _)| later > moment));
        Ok(whole.map(|moment| (stored, moment)))
    })?;
    let (ranges, values): (Values, Values) = at_moment(&stored, moment, &documented()?)?
        .into_iter()
        .partition(|(series, _)| series.name.ends_with("_bucket"));
    let mut differences = differences(&values, &of_scrape(&scrape));
    differences.retain(|(_, stored, shown)| !stored.zip(*shown).is_some_and(|(stored, shown)| same(stored, shown)));
    assert_eq!(differences, []);
    let buckets = require_same_buckets(&scrape, &ranges)?;
    assert!(buckets > 40, "only {buckets} buckets were compared");
    for series in &stored {
        assert_eq!(series.labels["service_name"], "tcpvitals", "{}", series.name);
        assert_eq!(series.labels["scope_name"], "tcpvitals", "{}", series.name);
    }
    Ok(())
}
