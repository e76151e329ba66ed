//! Where the API shows the flows of a finding.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What the flows of a finding are sorted by.
const SORT_KEYS: &[(&[&str], &str)] = &[
    (&["own_queue", "own_filter"], "locally_dropped_segments"),
    (
        &["network_loss", "reordering", "spurious_retransmits"],
        "retransmitted_segments",
    ),
    (&["rtt_above_baseline"], "smoothed_rtt_seconds"),
    (&["peer_reads_slowly"], "receive_window_limited_seconds"),
    (&["send_buffer"], "send_buffer_limited_seconds"),
];

/// Where the API has the worst flows of a finding.
pub(super) fn worst_flows(finding: &str, subnet: &str) -> Option<String> {
    let (_, key) = SORT_KEYS.iter().find(|(findings, _)| findings.contains(&finding))?;
    let subnet = utf8_percent_encode(subnet, NON_ALPHANUMERIC);
    Some(format!("/api/v1/flows?subnet={subnet}&limit=5&sort={key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{findings::rules::RULES, rows::flows::SortKey};

    #[test]
    fn the_flows_of_findings_are_sorted_by_keys_that_there_are() {
        let keys = SortKey::all();
        for (findings, key) in SORT_KEYS {
            assert!(keys.iter().any(|(own, _)| own == key), "{key}");
            for finding in *findings {
                assert!(RULES.iter().any(|rule| rule.name == *finding), "{finding}");
            }
        }
        assert_eq!(
            worst_flows("own_queue", "lab & office").as_deref(),
            Some("/api/v1/flows?subnet=lab%20%26%20office&limit=5&sort=locally_dropped_segments")
        );
        assert_eq!(worst_flows("refused", "office"), None);
    }
}
