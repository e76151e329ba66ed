//! What a metric is called over OTLP, and which instrument it is. Its unit, and the attributes that its labels are, are in the
//! metric table.

use super::metric::{Kind, Metric, PREFIX};

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
    /// The name over OTLP: `tcpvitals.tcp.segments`, or that of the semantic conventions.
    pub fn dotted_name(&self) -> String {
        match (self.dotted, self.name.split_once('_')) {
            (Some(name), _) => name.to_owned(),
            (None, Some((namespace @ ("tcp" | "process" | "otlp" | "http"), rest))) => {
                format!("{PREFIX}.{namespace}.{rest}")
            }
            (None, _) => format!("{PREFIX}.{}", self.name),
        }
    }

    /// What it is over OTLP.
    pub const fn instrument(&self) -> Instrument {
        match self.kind {
            Kind::Counter => Instrument::Counter,
            Kind::Histogram => Instrument::Histogram,
            Kind::Gauge if self.adds_up => Instrument::UpDownCounter,
            Kind::Gauge => Instrument::Gauge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{METRICS, metric::Unit},
        *,
    };
    use std::collections::HashSet;
    use tcpvitals_config::label::Label;

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
                Instrument::UpDownCounter,
            ),
            (
                "tcpvitals_dropped_packets_total",
                "tcpvitals.dropped_packets",
                "{packet}",
                Instrument::Counter,
            ),
            (
                "tcpvitals_build_info",
                "tcpvitals.build_info",
                "{exporter}",
                Instrument::Gauge,
            ),
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
                Instrument::UpDownCounter,
            ),
        ] {
            let metric = of(name);
            assert_eq!(
                (metric.dotted_name().as_str(), metric.unit.ucum(), metric.instrument()),
                (dotted, unit, instrument)
            );
        }
    }

    #[test]
    fn only_gauges_called_ratio_are_a_fraction_and_all_others_say_what_they_count() {
        // Receivers that name as Prometheus does call a gauge with the unit 1 a ratio.
        for metric in METRICS {
            let is_gauge = metric.kind == Kind::Gauge && !metric.adds_up;
            assert_eq!(metric.unit.ucum() == "1", metric.unit == Unit::Ratio, "{}", metric.name);
            assert!(metric.unit != Unit::Ratio || is_gauge, "{}", metric.name);
            assert!(!metric.unit.ucum().is_empty(), "{}", metric.name);
        }
    }

    #[test]
    fn only_gauges_add_up_and_no_time_does() {
        for metric in METRICS.iter().filter(|metric| metric.adds_up) {
            assert!(
                metric.kind == Kind::Gauge && metric.unit != Unit::Seconds,
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn no_two_metrics_and_no_two_attributes_of_one_share_a_name() {
        let names: HashSet<String> = METRICS.iter().map(Metric::dotted_name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let labels: Vec<&Label> = metric
                .source
                .scope()
                .labels()
                .into_iter()
                .chain(metric.labels)
                .collect();
            let words: HashSet<&str> = labels.iter().map(|label| label.word).collect();
            let attributes: HashSet<&str> = labels.iter().map(|label| label.attribute).collect();
            assert_eq!(
                (words.len(), attributes.len()),
                (labels.len(), labels.len()),
                "{}",
                metric.name
            );
        }
    }
}
