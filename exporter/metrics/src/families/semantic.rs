//! What a metric is called over OTLP: its name, unit and attributes, from the same table as the Prometheus names.
//! It must never hold a metric of its own: it turns the table's words into dotted ones, and into those of OpenTelemetry's
//! semantic conventions where they have one. From the metric table; to the OTLP encoder and the reference page.

use super::{Kind, Metric, PREFIX, Scope, Source, Unit};

/// Words of the semantic conventions for metrics of the process. Their gauges are up-down counters.
const CONVENTIONS: &[(&str, &str)] = &[
    ("process_cpu", "process.cpu.time"),
    ("process_resident_memory", "process.memory.usage"),
    ("process_virtual_memory", "process.memory.virtual"),
    ("process_open_fds", "process.unix.file_descriptor.count"),
];

/// What is counted, by a word of the metric's name; the first that is found is the unit.
const COUNTED: &[(&str, &str)] = &[
    ("start", "{reset}"),
    ("listen", "{connection}"),
    ("requests", "{request}"),
    ("refused", "{refusal}"),
    ("exports", "{request}"),
    ("retries", "{request}"),
    ("points", "{data_point}"),
    ("segments", "{segment}"),
    ("retransmits", "{segment}"),
    ("acks", "{segment}"),
    ("sacks", "{segment}"),
    ("dsacks", "{segment}"),
    ("resets", "{segment}"),
    ("blocks", "{block}"),
    ("events", "{event}"),
    ("packets", "{packet}"),
    ("drop", "{packet}"),
    ("collections", "{collection}"),
    ("connections", "{connection}"),
    ("flows", "{connection}"),
    ("folds", "{counter}"),
    ("groups", "{group}"),
    ("series", "{series}"),
    ("fds", "{file_descriptor}"),
];

/// What a metric is over OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// A monotonic sum, cumulative or delta.
    Counter,
    /// A sum that also falls; always cumulative.
    UpDownCounter,
    /// A value of its own.
    Gauge,
    /// An exponential histogram, cumulative or delta.
    Histogram,
}

impl Instrument {
    /// The word for the reference page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDownCounter => "up-down counter",
            Self::Gauge => "gauge",
            Self::Histogram => "exponential histogram",
        }
    }
}

impl Metric {
    /// The name over OTLP: `tcpvitals.tcp.segments`.
    pub fn dotted_name(&self) -> String {
        match (self.convention(), self.name.split_once('_')) {
            (Some(name), _) => name.to_owned(),
            (None, Some((namespace @ ("tcp" | "process" | "otlp" | "http"), rest))) => {
                format!("{PREFIX}.{namespace}.{rest}")
            }
            (None, _) => format!("{PREFIX}.{}", self.name),
        }
    }

    /// The unit over OTLP, in UCUM: `s`, `By`, or what is counted in braces.
    pub fn ucum(&self) -> &'static str {
        let counted = || {
            let noun = |(word, _): &&(&str, &str)| self.name.split('_').any(|own| own == *word);
            COUNTED.iter().find(noun).map_or("1", |(_, unit)| *unit)
        };
        match self.unit {
            Unit::Seconds => "s",
            Unit::Bytes => "By",
            Unit::Segments => "{segment}",
            Unit::None => counted(),
        }
    }

    /// What it is over OTLP.
    pub fn instrument(&self) -> Instrument {
        match self.kind {
            Kind::Counter => Instrument::Counter,
            Kind::Histogram => Instrument::Histogram,
            Kind::Gauge if self.convention().is_some() => Instrument::UpDownCounter,
            Kind::Gauge => Instrument::Gauge,
        }
    }

    /// The attribute that a label is over OTLP.
    pub fn attribute(&self, label: &str) -> String {
        if let Some(key) = shared(label) {
            return key.to_owned();
        }
        match (self.source.scope(), label) {
            (Scope::Tcp, "app_protocol") => "network.protocol.name".to_owned(),
            (Scope::Drops, "protocol") => "network.transport".to_owned(),
            (Scope::Drops, _) => format!("{PREFIX}.drop.{label}"),
            // Why an operation failed: the conventions have one attribute for it.
            (Scope::Tcp, "reason") => "error.type".to_owned(),
            (Scope::Tcp, "role") => format!("{PREFIX}.role"),
            (Scope::Tcp, _) | (_, "algorithm") => format!("{PREFIX}.tcp.{label}"),
            (Scope::Exporter, "code") => "http.response.status_code".to_owned(),
            (Scope::Exporter, "reason") if matches!(self.source, Source::Refused(_)) => format!("{PREFIX}.http.reason"),
            (Scope::Exporter, "program") => format!("{PREFIX}.program.name"),
            (Scope::Exporter, "hook" | "reason") => format!("{PREFIX}.program.{label}"),
            (Scope::Exporter, "metrics") => format!("{PREFIX}.series.metrics"),
            (Scope::Exporter, "result") => format!("{PREFIX}.otlp.result"),
            (Scope::Exporter, _) => format!("{PREFIX}.{label}"),
        }
    }

    fn convention(&self) -> Option<&'static str> {
        let is_process = matches!(self.source, Source::Process(_));
        let known = CONVENTIONS.iter().filter(|_| is_process);
        known.clone().find(|(own, _)| *own == self.name).map(|(_, name)| *name)
    }
}

/// Attributes that mean the same wherever the label stands.
fn shared(label: &str) -> Option<&'static str> {
    match label {
        "subnet" => Some("tcpvitals.subnet"),
        "connection_type" => Some("network.connection.type"),
        "direction" => Some("network.io.direction"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::METRICS, *};
    use std::collections::HashSet;
    use tcpvitals_config::{DropLabel, TcpLabel};

    fn of(name: &str) -> &'static Metric {
        METRICS.iter().find(|metric| metric.full_name() == name).unwrap()
    }

    #[test]
    fn names_are_the_same_words_dotted() {
        for (name, dotted, unit, instrument) in [
            (
                "tcpvitals_tcp_segments_total",
                "tcpvitals.tcp.segments",
                "{segment}",
                Instrument::Counter,
            ),
            (
                "tcpvitals_tcp_data_bytes_total",
                "tcpvitals.tcp.data",
                "By",
                Instrument::Counter,
            ),
            (
                "tcpvitals_tcp_rtt_seconds",
                "tcpvitals.tcp.rtt",
                "s",
                Instrument::Histogram,
            ),
            (
                "tcpvitals_tcp_congestion_window_segments",
                "tcpvitals.tcp.congestion_window",
                "{segment}",
                Instrument::Histogram,
            ),
            (
                "tcpvitals_tcp_connections",
                "tcpvitals.tcp.connections",
                "{connection}",
                Instrument::Gauge,
            ),
            (
                "tcpvitals_dropped_packets_total",
                "tcpvitals.dropped_packets",
                "{packet}",
                Instrument::Counter,
            ),
            ("tcpvitals_build_info", "tcpvitals.build_info", "1", Instrument::Gauge),
            (
                "process_cpu_seconds_total",
                "process.cpu.time",
                "s",
                Instrument::Counter,
            ),
            (
                "process_resident_memory_bytes",
                "process.memory.usage",
                "By",
                Instrument::UpDownCounter,
            ),
            (
                "process_max_fds",
                "tcpvitals.process.max_fds",
                "{file_descriptor}",
                Instrument::Gauge,
            ),
        ] {
            let metric = of(name);
            assert_eq!(
                (metric.dotted_name().as_str(), metric.ucum(), metric.instrument()),
                (dotted, unit, instrument)
            );
        }
    }

    #[test]
    fn every_counter_of_whole_things_says_what_it_counts() {
        for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Counter) {
            let nameless = ["group_overflow"].contains(&metric.name);
            assert_eq!(metric.ucum() == "1", nameless, "{}", metric.name);
        }
    }

    #[test]
    fn labels_are_attributes_of_the_conventions_where_they_have_one() {
        let segments = of("tcpvitals_tcp_segments_total");
        let own = TcpLabel::ALL.map(|label| segments.attribute(label.as_str()));
        assert_eq!(
            own,
            [
                "tcpvitals.subnet",
                "network.connection.type",
                "network.protocol.name",
                "tcpvitals.role"
            ]
        );
        let drops = of("tcpvitals_dropped_packets_total");
        let own = DropLabel::ALL.map(|label| drops.attribute(label.as_str()));
        assert_eq!(
            own,
            [
                "tcpvitals.drop.location",
                "tcpvitals.drop.reason",
                "tcpvitals.drop.class",
                "network.transport",
                "network.io.direction",
                "tcpvitals.subnet",
                "network.connection.type",
            ]
        );
        for (name, label, attribute) in [
            ("tcpvitals_tcp_segments_total", "direction", "network.io.direction"),
            ("tcpvitals_tcp_connections_failed_total", "reason", "error.type"),
            (
                "tcpvitals_tcp_sender_limited_seconds_total",
                "limit",
                "tcpvitals.tcp.limit",
            ),
            (
                "tcpvitals_tcp_connections_by_algorithm",
                "algorithm",
                "tcpvitals.tcp.algorithm",
            ),
            ("tcpvitals_dropped_packets_total", "source", "tcpvitals.drop.source"),
            ("tcpvitals_program_attached", "program", "tcpvitals.program.name"),
            ("tcpvitals_program_attached", "reason", "tcpvitals.program.reason"),
        ] {
            assert_eq!(of(name).attribute(label), attribute);
        }
    }

    #[test]
    fn no_two_metrics_and_no_two_attributes_of_one_share_a_name() {
        let names: HashSet<String> = METRICS.iter().map(Metric::dotted_name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let scope: Vec<&str> = match metric.source.scope() {
                Scope::Tcp => TcpLabel::ALL.map(TcpLabel::as_str).into(),
                Scope::Drops => DropLabel::ALL.map(DropLabel::as_str).into(),
                Scope::Exporter => Vec::new(),
            };
            let labels = scope.iter().chain(metric.labels);
            let attributes: HashSet<String> = labels.clone().map(|label| metric.attribute(label)).collect();
            assert_eq!(attributes.len(), labels.count(), "{}", metric.name);
        }
    }
}
