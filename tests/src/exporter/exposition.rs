//! A strict reader of the two text formats of metrics: OpenMetrics 1.0 and Prometheus text 0.0.4.
//!
//! Stricter than a scraper on purpose: what it refuses is a mistake even where Prometheus would let it pass.

mod line;
pub mod protobuf;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};

use line::{is_name, number, read_sample, unescape};

/// Which format a text claims to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/openmetrics-text`
    OpenMetrics,
    /// `text/plain; version=0.0.4`
    Prometheus,
}

/// What a family of metrics measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Says something in its labels; its value is 1.
    Info,
}

/// One line of values: its full name and its labels, in order of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// With suffix.
    pub name: String,
    /// Without `le`'s being special.
    pub labels: BTreeMap<String, String>,
}

/// What is said about a family once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// What it measures.
    pub kind: Kind,
    /// One sentence.
    pub help: String,
    /// Base unit, if any.
    pub unit: String,
}

/// A whole text, read.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// By the name in the TYPE line.
    pub families: BTreeMap<String, Family>,
    /// Every value.
    pub samples: BTreeMap<Series, f64>,
}

/// Reads a text, or says in which line what is wrong.
pub fn parse(text: &str, format: Format) -> Result<Exposition> {
    ensure!(text.ends_with('\n'), "the last line has no end");
    let mut reader = Reader::new(format);
    for (number, line) in text.lines().enumerate() {
        reader
            .line(line)
            .with_context(|| format!("line {}: `{line}`", number + 1))?;
    }
    reader.finish()
}

/// What has been said so far about the family whose lines are being read.
#[derive(Debug, Default)]
struct Open {
    name: String,
    kind: Option<Kind>,
    help: Option<String>,
    unit: Option<String>,
    has_samples: bool,
}

#[derive(Debug)]
struct Reader {
    format: Format,
    exposition: Exposition,
    open: Option<Open>,
    ended: bool,
}

impl Reader {
    fn new(format: Format) -> Self {
        Self {
            format,
            exposition: Exposition::default(),
            open: None,
            ended: false,
        }
    }

    fn line(&mut self, line: &str) -> Result<()> {
        ensure!(!self.ended, "text after the end mark");
        ensure!(!line.is_empty(), "an empty line");
        if line == "# EOF" {
            ensure!(
                self.format == Format::OpenMetrics,
                "an end mark, which only OpenMetrics has"
            );
            self.ended = true;
            return self.close();
        }
        match line.strip_prefix("# ") {
            Some(text) => self.description(text),
            None => self.sample(line),
        }
    }

    /// `HELP name text`, `TYPE name kind` or `UNIT name unit`.
    fn description(&mut self, text: &str) -> Result<()> {
        let mut words = text.splitn(3, ' ');
        let (Some(keyword), Some(name)) = (words.next(), words.next()) else {
            bail!("neither a comment that says something nor a value")
        };
        let rest = words.next().unwrap_or_default();
        ensure!(is_name(name, true), "{name} is no name of a metric");
        if self.open.as_ref().is_none_or(|open| open.name != name) {
            self.close()?;
            ensure!(
                !self.exposition.families.contains_key(name),
                "the lines of {name} are not together"
            );
            self.open = Some(Open {
                name: name.to_owned(),
                ..Open::default()
            });
        }
        let format = self.format;
        let open = self.open.as_mut().context("no family is open")?;
        ensure!(!open.has_samples, "{keyword} after the first value of {name}");
        match keyword {
            "HELP" => once(&mut open.help, unescape(rest, format == Format::OpenMetrics)?),
            "TYPE" => once(&mut open.kind, kind(rest, format)?),
            "UNIT" if format == Format::OpenMetrics => {
                ensure!(
                    name.ends_with(&format!("_{rest}")),
                    "the unit {rest} is not the end of the name"
                );
                once(&mut open.unit, rest.to_owned())
            }
            _ => bail!("the keyword {keyword}"),
        }
    }

    fn sample(&mut self, line: &str) -> Result<()> {
        let (series, value) = read_sample(line)?;
        let open = self.open.as_mut().context("a value before its TYPE")?;
        open.has_samples = true;
        let suffix = series
            .name
            .strip_prefix(&open.name)
            .with_context(|| format!("a value of another family than {}", open.name))?;
        let kind = open.kind.context("a value before its TYPE")?;
        let has_bound = series.labels.contains_key("le");
        match (kind, self.format, suffix) {
            (Kind::Counter, Format::OpenMetrics, "_total") | (Kind::Counter, Format::Prometheus, "") => {
                ensure!(
                    series.name.ends_with("_total"),
                    "a counter whose name does not end in _total"
                );
                ensure!(value.is_finite() && value >= 0.0, "a counter of {value}");
            }
            (Kind::Gauge, _, "") => {}
            (Kind::Info, _, "_info") => ensure!(value == 1.0, "an info of {value}"),
            (Kind::Histogram, _, "_bucket") => ensure!(has_bound, "a bucket without a bound"),
            (Kind::Histogram, _, "_sum") => ensure!(value >= 0.0, "a sum of {value}"),
            (Kind::Histogram, _, "_count") => {}
            _ => bail!("a {kind:?} with the suffix `{suffix}`"),
        }
        ensure!(!has_bound || suffix == "_bucket", "a bound where there are no buckets");
        ensure!(
            self.exposition.samples.insert(series, value).is_none(),
            "the same series for the second time"
        );
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let kind = open.kind.with_context(|| format!("{} has no TYPE", open.name))?;
        let help = open.help.with_context(|| format!("{} has no HELP", open.name))?;
        ensure!(!help.is_empty(), "the HELP of {} says nothing", open.name);
        if self.format == Format::OpenMetrics {
            ensure!(
                !open.name.ends_with("_total"),
                "OpenMetrics names the family {} without _total",
                open.name
            );
        }
        if kind == Kind::Histogram {
            check_histogram(&self.exposition.samples, &open.name)
                .with_context(|| format!("the histogram {}", open.name))?;
        }
        let family = Family {
            kind,
            help,
            unit: open.unit.unwrap_or_default(),
        };
        self.exposition.families.insert(open.name, family);
        Ok(())
    }

    fn finish(mut self) -> Result<Exposition> {
        self.close()?;
        ensure!(self.ended || self.format == Format::Prometheus, "no end mark");
        Ok(self.exposition)
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<()> {
    ensure!(place.is_none(), "said twice");
    *place = Some(value);
    Ok(())
}

fn kind(word: &str, format: Format) -> Result<Kind> {
    match word {
        "counter" => Ok(Kind::Counter),
        "gauge" => Ok(Kind::Gauge),
        "histogram" => Ok(Kind::Histogram),
        "info" if format == Format::OpenMetrics => Ok(Kind::Info),
        _ => bail!("the type {word}"),
    }
}

/// Buckets rise in both bound and value, the last is unbounded, and agrees with the count; every histogram has a sum.
fn check_histogram(samples: &BTreeMap<Series, f64>, family: &str) -> Result<()> {
    let of = |suffix: &str| {
        let name = format!("{family}{suffix}");
        samples.iter().filter(move |(series, _)| series.name == name)
    };
    let mut buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, &value) in of("_bucket") {
        let mut labels = series.labels.clone();
        let bound = labels.remove("le").context("a bucket without a bound")?;
        buckets.entry(labels).or_default().push((number(&bound)?, value));
    }
    let counts: BTreeMap<_, _> = of("_count").map(|(series, &count)| (&series.labels, count)).collect();
    let sums: BTreeSet<_> = of("_sum").map(|(series, _)| &series.labels).collect();
    ensure!(
        buckets.keys().eq(counts.keys().copied()),
        "buckets and counts have different labels"
    );
    ensure!(
        sums.into_iter().eq(buckets.keys()),
        "buckets and sums have different labels"
    );
    for (labels, buckets) in &mut buckets {
        buckets.sort_by(|(left, _), (right, _)| left.total_cmp(right));
        ensure!(
            buckets.is_sorted_by(|(_, left), (_, right)| left <= right),
            "{labels:?}: a bucket is smaller than the one before it"
        );
        let &(bound, all) = buckets.last().context("no buckets")?;
        ensure!(bound == f64::INFINITY, "{labels:?}: no bucket without a bound");
        ensure!(
            Some(&all) == counts.get(labels),
            "{labels:?}: the count is not that of the last bucket"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
        a_seconds_bucket{le=\"1.0\",x=\"\\\"\\\\\\n\"} 2\na_seconds_bucket{le=\"+Inf\",x=\"\\\"\\\\\\n\"} 3\n\
        a_seconds_sum{x=\"\\\"\\\\\\n\"} 4.5\na_seconds_count{x=\"\\\"\\\\\\n\"} 3\n\
        # HELP b Count.\n# TYPE b counter\nb_total 1\n# EOF\n";

    #[test]
    fn a_correct_text_is_read() {
        let read = parse(GOOD, Format::OpenMetrics).unwrap();
        assert_eq!(read.families["a_seconds"].unit, "seconds");
        assert_eq!(read.samples.len(), 5);
        let total = Series {
            name: "b_total".into(),
            labels: BTreeMap::new(),
        };
        assert_eq!(read.samples[&total], 1.0);
    }

    #[test]
    fn every_rule_is_kept() {
        let cases = [
            ("# EOF\n", "", "end mark"),
            ("# EOF\n", "# EOF\nb_total 2\n", "after the end mark"),
            ("b_total 1\n", "b 1\n", "suffix"),
            ("b_total 1\n", "b_total -1\n", "counter of -1"),
            ("b_total 1\n", "b_total 1\nb_total 1\n", "second time"),
            ("b_total 1\n", "b_total{x=\"1\",x=\"1\"} 1\n", "twice"),
            ("b_total 1\n", "b_total{x=\"\\t\"} 1\n", "backslash"),
            ("b_total 1\n", "b_total{1=\"\"} 1\n", "name of a label"),
            ("b_total 1\n", "b_total 1 \n", "no number"),
            ("b_total 1\n", "b_total 1\n\n", "empty line"),
            ("b_total 1\n", "b_total 1\n# HELP b Count.\n", "after the first value"),
            ("b_total 1\n", "b_total 1\n# HELP a_seconds Time.\n", "not together"),
            ("# HELP b Count.\n", "", "no HELP"),
            ("# TYPE b counter\n", "", "before its TYPE"),
            ("# UNIT a_seconds seconds\n", "# UNIT a_seconds bytes\n", "unit"),
            (
                "le=\"1.0\",x=\"\\\"\\\\\\n\"} 2",
                "le=\"1.0\",x=\"\\\"\\\\\\n\"} 4",
                "smaller",
            ),
            ("_count{x=\"\\\"\\\\\\n\"} 3", "_count{x=\"\\\"\\\\\\n\"} 4", "count"),
            ("a_seconds_sum{x=\"\\\"\\\\\\n\"} 4.5\n", "", "sums"),
        ];
        for (from, to, complaint) in cases {
            assert!(GOOD.contains(from), "{from}");
            let error = format!(
                "{:#}",
                parse(&GOOD.replacen(from, to, 1), Format::OpenMetrics).unwrap_err()
            );
            assert!(error.contains(complaint), "{from} to {to}: {error}");
        }
    }

    #[test]
    fn the_older_format_names_counters_in_full() {
        let text = "# HELP b_total Count.\n# TYPE b_total counter\nb_total 1\n";
        assert_eq!(parse(text, Format::Prometheus).unwrap().samples.len(), 1);
        assert!(parse(&format!("{text}# EOF\n"), Format::Prometheus).is_err());
        assert!(parse(&text.replace("b_total", "b"), Format::Prometheus).is_err());
    }
}
