//! Which of our rules and dashboards read a metric, so that leaving one out is no surprise. `tests/host/readers.rs` writes the list.

use super::table::METRICS;
use tcpvitals_config::{Config, MetricFilter};

/// A metric, a tab, and who reads it.
const READERS: &str = include_str!("readers.txt");

/// What to warn of: metrics that the metrics path does not show though a rule or a dashboard reads them.
pub fn missed(config: &Config) -> Vec<String> {
    missed_of(READERS, &config.shown.metrics)
}

fn missed_of(readers: &str, shown: &MetricFilter) -> Vec<String> {
    let read = readers.lines().filter_map(|line| line.split_once('\t'));
    let missed =
        read.filter(|(name, _)| METRICS.iter().any(|metric| metric.full_name() == *name) && !shown.shows(name));
    missed
        .map(|(name, readers)| format!("metrics: {name} is not shown, which is read by {readers}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_is_left_out_is_named_with_its_readers() {
        let config = Config::from_yaml(
            "metrics: {exclude: [tcpvitals_tcp_retransmitted_segments_total]}",
            "t.yaml",
        )
        .unwrap();
        let warnings = missed(&config);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("rule cluster_subnet:tcpvitals_tcp_retransmitted_segments:rate5m"),
            "{warnings:?}"
        );
        assert_eq!(missed(&Config::built_in()), [""; 0]);
    }
}
