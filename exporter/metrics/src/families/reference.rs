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
         Look up a metric here: its meaning, its labels, its name over OTLP, and the kernel field or hook behind it.\n\n\
         Made from the metric table (`exporter/metrics/src/families/table.rs`) by `make docs`; do not edit.\n\n\
         A counter never falls while the exporter runs. A histogram has the classic buckets of the configuration (`histograms`), whose \
         bounds are powers of two. A metric is absent if its kernel program or field is missing; `tcpvitals doctor` says why. The \
         metrics `tcpvitals_otlp_*` exist while a receiver is configured. A metric \"on demand\" is shown if a pattern of \
         `metrics.include` names more of it than `*`, for example `tcpvitals_*`.\n\n\
         `/metrics` answers in the format that the Accept header prefers: Prometheus protobuf, OpenMetrics 1.0, otherwise Prometheus \
         text 0.0.4. Protobuf contains two things more:\n\n\
         - Native buckets of histograms beside the classic ones: four per power of two (schema 2) for `tcp_rtt_seconds`, one \
         (schema 0) for the others. A value above the last bound counts in the +Inf bucket, and in full in the sum: a quantile that \
         falls there is infinite by native buckets, and the last bound by classic ones.\n\
         - The start time of counters: when the kernel first counted under their labels, or the start of the exporter. \
         Histograms have no start time, because Prometheus 3.2 to 3.5 with both features below crashes on a start time older than an \
         hour (prometheus/prometheus#16318). OpenMetrics has no start times here: its line `_created` for each series would \
         be one more series in databases.\n\n\
         Prometheus asks for protobuf with `--enable-feature=native-histograms` or `created-timestamp-zero-ingestion`. With \
         `always_scrape_classic_histograms` it keeps the classic buckets too.\n\n\
         Below each name are the name over OTLP, the unit in UCUM, and the OTLP instrument if it differs; the OTLP attribute of a \
         label is in brackets. An exponential histogram has scale 2 for `tcpvitals.tcp.rtt`, otherwise 0; its first bucket also counts \
         smaller values, its last one larger values. `process.cpu.time` has the attribute `cpu.mode` (user, system). With \
         `otlp.names: prometheus` names and labels are the same as in a scrape.\n\n",
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
            page += &format!("All have these labels, unless `labels` switches one off: {labels}.\n\n");
        }
        page += "| metric | kind | further labels | meaning | origin |\n| --- | --- | --- | --- | --- |\n";
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
