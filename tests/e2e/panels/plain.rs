//! Where exporters do not tell workloads apart: what is not about them shows the same series as where they do, and what is shows none.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use tests::machine::wait::until;
use tests::readers::dashboards::{Query, dashboards, expand};
use tests::readers::prometheus::Api;
use tests::readers::rules::rules;

use super::{BASELINES, RANGE, WINDOW, is_empty_here};

/// The job without labels of workloads, and one with them, which is scraped alike.
pub(super) const PLAIN: &str = "plain";
const APART: &str = "classic";

/// What no series of a workload lacks.
const OF_WORKLOADS: &str = "workload!=\"\"";

/// Series without what says where they were scraped.
type Seen = BTreeSet<BTreeMap<String, String>>;

/// Waits until all queries and records are as they should be.
pub(super) fn require_same_series(prometheus: &Api) -> Result<()> {
    for dashboard in dashboards()? {
        let variables = dashboard.everything(WINDOW, "15s");
        let queries = dashboard.queries()?;
        for query in queries.iter().filter(|query| !is_empty_here(query)) {
            let show = |cluster: &str| {
                let mut variables = variables.clone();
                variables.insert("cluster".to_owned(), cluster.to_owned());
                seen_by(prometheus, query, &variables)
            };
            require_same(&query.place, query.expression.contains(OF_WORKLOADS), show)?;
        }
    }
    let records = rules()?.into_iter().filter_map(|rule| rule.record);
    for name in records.filter(|name| !name.ends_with(BASELINES)) {
        let show = |cluster: &str| {
            let points = prometheus.query(&format!("{name}{{cluster=\"{cluster}\"}}"))?;
            Ok(seen(points.into_iter().map(|(labels, _)| labels)))
        };
        require_same(&name, name.starts_with("cluster_workload"), show)?;
    }
    Ok(())
}

/// Both are asked at moments of their own, in which one may have seen more than the other.
fn require_same(what: &str, is_of_workloads: bool, show: impl Fn(&str) -> Result<Seen>) -> Result<()> {
    let mut last = Default::default();
    let came = until("the same series with and without workloads", || {
        let (plain, apart) = (show(PLAIN)?, show(APART)?);
        let is_right = if is_of_workloads {
            plain.is_empty()
        } else {
            plain == apart
        };
        let is_right = is_right && !apart.is_empty();
        last = (plain, apart);
        Ok(is_right.then_some(()))
    });
    let (plain, apart) = last;
    came.with_context(|| format!("{what}: without workloads {plain:?}, with them {apart:?}"))
}

fn seen_by(prometheus: &Api, query: &Query, variables: &BTreeMap<String, String>) -> Result<Seen> {
    // Which are the first ten depends on the moment.
    let expression = query.expression.replace("topk(10, ", "(").replace("topk(20, ", "(");
    ensure!(!expression.contains("topk("), "{}: {expression}", query.place);
    let expression = expand(&expression, variables)?;
    if query.instant {
        let points = prometheus.query(&expression)?;
        return Ok(seen(points.into_iter().map(|(labels, _)| labels)));
    }
    let lines = prometheus.query_range(&expression, RANGE, 1)?;
    Ok(seen(lines.into_iter().map(|(labels, _)| labels)))
}

fn seen(series: impl Iterator<Item = BTreeMap<String, String>>) -> Seen {
    let stripped = series.map(|mut labels| {
        for of_target in ["cluster", "job"] {
            labels.remove(of_target);
        }
        labels
    });
    stripped.collect()
}
