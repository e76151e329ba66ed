//! The same over OTLP with `names: prometheus`: what a real VictoriaMetrics makes of a push has the names and labels of a scrape, so
//! that every query of every dashboard and rule returns data. Prometheus evaluates them, over what it takes from VictoriaMetrics
//! as it is: the one at hand has no receiver of OTLP, and VictoriaMetrics does not know functions of native histograms.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::exporter::Launch;
use tests::machine::turn;
use tests::machine::wait::until;
use tests::readers::dashboards::{Query, dashboards, expand};
use tests::readers::prometheus::{Api, Prometheus};
use tests::readers::rules::{rule_files, rules, text};
use tests::readers::victoria_metrics::VictoriaMetrics;

use super::traffic::Traffic;
use super::{BASELINES, RANGE, is_empty_here, lacks, seconds, shows_data, wait_for_data};

/// VictoriaMetrics shows what came only after some seconds.
const WINDOW: &str = "40s";
const HEAD_START: Duration = Duration::from_secs(25);

/// Functions of native histograms, for which VictoriaMetrics refuses a query.
const NATIVE: [&str; 4] = [
    "histogram_sum(",
    "histogram_count(",
    "histogram_avg(",
    "histogram_fraction(",
];

/// Waits until every panel shows something, but those that cannot here.
fn require_data(api: &Api) -> Result<()> {
    for dashboard in dashboards()? {
        let variables = dashboard.everything(WINDOW, "15s");
        let (never, queries): (Vec<_>, Vec<_>) = dashboard.queries()?.into_iter().partition(is_empty_here);
        wait_for_data(api, queries, &variables)?;
        for query in &never {
            let lack = lacks(api, query, &variables)?;
            ensure!(lack.is_some(), "{} has data: take it out of EMPTY", query.place);
        }
        for variable in dashboard.label_values()? {
            let values = api.label_values(&expand(&variable.selector, &variables)?, &variable.label)?;
            // That is a label of the target, not of the exporter.
            ensure!(
                !values.is_empty() || variable.label == "cluster",
                "{} offers nothing",
                variable.place
            );
        }
    }
    Ok(())
}

/// Waits until every rule that records something has done so.
fn require_records(api: &Api) -> Result<()> {
    let names: Vec<String> = rules()?.into_iter().filter_map(|rule| rule.record).collect();
    let mut missing = Vec::new();
    let recorded = until("every rule to record something", || {
        missing.clear();
        for name in names.iter().filter(|name| !name.ends_with(BASELINES)) {
            if api.query(name)?.is_empty() {
                missing.push(name.as_str());
            }
        }
        Ok(missing.is_empty().then_some(()))
    });
    recorded.with_context(|| missing.join(", "))
}

#[test]
fn every_query_returns_data_that_was_pushed() -> Result<()> {
    let _turn = turn::shared()?;
    let traffic = Traffic::new()?;
    let texts = rule_files()?
        .into_iter()
        .map(|path| Ok(seconds(&text(&path)?).replace("[5s]", "[40s]")));
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    let victoria = VictoriaMetrics::start()?;
    let push = format!(
        "otlp: {{endpoint: \"{}\", protocol: http/protobuf, interval: 1s, names: prometheus, histograms: explicit}}\n",
        victoria.endpoint()
    );
    let zone = format!("zone={}", traffic.subnet()?);
    let _exporter = Launch::new(traffic.config() + &push)
        .variables(&[("OTEL_RESOURCE_ATTRIBUTES", &zone)])
        .start()?;
    let prometheus = Prometheus::with_rules(&[victoria.federation()], &[], &texts)?;
    traffic.during(|| {
        sleep(HEAD_START);
        require_data(&prometheus)?;
        require_records(&prometheus)?;
        require_answers(&victoria.api())
    })?;
    assert_eq!(prometheus.unwell_rules()?, Vec::<String>::new());
    assert_eq!(prometheus.query("absent(tcpvitals_build_info)")?, []);
    let names = prometheus.label_values("{job=\"tcpvitals\"}", "__name__")?;
    // No suffix that a receiver has made up.
    let ratios: Vec<&String> = names.iter().filter(|name| name.ends_with("_ratio")).collect();
    assert_eq!(ratios, ["tcpvitals_tcp_accept_queue_utilization_ratio"]);
    Ok(())
}

/// VictoriaMetrics itself answers every query that it can parse.
fn require_answers(api: &Api) -> Result<()> {
    for dashboard in dashboards()? {
        let variables = dashboard.everything(WINDOW, "15s");
        let asks_it = |query: &Query| {
            let is_recorded = query.expression.contains(":tcpvitals");
            !is_recorded && !is_empty_here(query) && !NATIVE.iter().any(|function| query.expression.contains(function))
        };
        for query in dashboard.queries()?.iter().filter(|query| asks_it(query)) {
            let expression = expand(&query.expression, &variables)?;
            let lines = api.query_range(&expression, RANGE, 1)?;
            ensure!(shows_data(&lines), "{}: no data from {expression}", query.place);
        }
    }
    Ok(())
}
