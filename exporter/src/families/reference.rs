//! The reference page of all metrics, made from the table.

use super::{METRICS, Metric, Scope};
use crate::config::{DropLabel, TcpLabel};

/// `docs/metrics.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Made from the metric table (`exporter/src/families/table.rs`) by `make docs`; do not edit.\n\n\
         A counter never falls while the exporter runs. A histogram has one classic bucket per power of two. A metric whose \
         kernel program or field is missing is left out, and `tcpvitals doctor` says why.\n\n\
         `/metrics` answers in the format that the Accept header likes best: Prometheus protobuf, OpenMetrics 1.0, or, for \
         everybody else, Prometheus text 0.0.4. Protobuf says two things more:\n\n\
         - Histograms have native buckets beside the classic ones, four per power of two (schema 2) for `tcp_rtt_seconds`, one \
         (schema 0) for the others. What exceeds their last bound is in the bucket of infinity, and as it is in the sum: a \
         quantile that falls there is infinite by the native buckets, the last bound by the classic ones.\n\
         - Counters have the time at which they began, which for all of them is the start of the exporter: a series that appears \
         later was 0 until then. Histograms have none, because such a time, once it is an hour old, ends Prometheus 3.2 to 3.5 \
         that has both features below (prometheus/prometheus#16318). OpenMetrics would say it in a line `_created` for each \
         series, which databases keep as one more; here it has none.\n\n\
         Prometheus asks for protobuf with `--enable-feature=native-histograms` or `created-timestamp-zero-ingestion`, and keeps \
         the classic buckets too with `always_scrape_classic_histograms`.\n\n",
    );
    let scopes = [
        (
            Scope::Tcp,
            "TCP",
            TcpLabel::ALL.map(TcpLabel::as_str).as_slice().join("`, `"),
        ),
        (
            Scope::Drops,
            "Drops",
            DropLabel::ALL.map(DropLabel::as_str).as_slice().join("`, `"),
        ),
        (
            Scope::Exporter,
            "Without these labels, and the exporter itself",
            String::new(),
        ),
    ];
    for (scope, title, labels) in scopes {
        page += &format!("## {title}\n\n");
        if !labels.is_empty() {
            page += &format!("Labels of all of them, each of which can be switched off (`labels`): `{labels}`.\n\n");
        }
        page += "| metric | kind | further labels | what it says | where it comes from |\n| --- | --- | --- | --- | --- |\n";
        page.extend(METRICS.iter().filter(|metric| metric.source.scope() == scope).map(row));
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn row(metric: &Metric) -> String {
    let labels: Vec<String> = metric
        .labels
        .iter()
        .map(|label| format!("`{label}`{}", values(metric, label)))
        .collect();
    let (name, kind, labels) = (metric.full_name(), metric.kind.as_str(), labels.join(", "));
    format!("| `{name}` | {kind} | {labels} | {} | {} |\n", metric.help, metric.from)
}

/// The values of a label, where the table lists them.
fn values(metric: &Metric, label: &str) -> String {
    let index = metric.labels.iter().position(|own| *own == label).unwrap_or(0);
    let listed = metric.source.listed();
    let values: Vec<&str> = listed.iter().filter_map(|values| values.get(index).copied()).collect();
    if values.is_empty() {
        String::new()
    } else {
        format!(" ({})", values.join(", "))
    }
}
