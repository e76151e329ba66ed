//! The exporter's numbers at one moment, and what became of them since another.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use crate::exporter::exposition::{Exposition, Kind, Series};

/// Labels that a series must have, with these values; it may have more.
pub type Labels<'text> = [(&'text str, &'text str)];

/// Everything that one scrape gave.
#[derive(Clone, Debug)]
pub struct Scrape(Exposition);

/// Histograms added up. Bounds and counts of single buckets, not cumulative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Number of observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Upper bound and number of observations of each bucket, in order of the bounds.
    pub buckets: Vec<(f64, f64)>,
}

impl Scrape {
    /// Takes what was read.
    pub fn new(exposition: Exposition) -> Self {
        Self(exposition)
    }

    /// What was read.
    pub fn exposition(&self) -> &Exposition {
        &self.0
    }

    /// The value of the one series with exactly these labels.
    pub fn value(&self, name: &str, labels: &Labels<'_>) -> Result<f64> {
        let series = Series {
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|&(label, value)| (label.to_owned(), value.to_owned()))
                .collect(),
        };
        self.0
            .samples
            .get(&series)
            .copied()
            .with_context(|| format!("no series {series:?}, but {:#?}", self.named(name)))
    }

    /// The sum over all series with these labels; zero where there are none, as long as the family is known.
    pub fn sum(&self, name: &str, labels: &Labels<'_>) -> Result<f64> {
        self.require_family(name)?;
        // Not sum(), for which nothing is a negative zero.
        Ok(self.matching(name, labels).fold(0.0, |sum, (_, value)| sum + value))
    }

    /// The same of a metric that counts whole things.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of events, far below what a double holds exactly"
    )]
    pub fn count(&self, name: &str, labels: &Labels<'_>) -> Result<u64> {
        Ok(self.sum(name, labels)? as u64)
    }

    /// All series with these labels.
    pub fn matching<'a>(&'a self, name: &'a str, labels: &'a Labels<'a>) -> impl Iterator<Item = (&'a Series, f64)> {
        self.0
            .samples
            .iter()
            .filter(move |(series, _)| series.name == name && has(series, labels))
            .map(|(series, &value)| (series, value))
    }

    /// The values of one label among the series with `labels`, and what they sum to.
    pub fn by(&self, name: &str, label: &str, labels: &Labels<'_>) -> Result<BTreeMap<String, f64>> {
        self.require_family(name)?;
        let mut sums = BTreeMap::new();
        for (series, value) in self.matching(name, labels) {
            let key = series
                .labels
                .get(label)
                .with_context(|| format!("{series:?} has no label {label}"))?;
            *sums.entry(key.clone()).or_default() += value;
        }
        sums.retain(|_, sum| *sum != 0.0);
        Ok(sums)
    }

    /// The sum of the histograms with these labels.
    pub fn histogram(&self, name: &str, labels: &Labels<'_>) -> Result<Histogram> {
        self.require_family(name)?;
        let mut cumulative: BTreeMap<BTreeMap<&str, &str>, Vec<(f64, f64)>> = BTreeMap::new();
        let bucket = format!("{name}_bucket");
        for (series, value) in self.matching(&bucket, labels) {
            let mut key: BTreeMap<&str, &str> = series
                .labels
                .iter()
                .map(|(label, value)| (label.as_str(), value.as_str()))
                .collect();
            let bound = key.remove("le").context("a bucket without a bound")?.parse()?;
            cumulative.entry(key).or_default().push((bound, value));
        }
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for one in cumulative.values_mut() {
            one.sort_by(|(left, _), (right, _)| left.total_cmp(right));
            let mut below = 0.0;
            for &(bound, up_to) in one.iter() {
                buckets.push((bound, up_to - below));
                below = up_to;
            }
        }
        buckets.sort_by(|(left, _), (right, _)| left.total_cmp(right));
        buckets.dedup_by(|(bound, count), (kept, sum)| {
            let same = bound == kept;
            if same {
                *sum += *count;
            }
            same
        });
        Ok(Histogram {
            count: self
                .matching(&format!("{name}_count"), labels)
                .map(|(_, value)| value)
                .sum(),
            sum: self
                .matching(&format!("{name}_sum"), labels)
                .map(|(_, value)| value)
                .sum(),
            buckets,
        })
    }

    /// The same series with what was added to them since `before`. Gauges stay as they are.
    pub fn since(&self, before: &Self) -> Self {
        let mut exposition = self.0.clone();
        for (series, value) in &mut exposition.samples {
            if self.only_grows(series) {
                *value -= before.0.samples.get(series).copied().unwrap_or(0.0);
            }
        }
        Self(exposition)
    }

    /// Fails if anything that may only grow has fallen since `before`, or has vanished.
    pub fn require_no_fall_since(&self, before: &Self) -> Result<()> {
        for (series, &earlier) in &before.0.samples {
            if self.only_grows(series) {
                let now = self
                    .0
                    .samples
                    .get(series)
                    .with_context(|| format!("{series:?} has vanished"))?;
                ensure!(*now >= earlier, "{series:?} has fallen from {earlier} to {now}");
            }
        }
        Ok(())
    }

    /// What this and another say differently.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        differences(&self.samples_as_stored(), &other.samples_as_stored())
    }

    /// To those who store series, a label without a value is none, and a bound has one way of being written.
    fn samples_as_stored(&self) -> BTreeMap<Series, f64> {
        let mut samples = BTreeMap::new();
        for (series, &value) in &self.0.samples {
            let mut series = series.clone();
            series.labels.retain(|_, value| !value.is_empty());
            if let Some(bound) = series.labels.get_mut("le") {
                // What is no number stays, and differs.
                *bound = bound
                    .parse()
                    .map_or_else(|_| bound.clone(), |bound: f64| bound.to_string());
            }
            samples.insert(series, value);
        }
        samples
    }

    fn only_grows(&self, series: &Series) -> bool {
        let kind = |name: &str| self.0.families.get(name).map(|family| family.kind);
        let stem = |suffix: &str| series.name.strip_suffix(suffix);
        kind(&series.name) == Some(Kind::Counter)
            || stem("_total").and_then(kind) == Some(Kind::Counter)
            || ["_bucket", "_sum", "_count"]
                .into_iter()
                .any(|suffix| stem(suffix).and_then(kind) == Some(Kind::Histogram))
    }

    /// So that a mistyped name is not taken for a zero.
    fn require_family(&self, name: &str) -> Result<()> {
        let family = |name: &str| self.0.families.contains_key(name);
        let known = family(name)
            || ["_total", "_info", "_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| name.strip_suffix(suffix).is_some_and(family));
        ensure!(known, "no family {name} among {:?}", self.0.families.keys());
        Ok(())
    }

    fn named(&self, name: &str) -> Vec<&Series> {
        self.0.samples.keys().filter(|series| series.name == name).collect()
    }
}

/// A series that only one of two has, or that differs in value: what the first says, and the second.
pub type Difference = (Series, Option<f64>, Option<f64>);

/// What two say differently.
pub fn differences(first: &BTreeMap<Series, f64>, second: &BTreeMap<Series, f64>) -> Vec<Difference> {
    let all: BTreeSet<&Series> = first.keys().chain(second.keys()).collect();
    all.into_iter()
        .map(|series| (series.clone(), first.get(series).copied(), second.get(series).copied()))
        .filter(|(_, first, second)| first != second)
        .collect()
}

fn has(series: &Series, labels: &Labels<'_>) -> bool {
    labels
        .iter()
        .all(|&(label, value)| series.labels.get(label).is_some_and(|own| own == value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::exposition::{Format, parse};

    fn scrape(values: [u32; 4]) -> Scrape {
        let [a, b, low, all] = values;
        let text = format!(
            "# HELP c Count.\n# TYPE c counter\nc_total{{x=\"a\"}} {a}\nc_total{{x=\"b\"}} {b}\n\
             # HELP h Sizes.\n# TYPE h histogram\nh_bucket{{le=\"1.0\"}} {low}\nh_bucket{{le=\"+Inf\"}} {all}\nh_sum 9\nh_count {all}\n# EOF\n"
        );
        Scrape::new(parse(&text, Format::OpenMetrics).unwrap())
    }

    #[test]
    fn series_are_found_summed_and_compared() {
        let (before, after) = (scrape([1, 2, 3, 4]), scrape([5, 2, 4, 6]));
        assert_eq!(after.value("c_total", &[("x", "a")]).unwrap(), 5.0);
        assert_eq!(after.sum("c_total", &[]).unwrap(), 7.0);
        assert_eq!(after.since(&before).sum("c_total", &[("x", "a")]).unwrap(), 4.0);
        assert_eq!(
            after.since(&before).histogram("h", &[]).unwrap().buckets,
            [(1.0, 1.0), (f64::INFINITY, 1.0)]
        );
        assert!(after.sum("d_total", &[]).is_err());
        assert!(after.value("c_total", &[]).is_err());
        let c = |label: &str| Series {
            name: "c_total".to_owned(),
            labels: [("x".to_owned(), label.to_owned())].into(),
        };
        let differences = after.differences(&before);
        assert_eq!(differences.len(), 4);
        assert_eq!(differences[0], (c("a"), Some(5.0), Some(1.0)));
        assert_eq!(after.differences(&after), []);
        after.require_no_fall_since(&before).unwrap();
        assert!(before.require_no_fall_since(&after).is_err());
    }
}
