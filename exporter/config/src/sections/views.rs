//! What each path shows of what is counted: which metrics, with which labels and buckets.
//! It must never know a metric: `Config::read` is given who knows their names.
//! From `labels`, `metrics`, `histograms` and `views` of the file; to the labelling and the encoders.

use std::collections::{BTreeMap, BTreeSet};

use super::{drops::Glob, labels::Labels, limits::Limits};
use crate::{
    file::Problem,
    kinds::{
        ranges::SERIES,
        units::COUNT,
        words::{self, ALL, TAKEN, TAKEN_BEGINNINGS},
    },
    raw::{RawBounds, RawHistograms, RawMetrics, RawView, shapes::Pairs},
};

/// Most views: each takes time and memory of every collection.
const MOST: usize = 32;

/// What a path or a push shows of what is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What it is called; "" for the metrics path.
    pub name: String,
    /// Where it is served; "" for the metrics path, of which the command line decides.
    pub path: String,
    /// Labels that are shown.
    pub labels: Labels,
    /// Metrics that are shown.
    pub metrics: MetricFilter,
    /// Buckets that are shown.
    pub histograms: Histograms,
    /// Most series in all.
    pub series: usize,
}

impl View {
    /// What the metrics path shows without a file.
    pub(crate) fn built_in() -> Self {
        Self {
            name: String::new(),
            path: String::new(),
            labels: Labels::default(),
            metrics: MetricFilter::default(),
            histograms: Histograms::default(),
            series: Limits::default().series,
        }
    }

    /// The entries of `views`; what one does not say is as in `main`.
    pub(crate) fn parse_all(entries: &[RawView], main: &Self) -> Result<Vec<Self>, Problem> {
        if entries.len() > MOST {
            let what = format!(
                "there are {} views, and {MOST} are the most; leave some out",
                entries.len()
            );
            return Err(Problem::new("views", what));
        }
        let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
        let mut views = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let key = format!("views[{index}]");
            let view = Self::parse(&key, entry, main)?;
            for (part, text, all) in [("name", &view.name, &mut names), ("path", &view.path, &mut paths)] {
                if !all.insert(text.clone()) {
                    let what = format!("{text:?} is another view's too; give each view its own");
                    return Err(Problem::new(format!("{key}.{part}"), what));
                }
            }
            views.push(view);
        }
        Ok(views)
    }

    fn parse(key: &str, raw: &RawView, main: &Self) -> Result<Self, Problem> {
        let RawView {
            name,
            path,
            labels,
            metrics,
            histograms,
            series,
        } = raw;
        let key_of_name = format!("{key}.name");
        let name = view_name(&key_of_name, words::given(&key_of_name, name.as_ref())?)?;
        let mut view = Self {
            path: format!("/metrics/{name}"),
            name,
            ..main.clone()
        };
        if let Some(path) = path {
            view.path = view_path(&format!("{key}.path"), path)?;
        }
        if let Some(labels) = labels {
            view.labels = Labels::parse(&format!("{key}.labels"), labels, view.labels)?;
        }
        if let Some(metrics) = metrics {
            view.metrics = MetricFilter::parse(&format!("{key}.metrics"), metrics, view.metrics)?;
        }
        if let Some(histograms) = histograms {
            view.histograms = Histograms::parse(&format!("{key}.histograms"), histograms, view.histograms)?;
        }
        if let Some(series) = series {
            view.series = COUNT.read(&format!("{key}.series"), series, SERIES)?;
        }
        Ok(view)
    }
}

/// The name of a view.
pub(crate) fn view_name(key: &str, text: &str) -> Result<String, Problem> {
    if is_made_of(text, "-_") {
        return Ok(text.to_owned());
    }
    let what = format!("{text:?} is not the name of a view; write letters, digits, - and _ alone");
    Err(Problem::new(key, what))
}

fn view_path(key: &str, text: &str) -> Result<String, Problem> {
    let rest = text.strip_prefix('/').unwrap_or_default();
    let taken = match rest.split_once('/') {
        Some((beginning, _)) => TAKEN_BEGINNINGS.contains(&beginning),
        None => TAKEN.contains(&rest),
    };
    let what = if !rest.split('/').all(|part| is_made_of(part, ".-_")) {
        format!(
            "{text:?} is not a path; write / and letters, digits, ., -, _ and more of /, for example /metrics/fleet"
        )
    } else if taken {
        format!("{text:?} is served already; choose another path, for example /metrics/fleet")
    } else {
        return Ok(text.to_owned());
    };
    Err(Problem::new(key, what))
}

/// Whether a word holds letters and digits of ASCII and these marks alone, and at least one.
fn is_made_of(text: &str, marks: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || marks.contains(char))
}

/// Metrics that `*` alone does not include: few ask for them, and a label set stays small without.
pub const ON_DEMAND: [&str; 7] = [
    "tcpvitals_tcp_spurious_recoveries_total",
    "tcpvitals_tcp_delivery_rate_bytes_per_second",
    "tcpvitals_tcp_path_mtu_min_bytes",
    "tcpvitals_tcp_peer_mss_min_bytes",
    "tcpvitals_tcp_peer_zero_windows",
    "tcpvitals_tcp_own_zero_windows",
    "tcpvitals_tcp_connections_reset_total",
];

/// Which metrics are shown: those that a pattern of `include` matches and none of `exclude`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFilter {
    /// Patterns and the keys at which they stand.
    pub include: Vec<(String, Glob)>,
    /// The same.
    pub exclude: Vec<(String, Glob)>,
}

impl Default for MetricFilter {
    /// All metrics but those of [`ON_DEMAND`].
    fn default() -> Self {
        Self {
            include: Glob::new("*")
                .map(|glob| ("metrics.include[0]".to_owned(), glob))
                .into_iter()
                .collect(),
            exclude: Vec::new(),
        }
    }
}

impl MetricFilter {
    /// Under `key`; what is absent is as in `default`.
    pub(crate) fn parse(key: &str, raw: &RawMetrics, default: Self) -> Result<Self, Problem> {
        let RawMetrics { include, exclude } = raw;
        let patterns = |part: &str, list: &[String]| {
            let pattern = |(index, text): (usize, &String)| {
                let key = format!("{key}.{part}[{index}]");
                let glob = Glob::new(text).map_err(|what| Problem::new(key.as_str(), what))?;
                Ok((key, glob))
            };
            list.iter()
                .enumerate()
                .map(pattern)
                .collect::<Result<Vec<_>, Problem>>()
        };
        let mut filter = default;
        if let Some(list) = include {
            filter.include = patterns("include", list)?;
            if list.is_empty() {
                let what = "the list is empty, so no metric would be shown; name some, or remove the key";
                return Err(Problem::new(format!("{key}.include"), what));
            }
        }
        if let Some(list) = exclude {
            filter.exclude = patterns("exclude", list)?;
        }
        Ok(filter)
    }

    /// Whether a metric of this full name is shown.
    pub fn shows(&self, name: &str) -> bool {
        let is_on_demand = ON_DEMAND.contains(&name);
        let includes = |glob: &Glob| glob.matches(name) && !(is_on_demand && glob.is_any());
        self.include.iter().any(|(_, glob)| includes(glob)) && !self.exclude.iter().any(|(_, glob)| glob.matches(name))
    }
}

/// Which buckets histograms have.
#[derive(Clone, Debug, PartialEq)]
pub struct Histograms {
    /// Native ones, in protobuf.
    pub native: bool,
    /// Classic ones by the full name of the metric; others have the bucket of infinity alone.
    pub classic: BTreeMap<String, ClassicBuckets>,
    /// The key of the classic ones.
    pub key: String,
}

/// The classic buckets of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassicBuckets {
    /// All that there are.
    All,
    /// Up to these bounds, which rise.
    UpTo(Vec<f64>),
}

impl Default for Histograms {
    /// Native ones, and of the classic ones as many as tell a round-trip time within a network from one across the world.
    fn default() -> Self {
        let powers = |exponents: &[i32]| {
            let bounds = exponents.iter().map(|exponent| f64::from(*exponent).exp2());
            ClassicBuckets::UpTo(bounds.collect())
        };
        let rtt = powers(&[-13, -11, -9, -8, -7, -6, -5, -4, -3, -1]);
        let handshake = powers(&[-10, -8, -6, -4, -2, 0]);
        Self {
            native: true,
            classic: [
                ("tcpvitals_tcp_rtt_seconds".to_owned(), rtt),
                ("tcpvitals_tcp_handshake_seconds".to_owned(), handshake),
            ]
            .into(),
            key: "histograms.classic".to_owned(),
        }
    }
}

impl Histograms {
    /// Under `key`; what is absent is as in `default`.
    pub(crate) fn parse(key: &str, raw: &RawHistograms, default: Self) -> Result<Self, Problem> {
        let RawHistograms { native, classic } = raw;
        let mut histograms = default;
        if let Some(native) = native {
            histograms.native = *native;
        }
        if let Some(Pairs(pairs)) = classic {
            histograms.key = format!("{key}.classic");
            histograms.classic = BTreeMap::new();
            for (name, bounds) in pairs {
                let key = format!("{key}.classic[\"{name}\"]");
                let buckets = ClassicBuckets::parse(&key, bounds)?;
                if histograms.classic.insert(name.clone(), buckets).is_some() {
                    let what = "the metric is named twice; keep one of the two";
                    return Err(Problem::new(key, what));
                }
            }
        }
        Ok(histograms)
    }
}

impl ClassicBuckets {
    fn parse(key: &str, raw: &RawBounds) -> Result<Self, Problem> {
        let list = match raw {
            RawBounds::Word(word) if word == ALL => return Ok(Self::All),
            RawBounds::Word(word) => {
                let what =
                    format!("{word:?} is neither a list of upper bounds nor the word {ALL}; write one of the two");
                return Err(Problem::new(key, what));
            }
            RawBounds::These(list) => list,
        };
        let mut bounds = Vec::new();
        for (index, text) in list.iter().enumerate() {
            let refuse = |what: String| Err(Problem::new(format!("{key}[{index}]"), what));
            let bound = match text.parse::<f64>() {
                Ok(bound) if bound.is_finite() && bound > 0.0 => bound,
                _ => return refuse(format!("{text:?} is not an upper bound; write a number above 0")),
            };
            if bounds.last().is_some_and(|before| *before >= bound) {
                return refuse(format!(
                    "{text:?} is not above the bound before it; write bounds in rising order"
                ));
            }
            bounds.push(bound);
        }
        Ok(Self::UpTo(bounds))
    }
}
