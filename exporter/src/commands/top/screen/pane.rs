//! What there is to say of the selected row.

use super::Look;
use crate::commands::top::{
    columns::{findings::since, groups::GroupRow, sites::meaning},
    format,
    rows::FlowRow,
    view::{History, SAMPLES, Tab, View},
};
use common::tcp::INFINITE_SSTHRESH;
use ratatui::text::{Line, Span};
use std::{collections::VecDeque, time::Duration};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::{
    findings::{dictionary, report::Finding},
    rows::drops::{table::SiteRow, text, text::way},
};

/// The pane in lines, a title among them; none where there is nothing to say.
pub(super) fn lines(view: &View, look: Look, width: u16) -> Vec<Line<'static>> {
    let tables = &view.tables;
    let width = usize::from(width);
    let said = match view.place.tab {
        Tab::Findings => tables.findings.row().map(|row| (of(&row.0), of_finding(&row.0, width))),
        Tab::Subnets => tables.subnets.row().map(|row| of_group(row, "its flows", width)),
        Tab::Workloads => tables.workloads.row().map(|row| of_group(row, "its flows", width)),
        Tab::Flows => {
            let row = tables.flows.row().filter(|_| view.has_detail);
            row.map(|row| of_flow(row, &view.history(row), look, width))
        }
        Tab::Drops => tables.drops.row().map(|site| of_site(site, view.has_detail, width)),
    };
    let Some((title, body)) = said else { return Vec::new() };
    let title = format::cut(&title, width.saturating_sub(4));
    let rest = width.saturating_sub(title.chars().count() + 3);
    let title = Line::styled(format!("─ {title} {}", "─".repeat(rest)), look.titles());
    [title].into_iter().chain(body).collect()
}

/// A text in as many lines as it needs, words whole.
fn wrapped(text: &str, width: usize) -> impl Iterator<Item = Line<'static>> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let fits = |line: &String| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width;
        match lines.last_mut().filter(|line| fits(line)) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(Line::from)
}

fn of(finding: &Finding) -> String {
    let whose = finding.whose.as_str().to_uppercase();
    format!("{whose} {} since {}", finding.subnet, since(finding))
}

fn of_finding(finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'_>> = wrapped(&finding.says, width).collect();
    if let Some(site) = finding.sites.first() {
        let place = format!(
            "at {} {}, {} {} drops/s",
            site.location,
            site.reason,
            site.direction,
            format::rate(site.packets_per_second)
        );
        lines.extend(wrapped(&place, width));
    }
    lines.extend(wrapped(&format!("next     {}", finding.next), width));
    lines.extend(wrapped(
        &format!("runbook  tcpvitals explain {}", finding.runbook),
        width,
    ));
    lines
}

fn of_group(row: &GroupRow, below: &str, width: usize) -> (String, Vec<Line<'static>>) {
    let traffic = &row.traffic;
    let title = format!("{}  Enter: {below}", traffic.name);
    if let Some(finding) = &row.verdict {
        return (title, of_finding(finding, width));
    }
    let facts = format!(
        "nothing found here. {} opens/s, {} fail/s, {} SYNs retransmitted/s; waits for buffer {}; RTT floor {} p50 {} p90 {}",
        format::rate(traffic.opens()),
        format::rate(traffic.failures()),
        format::rate(traffic.repeated_syns()),
        format::percent(traffic.waits_for_buffer()),
        format::time(traffic.rtt_floor),
        format::micros(traffic.rtt(0.5).unwrap_or(0.0)),
        format::micros(traffic.rtt(0.9).unwrap_or(0.0)),
    );
    (title, wrapped(&facts, width).collect())
}

fn of_flow(row: &FlowRow, history: &History, look: Look, width: usize) -> (String, Vec<Line<'static>>) {
    let between = if row.other.is_some() { " <> " } else { " > " };
    let mut title = format::ends(&row.flow, between, usize::MAX);
    if let Some(workload) = row.flow.workload() {
        title += &format!("  {} {workload}", row.flow.label(TcpLabel::WorkloadKind));
    }
    title += &row.flow.instance.as_deref().map(format::instance).unwrap_or_default();
    let mut lines = Vec::new();
    for end in row.own_ends() {
        for fact in facts_of(end) {
            lines.extend(wrapped(&fact, width));
        }
    }
    let rate = format!("out + in: {}B/s ", format::short(row.throughput().unwrap_or(0.0)));
    let rtt = format!("round-trip time: {} ", format::time(row.rtt()));
    for (what, samples) in [(rate, &history.rate), (rtt, &history.rtt)] {
        let room = width.saturating_sub(what.chars().count()).min(SAMPLES);
        lines.push(Line::from(vec![
            Span::raw(what),
            Span::styled(bars(samples, room), look.bars()),
        ]));
    }
    (title, lines)
}

/// The newest samples that fit, a bar each.
fn bars(samples: &VecDeque<u64>, width: usize) -> String {
    let newest: Vec<u64> = samples.iter().rev().take(width).copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "a bar has eight heights")]
    let aged = |(age, sample): (usize, &u64)| ((age as f64 + 0.5) / newest.len() as f64, *sample as f64);
    let aged: Vec<(f64, f64)> = newest.iter().enumerate().map(aged).collect();
    format::spark(&aged, newest.len())
}

fn facts_of(row: &FlowRow) -> [String; 3] {
    let (flow, record) = (&row.flow, &row.flow.record);
    let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
    // Whose it is is in the title.
    let labels: Vec<&str> = TcpLabel::defaults().map(|label| flow.label(label)).collect();
    [
        format!(
            "{}  {}  cwnd {} ssthresh {} mss {}",
            labels.join(" "),
            flow.algorithm(),
            record.snd_cwnd,
            if record.ssthresh >= INFINITE_SSTHRESH {
                "-".to_owned()
            } else {
                record.ssthresh.to_string()
            },
            record.mss,
        ),
        format!(
            "segments out {} in {}  retransmitted {} (timeout {} probe {} fast {}; dropped here before {})  dropped here {}  rto {}ms",
            record.segs_out,
            record.segs_in,
            record.segs_retrans,
            record.timeout_segs_retrans,
            record.probe_segs_retrans,
            record.fast_segs_retrans,
            match record.after_local_drop {
                u64::MAX => "-".to_owned(),
                segments => segments.to_string(),
            },
            record.locally_dropped,
            record.rto_ms,
        ),
        format!(
            "busy {:.1}s, of that waiting for peer {:.1}s, for buffer {:.1}s  now {}  unsent {}B  in flight {}",
            seconds(record.busy_us),
            seconds(record.receive_window_us),
            seconds(record.send_buffer_us),
            format::limit(flow.limit()),
            record.not_sent,
            record.in_flight,
        ),
    ]
}

/// What the dictionary says; with `is_large` all that it says.
fn of_site(site: &SiteRow, is_large: bool, width: usize) -> (String, Vec<Line<'static>>) {
    let title = format!("{} at {}", site.reason(), site.location());
    let mut lines: Vec<Line<'_>> = wrapped(&meaning(site), width).collect();
    let first = dictionary::look_up(site.reason()).map(|entry| entry.first);
    let first = first.map_or_else(|| format!("tcpvitals drops --reason {}", site.reason()), str::to_owned);
    if !is_large {
        lines.extend(wrapped(&format!("first    {first}"), width));
        return (title, lines);
    }
    if let Some(entry) = dictionary::look_up(site.reason()) {
        lines.extend(wrapped(&format!("causes   {}", entry.causes), width));
    }
    lines.extend(wrapped(&format!("first    {first}"), width));
    let total = format!(
        "{} {} {} {}: {} packets, {} bytes since the start",
        site.source.as_str(),
        site.class(),
        way(site),
        site.protocol(),
        site.total.packets,
        site.total.bytes
    );
    lines.extend(wrapped(&total, width));
    if let Some(workloads) = &site.workloads {
        lines.extend(wrapped(&format!("workloads: {}", text::shares(workloads)), width));
    }
    let subnets = site.subnets.iter();
    lines.extend(subnets.map(|(subnet, packets)| Line::from(format!("{packets:>12} {subnet}"))));
    (title, lines)
}
