//! A push laid beside a scrape of the same snapshot: they must say the same, under the names of the reference page.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use super::metrics::{Number, Received, Sample};
use super::page::{Documented, documented};
use crate::exporter::exposition::Series;
use crate::exporter::scrape::Scrape;

/// Requires that a push says what a scrape shows: every series, every value, every classic bucket.
pub fn require_same(scrape: &Scrape, received: &Received) -> Result<()> {
    let page = documented()?;
    assert_eq!(of_request(received, &page)?, of_scrape(scrape));
    let buckets = require_same_buckets(scrape, received, &page)?;
    ensure!(buckets > 40, "only {buckets} buckets were compared");
    Ok(())
}

/// The attribute by which only the conventions tell the time of processors.
const CPU_MODE: &str = "cpu.mode";

/// Values as a scrape shows them.
pub type Values = BTreeMap<Series, f64>;

/// The series of a scrape that a request has under other names: no texts that are empty, no classic buckets.
pub fn of_scrape(scrape: &Scrape) -> Values {
    let samples = scrape.exposition().samples.iter();
    let counted = samples.filter(|(series, _)| !series.name.ends_with("_bucket"));
    let named = counted.map(|(series, value)| {
        let mut series = series.clone();
        series.labels.retain(|_, value| !value.is_empty());
        (series, *value)
    });
    named.collect()
}

/// What a request says, under the names of a scrape; `page` is [`documented`].
pub fn of_request(received: &Received, page: &[Documented]) -> Result<Values> {
    let mut values = Values::new();
    for sample in &received.samples {
        let documented = page.iter().find(|documented| documented.dotted == sample.name);
        let documented = documented.with_context(|| format!("{} is not documented", sample.name))?;
        ensure!(!sample.is_delta, "{} is told by what it has grown", sample.name);
        assert_eq!(
            (&sample.unit, sample.kind),
            (&documented.unit, documented.kind.as_str()),
            "{}",
            sample.name
        );
        let mut add = |suffix: &str, value: f64| {
            let series = Series {
                name: format!("{}{suffix}", documented.name),
                labels: labels(sample, documented)?,
            };
            if sample.attributes.contains_key(CPU_MODE) {
                let sum = values.entry(series).or_default();
                // Whole hundredths of a second, which a scrape shows as one.
                *sum = ((*sum + value) * 100.0).round() / 100.0;
                return Ok(());
            }
            ensure!(values.insert(series.clone(), value).is_none(), "{series:?} twice");
            Ok(())
        };
        match &sample.value {
            Number::One(value) => add("", *value)?,
            Number::Many(count, sum, ..) => {
                add("_count", *count as f64)?;
                add("_sum", *sum)?;
            }
        }
    }
    Ok(values)
}

fn labels(sample: &Sample, documented: &Documented) -> Result<BTreeMap<String, String>> {
    let label = |(attribute, value): (&String, &String)| {
        let label = documented.labels.get(attribute);
        let label = label.with_context(|| format!("{}: {attribute} is not documented", sample.name))?;
        Ok((label.clone(), as_scraped(label, value).to_owned()))
    };
    let labels = sample.attributes.iter();
    labels
        .filter(|(attribute, _)| *attribute != CPU_MODE)
        .map(label)
        .collect()
}

/// The value of a label in a scrape: the conventions have a word of their own for another error.
pub fn as_scraped<'a>(label: &str, value: &'a str) -> &'a str {
    match (label, value) {
        ("reason", "_OTHER") => "other",
        _ => value,
    }
}

/// Every classic bucket of a scrape is the sum of the exponential ones below its bound.
fn require_same_buckets(scrape: &Scrape, received: &Received, page: &[Documented]) -> Result<usize> {
    let mut compared = 0;
    for sample in &received.samples {
        let Number::Many(count, _, scale, buckets) = &sample.value else {
            continue;
        };
        assert_eq!(*count, buckets.values().sum::<u64>(), "{sample:?}");
        let documented = page.iter().find(|documented| documented.dotted == sample.name);
        let documented = documented.context("checked before")?;
        let name = format!("{}_bucket", documented.name);
        let labels = labels(sample, documented)?;
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        for (series, up_to) in scrape.matching(&name, &labels) {
            let bound: f64 = series.labels.get("le").context("a bucket without a bound")?.parse()?;
            if bound.is_infinite() {
                assert_eq!(up_to, *count as f64, "{series:?}");
                continue;
            }
            // The upper bound of the bucket with an index is base^(index + 1).
            let below = |index: i32| f64::from(index + 1) <= bound.log2() * f64::from(1 << scale);
            let own: u64 = buckets
                .iter()
                .filter(|(index, _)| below(**index))
                .map(|(_, count)| count)
                .sum();
            assert_eq!(up_to, own as f64, "{series:?}");
            compared += 1;
        }
    }
    Ok(compared)
}
