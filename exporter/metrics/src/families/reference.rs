//! The reference page of all metrics, made from the table.

use super::{
    metric::{Metric, Scope},
    semantic::Instrument,
    table::METRICS,
};
use tcpvitals_config::{ON_DEMAND, label::Label};

/// `docs/metrics.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Made from the metric table (`exporter/metrics/src/families/table.rs`) by `make docs`; do not edit.\n\n\
         A counter never falls while the exporter runs. A histogram has classic buckets whose bounds are powers of two, those that \
         the configuration names (`histograms`). A metric whose \
         kernel program or field is missing is left out, and `tcpvitals doctor` says why. The metrics `tcpvitals_otlp_*` \
         are there while there is a receiver to push to. What is on demand is shown where a pattern of \
         `metrics.include` names more of it than `*`: `tcpvitals_*` for one.\n\n\
         `/metrics` answers in the format that the Accept header likes best: Prometheus protobuf, OpenMetrics 1.0, or, for \
         everybody else, Prometheus text 0.0.4. Protobuf says two things more:\n\n\
         - Histograms have native buckets beside the classic ones, four per power of two (schema 2) for `tcp_rtt_seconds`, one \
         (schema 0) for the others. What exceeds their last bound is in the bucket of infinity, and as it is in the sum: a \
         quantile that falls there is infinite by the native buckets, the last bound by the classic ones.\n\
         - Counters have the time at which they began: when the kernel first counted under their labels, or the start of the exporter. \
         Histograms have none, because such a time, once it is an hour old, ends Prometheus 3.2 to 3.5 \
         that has both features below (prometheus/prometheus#16318). OpenMetrics would say it in a line `_created` for each \
         series, which databases keep as one more; here it has none.\n\n\
         Prometheus asks for protobuf with `--enable-feature=native-histograms` or `created-timestamp-zero-ingestion`, and keeps \
         the classic buckets too with `always_scrape_classic_histograms`.\n\n\
         Under each name stand its name over OTLP, the unit in UCUM, and what it is there if that differs; in brackets the \
         attribute that a label is over OTLP. An exponential histogram has scale 2 for `tcpvitals.tcp.rtt`, else 0; its \
         first bucket also holds what is smaller, its last one what is larger. `process.cpu.time` has the attribute `cpu.mode` (user, \
         system). With `otlp.names: prometheus` names and labels are those of a scrape.\n\n",
    );
    let scopes = [
        (Scope::Tcp, "TCP"),
        (Scope::Listeners, "Listeners"),
        (Scope::Drops, "Drops"),
        (Scope::Exporter, "Without these labels, and the exporter itself"),
    ];
    for (scope, title) in scopes {
        page += &format!("## {title}\n\n");
        let metrics = METRICS.iter().filter(|metric| metric.source.scope() == scope);
        let labels: Vec<String> = scope.labels().into_iter().map(named).collect();
        if !labels.is_empty() {
            let labels = labels.join(", ");
            page += &format!("Labels of all of them, each of which can be switched off (`labels`): {labels}.\n\n");
        }
        page += "| metric | kind | further labels | what it says | where it comes from |\n| --- | --- | --- | --- | --- |\n";
        page.extend(metrics.map(row));
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
        .enumerate()
        .map(|(index, label)| named(label) + &values(metric, index))
        .collect();
    let (name, kind, labels) = (metric.full_name(), metric.kind.as_str(), labels.join(", "));
    let (dotted, unit, instrument) = (metric.dotted_name(), metric.unit.ucum(), metric.instrument());
    let differs = match instrument {
        Instrument::UpDownCounter => format!(", {}", instrument.as_str()),
        Instrument::Counter | Instrument::Gauge | Instrument::Histogram => String::new(),
    };
    let (help, from) = (metric.sentence(), metric.from);
    let kind = if ON_DEMAND.contains(&name.as_str()) {
        format!("{kind}, on demand")
    } else {
        kind.to_owned()
    };
    format!("| `{name}`<br>`{dotted}`, `{unit}`{differs} | {kind} | {labels} | {help} | {from} |\n")
}

/// A label and the attribute that it is over OTLP.
fn named(label: &Label) -> String {
    format!("`{}` [`{}`]", label.word, label.attribute)
}

/// The values of one of its labels, where the table lists them.
fn values(metric: &Metric, index: usize) -> String {
    let listed = metric.source.listed();
    let values: Vec<&str> = listed.iter().filter_map(|values| values.get(index).copied()).collect();
    if values.is_empty() {
        String::new()
    } else {
        format!(" ({})", values.join(", "))
    }
}
