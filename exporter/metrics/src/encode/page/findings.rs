//! What is wrong, above all numbers: a line for each finding, which opens to its evidence and the next step.

use super::{commands, model, parts::Page, tables::mark, words};
use crate::{
    colours::Severity,
    findings::{
        dictionary,
        report::{Finding, Report, Seen, Since, State, shown},
    },
};
use maud::{Markup, html};
use std::cmp::Reverse;

/// The section, by what was found; nothing where nobody judges.
pub(super) fn section(page: &Page<'_>) -> Markup {
    let Some(report) = page.findings else { return html! {} };
    html! {
        section aria-labelledby="found" {
            h2 #found { "Findings" }
            div #findings data-live { (found(page, report)) }
        }
    }
}

fn found(page: &Page<'_>, report: &Report) -> Markup {
    let Report {
        state,
        window_seconds,
        findings,
        muted,
        fine,
        ..
    } = report;
    if *state == State::NotYet {
        return html! { p { "Not yet: a judgement takes ten seconds between two collections, and this page makes one every five." } };
    }
    let window = format!("{window_seconds:.0} s");
    // Those that are marked as bad come first, each kind as it was judged.
    let mut findings: Vec<&Finding> = findings.iter().collect();
    findings.sort_by_key(|finding| Reverse(severity(finding)));
    html! {
        @if findings.is_empty() {
            p.fine { "Nothing to report in the last " (window) (seen(page)) "." }
        }
        @for finding in &findings { (one(page, finding)) }
        p.note {
            @if !findings.is_empty() { "Judged from the last " (window) ". " }
            @if *muted > 0 { (muted) " muted by the configuration. " }
            @if !fine.is_empty() && !findings.is_empty() { "Fine: " (fine.join(", ")) "." }
        }
    }
}

/// How much there was to judge.
fn seen(page: &Page<'_>) -> String {
    let rows = model::by_subnet(page.families).unwrap_or_default();
    let live: f64 = rows.values().filter_map(|row| row.live).sum();
    let subnets = rows.values().filter(|row| !row.is_quiet()).count();
    format!(": {live:.0} connections, {subnets} subnets")
}

fn severity(finding: &Finding) -> Severity {
    Severity::of_finding(finding.share)
}

fn one(page: &Page<'_>, finding: &Finding) -> Markup {
    let Finding {
        finding: name,
        whose,
        subnet,
        rate,
        says,
        services,
        workloads,
        sites,
        flows,
        next,
        runbook,
        since,
        ..
    } = finding;
    let severity = severity(finding);
    let named = (!subnet.is_empty()).then_some(subnet.as_str());
    let reason = sites.first().map(|site| site.reason.as_str());
    html! {
        details.finding data-key=(format!("{name} {subnet}")) data-whose=(whose.as_str()) data-rate=(rate) data-severity=(severity.as_str()) {
            summary {
                b.whose { (severity.sign()) " " (whose.as_str().to_uppercase()) }
                b.subnet { (subnet) }
                span.says { (says) }
                span.services { (shown(services).join(", ")) }
                span.spark data-own {}
                span.since { (began(*since)) }
            }
            dl.facts {
                @for site in sites { (place(site)) }
                @for (what, names) in [("Services", services), ("Workloads", workloads)] {
                    @if !names.is_empty() { dt { (what) } dd { (shown(names).join(", ")) } }
                }
                @if let Some(subnet) = named {
                    dt { "Subnet" }
                    dd { a href=(format!("#subnet={}", words::in_url(subnet))) { "The row of " (subnet) } }
                }
                @if let Some(flows) = flows {
                    dt { "Flows" }
                    dd {
                        ul.parts data-own data-flows=(format!(".{flows}")) {}
                        a href=(format!(".{flows}")) { "The worst five (JSON)" }
                    }
                }
                dt { "Next" }
                dd { b { (next) } }
                dt { "Runbook" }
                dd { a href=(format!("./docs/runbooks/{runbook}")) { (runbook) } }
                dt { "Look closer" }
                dd { (commands::copies(&commands::of_finding(page.about.config_file, name, named, reason))) }
            }
        }
    }
}

fn place(site: &Seen) -> Markup {
    let Seen {
        location,
        reason,
        class,
        direction,
        packets_per_second,
        ..
    } = site;
    html! {
        dt { "Dropped" }
        dd {
            (words::way(direction)) " " (words::rate(*packets_per_second)) " packets/s: "
            (mark(class)) (dictionary::meaning(reason)) ", " code { (reason) } " in " code { (location) }
        }
    }
}

/// Since when something has been so.
fn began(since: Since) -> String {
    let before = if since.or_before { "before " } else { "" };
    format!("since {before}{} UTC", words::clock(since.at))
}
