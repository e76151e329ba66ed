//! What to type elsewhere about the selected row: the command that captures what is dropped of it, and the query for its history. Pure.

use super::{Tab, View};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::rows::drops::table::SiteRow;

/// The command for the selected row; `None` where there is no row, or nothing to capture by.
pub fn capture(view: &View) -> Option<String> {
    let tables = &view.tables;
    let by = match view.place.tab {
        Tab::Findings => {
            let finding = &tables.findings.row()?.0;
            let subnet = (!finding.subnet.is_empty()).then(|| flag("--subnet", &finding.subnet));
            let site = finding.sites.first().map(|site| of_site(&site.reason, &site.location));
            [subnet, site].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Tab::Subnets => flag("--subnet", &tables.subnets.row()?.traffic.name),
        Tab::Workloads => {
            let workload = &tables.workloads.row()?.traffic.name;
            match workload.split_once('/') {
                Some((namespace, name)) => {
                    format!(
                        "{} {}",
                        flag("--workload", name),
                        flag("--workload-namespace", namespace)
                    )
                }
                None => flag("--workload", workload),
            }
        }
        Tab::Flows => {
            let flow = &tables.flows.row()?.flow;
            flag("--address", &flow.remote()?.ip().to_string())
        }
        Tab::Drops => {
            let site: &SiteRow = tables.drops.row()?;
            of_site(site.reason(), site.location())
        }
    };
    (!by.is_empty()).then(|| format!("tcpvitals capture -w drops.pcapng {by}"))
}

fn of_site(reason: &str, location: &str) -> String {
    let reason = (!reason.is_empty()).then(|| flag("--reason", reason));
    [reason, Some(flag("--location", location))]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// A flag and its value as a shell takes it.
fn flag(name: &str, value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) {
        format!("{name} {value}")
    } else {
        format!("{name} '{}'", value.replace('\'', r"'\''"))
    }
}

/// The query for the selected row: for the number that rows are ordered by, where a metric has it.
pub fn promql(view: &View) -> Option<String> {
    let tables = &view.tables;
    Some(match view.place.tab {
        Tab::Findings => {
            let finding = &tables.findings.row()?.0;
            let labels = selector(&[("finding", &finding.finding), ("whose", finding.whose.as_str())]);
            format!("max_over_time(tcpvitals_findings{labels}[5m])")
        }
        Tab::Subnets => of_traffic(
            tables.subnets.column().key,
            &[("subnet", &tables.subnets.row()?.traffic.name)],
        ),
        Tab::Workloads => {
            let row = tables.workloads.row()?;
            let (namespace, name) = row.traffic.name.split_once('/').unwrap_or(("", &row.traffic.name));
            of_traffic(
                tables.workloads.column().key,
                &[("workload", name), ("workload_namespace", namespace)],
            )
        }
        Tab::Flows => {
            let flow = &tables.flows.row()?.flow;
            let labels = [TcpLabel::Subnet, TcpLabel::AppProtocol].map(|label| (label.as_str(), flow.label(label)));
            of_traffic(tables.flows.column().key, &labels)
        }
        Tab::Drops => {
            let site = tables.drops.row()?;
            let labels = selector(&[("reason", site.reason()), ("location", site.location())]);
            format!("sum by (subnet) (rate(tcpvitals_dropped_packets_total{labels}[5m]))")
        }
    })
}

/// The query behind a column, for certain labels.
fn of_traffic(column: &str, labels: &[(&str, &str)]) -> String {
    let own = selector(labels);
    let with = |label: &str, value: &str| selector(&[labels, &[(label, value)]].concat());
    let transmit = with("direction", "transmit");
    let rate = |metric: &str, labels: &str| format!("sum(rate(tcpvitals_tcp_{metric}{labels}[5m]))");
    let segments = rate("data_segments_total", &transmit);
    match column {
        "here" => {
            let dropped = rate("locally_dropped_segments_total", &own);
            format!("{dropped} / ({segments} + {dropped})")
        }
        "ours" => format!(
            "{} / {}",
            rate("retransmitted_segments_after_local_drop_total", &own),
            rate("retransmitted_segments_total", &own)
        ),
        "fail" => {
            // Neither those that applications cancel, nor those that nobody knows the reason of.
            let own = own.trim_end_matches('}');
            rate(
                "connections_failed_total",
                &format!("{own},reason!~\"cancelled|other\"}}"),
            )
        }
        "wait" => format!(
            "{} / {}",
            rate("sender_limited_seconds_total", &with("limit", "receive_window")),
            rate("sender_busy_seconds_total", &own)
        ),
        "p50" | "p90" | "rtt" => {
            let quantile = if column == "p50" { "0.5" } else { "0.9" };
            let native = rate("rtt_seconds", &own);
            let classic = format!("sum by (le) (rate(tcpvitals_tcp_rtt_seconds_bucket{own}[5m]))");
            // Native buckets where Prometheus stores them, else the classic ones.
            format!("histogram_quantile({quantile}, {native}) or histogram_quantile({quantile}, {classic})")
        }
        "out" | "rate" => rate("data_bytes_total", &transmit),
        "in" => rate("data_bytes_total", &with("direction", "receive")),
        "connections" => format!("sum(tcpvitals_tcp_connections{own})"),
        "opens" => rate("connections_opened_total", &own),
        "syns" => rate("handshake_retransmits_total", &with("segment", "syn")),
        _ => format!("{} / {segments}", rate("retransmitted_segments_total", &own)),
    }
}

/// Labels with their values, as PromQL has them.
fn selector(labels: &[(&str, &str)]) -> String {
    let label = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', r"\\").replace('"', "\\\"");
        format!("{name}=\"{value}\"")
    };
    format!("{{{}}}", labels.iter().map(label).collect::<Vec<_>>().join(","))
}
