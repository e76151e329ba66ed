//! Every panel shows something: each query of each dashboard returns data from a real Prometheus that scrapes the exporter
//! under scripted loss, with classic histograms only and with native ones only. The recording rules do too.

mod otlp;
mod plain;
mod traffic;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use plain::{PLAIN, require_same_series};
use tests::exporter::otlp::Recorder;
use tests::exporter::start;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::readers::dashboards::{Query, dashboards, expand};
use tests::readers::prometheus::{Api, Job, Line, Prometheus};
use tests::readers::rules::{rule_files, rules, text};
use traffic::Traffic;

/// How histograms are scraped, which is also the name of a cluster, so that a variable chooses one.
const KINDS: [(&str, &str); 2] = [
    ("classic", "scrape_protocols: [PrometheusText0.0.4]"),
    ("native", "scrape_protocols: [PrometheusProto]"),
];

/// Panels that can only be empty here, and why.
const EMPTY: [(&str, &str); 2] = [
    (
        "drop-sites.json: Hardware/A",
        "no device here hands dropped packets to the kernel: that takes netdevsim, which the tests in QEMU have",
    ),
    ("tcp-health.json: Subnets/G", "yesterday, this Prometheus was not there"),
];

/// Recorded series that take hours to be there.
const BASELINES: &str = "_offset1h";

/// Over which rates are taken, and how many seconds the panels look back.
const WINDOW: &str = "5s";
const RANGE: u32 = 15;

/// Data is a number: what was divided by nothing is none.
fn shows_data(lines: &[Line]) -> bool {
    lines
        .iter()
        .any(|(_, values)| values.iter().any(|(_, value)| !value.is_nan()))
}

/// What a query lacks, if it lacks something.
fn lacks(prometheus: &Api, query: &Query, variables: &BTreeMap<String, String>) -> Result<Option<String>> {
    let expression = expand(&query.expression, variables)?;
    let lines = if query.instant {
        let points = prometheus.query(&expression)?;
        points
            .into_iter()
            .map(|(labels, value)| (labels, vec![(0.0, value)]))
            .collect()
    } else {
        prometheus.query_range(&expression, RANGE, 1)?
    };
    if !shows_data(&lines) {
        return Ok(Some(format!("{}: no data from {expression}", query.place)));
    }
    // `le` is what a heat map of classic buckets has, and one of native ones has not.
    let has = |label: &String| label == "le" || lines.iter().any(|(labels, _)| labels.contains_key(label));
    let missing = query.legend.iter().find(|label| !has(label));
    Ok(missing.map(|label| format!("{}: no series has the label {label} of the legend", query.place)))
}

fn is_empty_here(query: &Query) -> bool {
    EMPTY.iter().any(|(place, _)| *place == query.place)
}

#[test]
fn every_query_of_every_panel_returns_data() -> Result<()> {
    let _turn = turn::shared()?;
    let traffic = Traffic::new()?;
    let receiver = Recorder::start()?;
    let push = format!(
        "otlp: {{endpoint: \"{}\", protocol: grpc, interval: 1s}}\n",
        receiver.url()
    );
    let exporter = start(traffic.config() + &push)?;
    // The one subnet is a zone, that of the exporter.
    let zone = traffic.subnet()?;
    let job = |kind: &str, settings: &str| {
        Job::new(&format!("tcpvitals-{kind}"), exporter.address())
            .with(settings)
            .with(&format!(
                "relabel_configs: [{{target_label: cluster, replacement: {kind}}}, {{target_label: zone, replacement: {zone}}}]"
            ))
    };
    let mut jobs = KINDS.map(|(kind, protocols)| job(kind, protocols)).to_vec();
    jobs.push(job(PLAIN, &format!("{}, metrics_path: /metrics/{PLAIN}", KINDS[0].1)));
    let texts = rule_files()?.into_iter().map(|path| Ok(seconds(&text(&path)?)));
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    let prometheus = Prometheus::with_rules(&jobs, &["native-histograms"], &texts)?;

    // Traffic goes on until everything has been seen.
    let seen = traffic.during(|| {
        let mut empty = 0;
        for dashboard in dashboards()? {
            for (kind, _) in KINDS {
                let mut variables = dashboard.everything(WINDOW, "15s");
                variables.insert("cluster".to_owned(), kind.to_owned());
                let queries = dashboard.queries()?;
                let (never, queries): (Vec<_>, Vec<_>) = queries.into_iter().partition(is_empty_here);
                wait_for_data(&prometheus, queries, &variables)?;
                for query in &never {
                    let lack = lacks(&prometheus, query, &variables)?;
                    ensure!(lack.is_some(), "{} has data: take it out of EMPTY", query.place);
                }
                empty += never.len();
            }
        }
        wait_for_records(&prometheus)?;
        require_same_series(&prometheus)?;
        Ok(empty)
    });
    assert_eq!(seen?, EMPTY.len() * KINDS.len(), "a panel that may be empty is no more");
    assert_eq!(prometheus.unwell_rules()?, Vec::<String>::new());

    for dashboard in dashboards()? {
        let everything = dashboard.everything(WINDOW, "15s");
        for variable in dashboard.label_values()? {
            let values = prometheus.label_values(&expand(&variable.selector, &everything)?, &variable.label)?;
            assert!(!values.is_empty(), "{} offers nothing", variable.place);
        }
    }
    Ok(())
}

/// Waits until each of these queries has shown data once.
fn wait_for_data(prometheus: &Api, mut waiting: Vec<Query>, variables: &BTreeMap<String, String>) -> Result<()> {
    let mut said = Vec::new();
    let shown = until("every panel of a dashboard to show something", || {
        said.clear();
        let mut still = Vec::new();
        for query in waiting.drain(..) {
            if let Some(lack) = lacks(prometheus, &query, variables)? {
                said.push(lack);
                still.push(query);
            }
        }
        waiting = still;
        Ok(waiting.is_empty().then_some(()))
    });
    shown.with_context(|| said.join("\n"))
}

/// Waits until every rule that records something has done so.
fn wait_for_records(prometheus: &Prometheus) -> Result<()> {
    let mut missing = Vec::new();
    let recorded = until("every rule to record something", || {
        missing = unrecorded(prometheus)?;
        Ok(missing.is_empty().then_some(()))
    });
    recorded.with_context(|| missing.join("\n"))
}

/// Recorded series that are missing for a kind of histogram; baselines are not expected.
fn unrecorded(prometheus: &Prometheus) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let recorded = rules()?.into_iter().filter_map(|rule| rule.record);
    for name in recorded.filter(|name| !name.ends_with(BASELINES)) {
        for (kind, _) in KINDS {
            let selector = format!("{name}{{cluster=\"{kind}\"}}");
            if prometheus.query(&selector)?.is_empty() {
                missing.push(format!("{selector} is not recorded"));
            }
        }
    }
    Ok(missing)
}

/// The rules evaluated each second, over windows that fit.
fn seconds(rules: &str) -> String {
    let faster = rules
        .replace("interval: 1m", "interval: 1s")
        .replace("interval: 2m", "interval: 1s");
    faster.replace("[5m]", "[5s]")
}
