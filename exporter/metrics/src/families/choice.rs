//! What a view shows of all families: metrics by name, and the bounds of classic buckets. Names that no metric has are refused.

use super::{
    build::Families,
    metric::{Accessor, Kind, Metric},
    table::METRICS,
    value::HistogramValue,
};
use crate::{findings::rules, snapshot::Group};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tcpvitals_config::{ClassicBuckets, Config, Histograms, MetricFilter, Problem};

/// Whether a configuration names metrics and bounds that there are.
///
/// # Errors
/// [`Problem`] with place and remedy.
pub fn check(config: &Config) -> Result<(), Problem> {
    for view in config.all_views() {
        let MetricFilter { include, exclude } = &view.metrics;
        for (key, glob) in include.iter().chain(exclude) {
            if !METRICS.iter().any(|metric| glob.matches(&metric.full_name())) {
                return Err(Problem::new(
                    key.as_str(),
                    "no metric has such a name; docs/metrics.md has them all",
                ));
            }
        }
        if !METRICS.iter().any(|metric| view.metrics.shows(&metric.full_name())) {
            let key = include.first().map_or("metrics", |(key, _)| key);
            return Err(Problem::new(key, "no metric is left to show; exclude fewer"));
        }
        check_buckets(&view.histograms)?;
    }
    check_findings(config)
}

fn check_findings(config: &Config) -> Result<(), Problem> {
    let muted = config.findings.ignore.iter().enumerate();
    let muted = muted.filter_map(|(index, mute)| {
        let word = mute.finding.as_deref()?;
        Some((format!("findings.ignore[{index}].finding"), word))
    });
    let changed = config.findings.thresholds.keys();
    let changed = changed.map(|word| (format!("findings.thresholds.{word}"), word.as_str()));
    for (key, word) in muted.chain(changed) {
        if rules::rule(word).is_none() {
            let words: Vec<&str> = rules::RULES.iter().map(|rule| rule.name).collect();
            let what = format!("{word:?} is no finding; use one of {}", words.join(", "));
            return Err(Problem::new(key, what));
        }
    }
    Ok(())
}

fn check_buckets(Histograms { classic, key, .. }: &Histograms) -> Result<(), Problem> {
    for (name, buckets) in classic {
        let key = format!("{key}[\"{name}\"]");
        let metric = METRICS.iter().find(|metric| metric.full_name() == *name);
        let Some(bounds) = metric.and_then(Metric::bounds) else {
            let histograms = METRICS.iter().filter(|metric| metric.bounds().is_some());
            let names: Vec<String> = histograms.map(Metric::full_name).collect();
            return Err(Problem::new(
                key,
                format!("this is no histogram; use one of {}", names.join(", ")),
            ));
        };
        let ClassicBuckets::UpTo(wanted) = buckets else {
            continue;
        };
        for (index, bound) in wanted.iter().enumerate() {
            if !bounds.contains(bound) {
                let near = |other: &f64| (other.log2() - bound.log2()).abs();
                let nearest = bounds.iter().min_by(|a, b| near(a).total_cmp(&near(b)));
                let nearest = nearest.map_or_else(String::new, |nearest| format!("; the nearest one is {nearest}"));
                let what = format!("{bound} is no bound of a bucket of it: those are powers of two{nearest}");
                return Err(Problem::new(format!("{key}[{index}]"), what));
            }
        }
    }
    Ok(())
}

impl Metric {
    /// Upper bounds of all classic buckets of a histogram but the bucket of infinity.
    pub fn bounds(&self) -> Option<Vec<f64>> {
        let Accessor::GroupHistogram(histogram) = self.source else {
            return None;
        };
        let all = histogram(&Group::default(), Duration::from_millis(1)).classic(&ClassicBuckets::All);
        Some(
            all.into_iter()
                .map(|(bound, _)| bound)
                .filter(|bound| bound.is_finite())
                .collect(),
        )
    }

    /// What a query may call it: its full name, and those of its series.
    fn names(&self) -> impl Iterator<Item = String> {
        let endings: &[&str] = match self.kind {
            Kind::Histogram => &["", "_bucket", "_sum", "_count"],
            Kind::Counter | Kind::Gauge => &[""],
        };
        let full = self.full_name();
        endings.iter().map(move |ending| format!("{full}{ending}"))
    }

    /// Whether a query may call it so.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }
}

impl Families {
    /// Those that a filter shows.
    pub fn chosen(&self, filter: &MetricFilter) -> Self {
        self.those(|metric| filter.shows(&metric.full_name()))
    }

    /// Those that are called so; the first name that no metric has, if there is one.
    ///
    /// # Errors
    /// That name.
    pub fn named<'a>(&self, names: &'a [String]) -> Result<Self, &'a str> {
        let known: HashSet<String> = METRICS.iter().flat_map(Metric::names).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(*name)) {
            return Err(unknown);
        }
        let asked: HashSet<&str> = names.iter().map(String::as_str).collect();
        Ok(self.those(|metric| metric.names().any(|name| asked.contains(name.as_str()))))
    }

    fn those(&self, shown: impl Fn(&Metric) -> bool) -> Self {
        let Self(families) = self;
        let kept = families.iter().filter(|family| shown(family.metric)).map(Arc::clone);
        Self::counted(kept.collect())
    }
}

impl HistogramValue {
    /// Upper bound and count, not cumulative, of classic buckets, and one for the rest.
    pub fn classic(&self, buckets: &ClassicBuckets) -> Vec<(f64, u64)> {
        let all = self.octaves();
        let ClassicBuckets::UpTo(bounds) = buckets else {
            return all;
        };
        let mut all = all.into_iter().peekable();
        let mut up_to = |bound: f64| {
            let mut count = 0;
            while let Some((_, more)) = all.next_if(|(upper, _)| *upper <= bound) {
                count += more;
            }
            (bound, count)
        };
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        bounds.map(&mut up_to).collect()
    }
}

/// The classic buckets of a metric.
pub(crate) fn buckets_of<'a>(histograms: &'a Histograms, metric: &Metric) -> &'a ClassicBuckets {
    const NONE: &ClassicBuckets = &ClassicBuckets::UpTo(Vec::new());
    histograms.classic.get(&metric.full_name()).unwrap_or(NONE)
}
