//! A real Prometheus that scrapes the exporter, and what it holds afterwards.
//!
//! What it holds is read back into the harness' own [`Scrape`], so that it meets the same comparisons as a scrape of ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::write;
use std::net::SocketAddr;
use std::ops::Deref;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::exporter::exposition::{Exposition, Family, Kind, Series};
use crate::exporter::free_address;
use crate::exporter::program::{Program, ask, brought};
use crate::exporter::scrape::Scrape;
use crate::machine::wait::until;

/// One scrape a second, and as much time for each.
const GLOBAL: &str = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n\
                      rule_files: [\"*.rules\"]\n\
                      scrape_configs:\n";

/// What and how Prometheus scrapes.
#[derive(Clone, Debug)]
pub struct Job {
    name: String,
    target: SocketAddr,
    settings: String,
}

impl Job {
    /// A job for one exporter.
    pub fn new(name: &str, target: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            target,
            settings: String::new(),
        }
    }

    /// With one more setting of `scrape_config`, as in the configuration file: `scheme: https`.
    pub fn with(mut self, setting: &str) -> Self {
        // Writing to a string cannot fail.
        write!(self.settings, ", {setting}").ok();
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn line(&self) -> String {
        format!(
            "  - {{job_name: {}, static_configs: [{{targets: [\"{}\"]}}]{}}}\n",
            self.name, self.target, self.settings
        )
    }
}

/// A running Prometheus with an empty store.
#[derive(Debug)]
pub struct Prometheus {
    program: Program,
    api: Api,
    jobs: usize,
}

/// What Prometheus, and whatever does as it does, answers to queries.
#[derive(Clone, Debug)]
pub struct Api(String);

impl Deref for Prometheus {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// What Prometheus says of the target of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// Why it is down.
    pub error: String,
}

/// What a job has stored of one scrape.
#[derive(Clone, Debug)]
pub struct Held {
    /// When that was, for a query at a moment.
    pub at: String,
    /// Everything, without what Prometheus itself says about the job.
    pub scrape: Scrape,
}

/// The labels of a series, its name among them, and its value.
pub type Point = (BTreeMap<String, String>, f64);

/// The labels of a series, and its values with their times in seconds since 1970.
pub type Line = (BTreeMap<String, String>, Vec<(f64, f64)>);

impl Prometheus {
    /// Starts one with these jobs and features, and waits until it answers.
    pub fn start(jobs: &[Job], features: &[&str]) -> Result<Self> {
        Self::with_rules(jobs, features, &[])
    }

    /// The same with rule files, by their text.
    pub fn with_rules(jobs: &[Job], features: &[&str], rules: &[String]) -> Result<Self> {
        let address = free_address()?;
        let folder = TempDir::new()?;
        let config: String = jobs.iter().map(Job::line).collect();
        write(folder.path().join("prometheus.yml"), GLOBAL.to_owned() + &config)?;
        for (number, text) in rules.iter().enumerate() {
            write(folder.path().join(format!("{number}.rules")), text)?;
        }
        let mut arguments = vec![
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=data".to_owned(),
            format!("--web.listen-address={address}"),
            // It looks at its list of targets every five seconds else, the first time too.
            "--scrape.discovery-reload-interval=100ms".to_owned(),
        ];
        if !features.is_empty() {
            arguments.push(format!("--enable-feature={}", features.join(",")));
        }
        let program = Program::start(&brought("debian/prometheus")?, &arguments, folder)?;
        let api = Api(format!("http://{address}/api/v1"));
        let mut started = Self {
            program,
            api,
            jobs: jobs.len(),
        };
        started.wait_until_scraped(jobs)?;
        Ok(started)
    }

    /// Waits until the first scrape of every job has ended, well or not.
    fn wait_until_scraped(&mut self, jobs: &[Job]) -> Result<()> {
        let Self { program, api, .. } = self;
        program.until("scrape", || {
            // Nobody answers until it has read its store.
            let Ok(targets) = targets(&api.0) else { return Ok(None) };
            let scraped = |job: &Job| targets.get(&job.name).is_some_and(|target| target.health != "unknown");
            Ok(jobs.iter().all(scraped).then_some(()))
        })
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.program.said()
    }

    /// What an expression consists of, as Prometheus parses it.
    pub fn parse(&self, expression: &str) -> Result<Value> {
        data(&self.api.0, "parse_query", &[("query", expression)])
    }

    /// Rules that are unwell, and why.
    pub fn unwell_rules(&self) -> Result<Vec<String>> {
        let said = data(&self.api.0, "rules", &[])?;
        let groups = said["groups"].as_array().context("no groups of rules")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
        let unwell = rules.filter(|rule| rule["health"] == "err");
        Ok(unwell.map(ToString::to_string).collect())
    }

    /// The one value of an expression at a moment.
    pub fn value_at(&self, at: &str, expression: &str) -> Result<f64> {
        let points = self.query_at(at, expression)?;
        ensure!(points.len() == 1, "{expression} has the values {points:?}");
        Ok(points[0].1)
    }

    /// Everything that is stored of one series: seconds since 1970, and values.
    pub fn samples(&self, selector: &str) -> Result<Vec<(f64, f64)>> {
        let said = data(&self.api.0, "query", &[("query", &format!("{selector}[1h]"))])?;
        let series = said["result"].as_array().context("no series")?;
        ensure!(series.len() == 1, "{selector} selects {said}");
        let samples: Vec<(f64, String)> = serde_json::from_value(series[0]["values"].clone())?;
        samples
            .into_iter()
            .map(|(time, value)| Ok((time, value.parse()?)))
            .collect()
    }

    /// The target of a job.
    pub fn target(&self, job: &str) -> Result<Target> {
        let mut targets = targets(&self.api.0)?;
        targets
            .remove(job)
            .with_context(|| format!("no target of the job {job} among {targets:?}"))
    }

    /// Waits until every job has stored a scrape that began after this call, and gives what it stored. A scrape that
    /// failed is waited out: the machine may have been busy.
    pub fn held(&self) -> Result<BTreeMap<String, Held>> {
        // The next scrape to be stored may have begun already, the one after it not.
        let passed = self.last_stored(&BTreeMap::new())?;
        let under_way = until("every job to store a scrape", || self.last_stored_after(&passed))?;
        let stored = until("every job to store another one", || self.last_stored_after(&under_way))?;
        stored
            .into_iter()
            .map(|(job, at)| {
                let scrape = self.stored(&job, &at)?;
                Ok((job, Held { at, scrape }))
            })
            .collect()
    }

    /// When the last scrape began that each job has stored, if it was a good one and another than in `passed`.
    fn last_stored(&self, passed: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        let mut moments = BTreeMap::new();
        for (labels, moment) in self.query("timestamp(up) and up == 1")? {
            let (job, moment) = (labels["job"].clone(), format!("{moment:.3}"));
            if passed.get(&job) != Some(&moment) {
                moments.insert(job, moment);
            }
        }
        Ok(moments)
    }

    fn last_stored_after(&self, passed: &BTreeMap<String, String>) -> Result<Option<BTreeMap<String, String>>> {
        let moments = self.last_stored(passed)?;
        Ok((moments.len() == self.jobs).then_some(moments))
    }

    fn stored(&self, job: &str, at: &str) -> Result<Scrape> {
        let selector = format!("{{job=\"{job}\"}}");
        let mut exposition = Exposition::default();
        let metadata = data(&self.api.0, "targets/metadata", &[("match_target", &selector)])?;
        for family in metadata.as_array().context("metadata that is no list")? {
            let kind = match family["type"].as_str() {
                Some("counter") => Kind::Counter,
                Some("gauge") => Kind::Gauge,
                Some("histogram") => Kind::Histogram,
                Some("info") => Kind::Info,
                _ => anyhow::bail!("a family of a kind that we do not export: {family}"),
            };
            let said = Family {
                kind,
                help: text(&family["help"])?,
                unit: text(&family["unit"])?,
            };
            exposition.families.insert(text(&family["metric"])?, said);
        }
        for (mut labels, value) in self.query_at(at, &selector)? {
            let name = labels.remove("__name__").context("a series without a name")?;
            ensure!(
                labels.remove("job").is_some() && labels.remove("instance").is_some(),
                "{labels:?}"
            );
            if name != "up" && !name.starts_with("scrape_") {
                exposition.samples.insert(Series { name, labels }, value);
            }
        }
        Ok(Scrape::new(exposition))
    }
}

impl Api {
    /// At a URL, which ends in `/api/v1`.
    pub fn at(url: String) -> Self {
        Self(url)
    }

    /// Evaluates an expression now.
    pub fn query(&self, expression: &str) -> Result<Vec<Point>> {
        self.evaluate(&[("query", expression)])
    }

    /// Evaluates an expression at a moment.
    pub fn query_at(&self, at: &str, expression: &str) -> Result<Vec<Point>> {
        self.evaluate(&[("query", expression), ("time", at)])
    }

    fn evaluate(&self, parameters: &[(&str, &str)]) -> Result<Vec<Point>> {
        let said = data(&self.0, "query", parameters)?;
        let points = said["result"].as_array().context("no vector")?;
        // A native histogram has no value.
        let points = points.iter().filter(|result| result.get("value").is_some()).map(point);
        points
            .collect::<Result<_>>()
            .with_context(|| format!("evaluate {parameters:?}"))
    }

    /// Evaluates an expression every `step` of the last seconds, at whole multiples of it, as Grafana does.
    pub fn query_range(&self, expression: &str, seconds: u32, step: u32) -> Result<Vec<Line>> {
        let step = f64::from(step);
        let last = (self.now()? / step).floor() * step;
        let [start, end, step] = [last - f64::from(seconds), last, step].map(|number| number.to_string());
        let parameters = [
            ("query", expression),
            ("start", &*start),
            ("end", &*end),
            ("step", &*step),
        ];
        let said = data(&self.0, "query_range", &parameters)?;
        let series = said["result"].as_array().context("no matrix")?;
        series.iter().map(line).collect()
    }

    /// Prometheus' own clock, in seconds since 1970.
    fn now(&self) -> Result<f64> {
        let said = data(&self.0, "query", &[("query", "time()")])?;
        // VictoriaMetrics makes a vector of it.
        let scalar = said["result"][0].get("value").unwrap_or(&said["result"]);
        Ok(text(&scalar[1])?.parse()?)
    }

    /// The values of a label among the selected series.
    pub fn label_values(&self, selector: &str, label: &str) -> Result<Vec<String>> {
        let said = data(&self.0, &format!("label/{label}/values"), &[("match[]", selector)])?;
        Ok(serde_json::from_value(said)?)
    }
}

/// The targets of all jobs that have been found so far.
fn targets(api: &str) -> Result<BTreeMap<String, Target>> {
    let data = data(api, "targets", &[("state", "active")])?;
    let targets = data["activeTargets"].as_array().context("targets that are no list")?;
    let target = |target: &Value| {
        let said = Target {
            health: text(&target["health"])?,
            error: text(&target["lastError"])?,
        };
        Ok((text(&target["labels"]["job"])?, said))
    };
    targets.iter().map(target).collect()
}

fn data(api: &str, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let mut answer = ask(&format!("{api}/{path}"), parameters)?;
    ensure!(answer["status"] == "success", "{path} {parameters:?}: {answer}");
    Ok(answer["data"].take())
}

fn labels(result: &Value) -> Result<BTreeMap<String, String>> {
    let labels = result["metric"].as_object().context("a result without labels")?;
    labels
        .iter()
        .map(|(label, value)| Ok((label.clone(), text(value)?)))
        .collect()
}

/// Values of a native histogram are how many it holds.
fn line(result: &Value) -> Result<Line> {
    let of = |key: &str| result[key].as_array().map_or(&[][..], Vec::as_slice);
    let numbers = of("values").iter().map(|value| (&value[0], &value[1]));
    let counts = of("histograms").iter().map(|value| (&value[0], &value[1]["count"]));
    let values = numbers.chain(counts).map(|(time, value)| {
        let time = time.as_f64().context("a value without a time")?;
        Ok((time, text(value)?.parse()?))
    });
    Ok((labels(result)?, values.collect::<Result<_>>()?))
}

fn point(result: &Value) -> Result<Point> {
    let labels = labels(result)?;
    let value = text(&result["value"][1]).with_context(|| format!("no number: {result}"))?;
    Ok((labels, value.parse().with_context(|| value)?))
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().with_context(|| format!("{value} is no text"))?;
    Ok(text.to_owned())
}
