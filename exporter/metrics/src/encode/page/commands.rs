//! What people copy from a row: queries for Prometheus, and commands of this program for the host.

use maud::{Markup, html};

/// A button for each text, which the script shows, and the text itself.
pub(super) fn copies(texts: &[(&str, String)]) -> Markup {
    html! {
        ul.copies {
            @for (what, text) in texts {
                li { button type="button" data-copy { "Copy " (what) } code { (text) } }
            }
        }
    }
}

/// What to look at of the connections of a subnet; of all without a name. The names are those of a configuration's file.
pub(super) fn of_subnet(config: Option<&str>, subnet: Option<&str>) -> Vec<(&'static str, String)> {
    vec![
        ("PromQL", query("network_loss", subnet)),
        ("capture", command(CAPTURE, config, &[("subnet", subnet)])),
        ("top", command("top", config, &[("subnet", subnet)])),
    ]
}

/// What to look at of the connections of a workload.
pub(super) fn of_workload(config: Option<&str>, workload: &str) -> Vec<(&'static str, String)> {
    let chosen = [("workload", Some(workload))];
    let query = format!(
        "sum by (instance, subnet) (rate(tcpvitals_tcp_retransmitted_segments_total{}[5m]))",
        selector(&chosen)
    );
    vec![
        ("PromQL", query),
        ("capture", command(CAPTURE, config, &chosen)),
        ("top", command("top", config, &chosen)),
    ]
}

/// What to look at of a drop site.
pub(super) fn of_site(reason: &str, location: &str) -> Vec<(&'static str, String)> {
    let chosen = [("reason", Some(reason)), ("location", Some(location))];
    let query = format!(
        "sum by (instance, subnet) (rate(tcpvitals_dropped_packets_total{}[5m]))",
        selector(&chosen)
    );
    vec![("PromQL", query), ("capture", command(CAPTURE, None, &chosen))]
}

/// What to look at of a finding; `reason` is that of its worst drop site.
pub(super) fn of_finding(
    config: Option<&str>,
    finding: &str,
    subnet: Option<&str>,
    reason: Option<&str>,
) -> Vec<(&'static str, String)> {
    let config = config.filter(|_| subnet.is_some());
    let mut texts = vec![("PromQL", query(finding, subnet))];
    if subnet.is_some() || reason.is_some() {
        texts.push((
            "capture",
            command(CAPTURE, config, &[("subnet", subnet), ("reason", reason)]),
        ));
    }
    if let Some(subnet) = subnet {
        texts.push(("top", command("top", config, &[("subnet", Some(subnet))])));
        let explain = format!("explain subnet {}", shell_word(subnet));
        texts.push(("explain", command(&explain, config, &[])));
    }
    texts
}

const CAPTURE: &str = "capture -w drops.pcapng";

fn command(command: &str, config: Option<&str>, chosen: &[(&str, Option<&str>)]) -> String {
    let file = [("config.file", config)];
    let all = chosen.iter().chain(&file);
    let flags = all
        .copied()
        .filter_map(|(flag, value)| Some(format!(" --{flag} {}", shell_word(value?))));
    format!("tcpvitals {command}{}", flags.collect::<String>())
}

/// A text as one word of a shell.
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Queries by findings; `{}` is where the subnet is chosen.
const QUERIES: &[(&[&str], &str)] = &[
    (
        &["own_queue", "own_filter"],
        "sum by (instance, app_protocol) (rate(tcpvitals_tcp_locally_dropped_segments_total{}[5m]))",
    ),
    (
        &["network_loss", "reordering", "spurious_retransmits"],
        "sum by (instance) (rate(tcpvitals_tcp_retransmitted_segments_total{}[5m])) / \
         sum by (instance) (rate(tcpvitals_tcp_data_segments_total{direction=\"transmit\"}[5m]))",
    ),
    (
        &["rtt_above_baseline"],
        // Native buckets where Prometheus stores them, else the classic ones.
        "histogram_quantile(0.9, sum by (instance) (rate(tcpvitals_tcp_rtt_seconds{}[5m]))) or \
         histogram_quantile(0.9, sum by (instance, le) (rate(tcpvitals_tcp_rtt_seconds_bucket{}[5m])))",
    ),
    (
        &["peer_reads_slowly", "send_buffer"],
        "sum by (instance, limit) (rate(tcpvitals_tcp_sender_limited_seconds_total{}[5m]))",
    ),
    (
        &[
            "refused",
            "unanswered",
            "reset_at_opening",
            "unreachable",
            "no_route",
            "no_local_port",
        ],
        "sum by (instance, reason) (rate(tcpvitals_tcp_connections_failed_total{}[5m]))",
    ),
    (
        &["accept_queue_full", "syn_queue_full"],
        "sum by (instance, cause) (rate(tcpvitals_tcp_listen_drops_total{}[5m]))",
    ),
    (
        &["handshakes_incomplete"],
        "sum by (instance, segment) (rate(tcpvitals_tcp_handshake_retransmits_total{}[5m]))",
    ),
    (
        &["half_open_resets", "reset_by_peer"],
        "sum by (instance, direction) (rate(tcpvitals_tcp_resets_total{}[5m]))",
    ),
    (
        &["conntrack_full"],
        "sum by (instance) (rate(tcpvitals_conntrack_full_drops_total[5m]))",
    ),
    (
        &["device_loss"],
        "sum by (instance, device, cause) (rate(tcpvitals_device_dropped_packets_total[5m]))",
    ),
    (
        &["exporter_blind"],
        "sum by (instance, program) (rate(tcpvitals_events_lost_total[5m]))",
    ),
];

/// Of every finding about drop sites.
const OF_SITES: &str = "sum by (instance, location, reason) (rate(tcpvitals_dropped_packets_total{}[5m]))";

fn query(finding: &str, subnet: Option<&str>) -> String {
    let known = QUERIES.iter().find(|(findings, _)| findings.contains(&finding));
    let query = known.map_or(OF_SITES, |(_, query)| query);
    let chosen = selector(&[("subnet", subnet)]);
    let query = query.replace("{}", &chosen);
    // A selector that has a label already.
    let further = chosen.trim_start_matches('{').trim_end_matches('}');
    if further.is_empty() {
        query
    } else {
        query.replace(
            "{direction=\"transmit\"}",
            &format!("{{direction=\"transmit\", {further}}}"),
        )
    }
}

/// Labels that a series has to have; nothing of none.
fn selector(chosen: &[(&str, Option<&str>)]) -> String {
    let given = chosen.iter().filter_map(|(label, value)| Some((label, (*value)?)));
    let labels: Vec<String> = given
        .map(|(label, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{label}=\"{value}\"")
        })
        .collect();
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", labels.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{families::METRICS, findings::rules::RULES};

    #[test]
    fn names_are_one_word_of_a_shell_and_one_value_of_a_query() {
        assert_eq!(
            command("top", Some("/etc/tcpvitals.yaml"), &[("subnet", Some("branch-7"))]),
            "tcpvitals top --subnet branch-7 --config.file /etc/tcpvitals.yaml"
        );
        assert_eq!(
            command("top", None, &[("subnet", Some("it's; rm -rf $HOME"))]),
            r"tcpvitals top --subnet 'it'\''s; rm -rf $HOME'"
        );
        assert_eq!(command("top", None, &[("subnet", None)]), "tcpvitals top");
        assert_eq!(
            query("refused", Some(r#"lab "B" \ east"#)),
            r#"sum by (instance, reason) (rate(tcpvitals_tcp_connections_failed_total{subnet="lab \"B\" \\ east"}[5m]))"#
        );
        assert_eq!(query("network_loss", Some("x")).matches("subnet=\"x\"").count(), 2);
        assert_eq!(query("queue_full", None).matches('{').count(), 0);
    }

    #[test]
    fn queries_are_of_findings_and_metrics_that_there_are() {
        let names: Vec<String> = METRICS.iter().map(|metric| metric.full_name()).collect();
        for (findings, query) in QUERIES {
            for finding in *findings {
                assert!(RULES.iter().any(|rule| rule.name == *finding), "{finding}");
            }
            let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            for word in words.filter(|word| word.starts_with("tcpvitals_")) {
                // The classic buckets of a histogram are series of their own.
                let metric = word.strip_suffix("_bucket").unwrap_or(word);
                assert!(names.iter().any(|name| name == metric), "{word}");
            }
        }
        // What has no query of its own is about drop sites.
        let others = RULES
            .iter()
            .filter(|rule| !QUERIES.iter().any(|(findings, _)| findings.contains(&rule.name)));
        for rule in others {
            let of_drops = ["TcpvitalsCapacityDrops", "TcpvitalsWorkloadDrops"];
            assert!(of_drops.contains(&rule.runbook), "{}", rule.name);
        }
    }
}
