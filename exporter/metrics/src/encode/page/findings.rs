//! What is wrong, above all numbers: a line for each finding, which opens to its evidence and the next step.

use crate::findings::report::{Finding, Report, Seen, Since, State};
use maud::{Markup, html};
use std::time::Duration;

/// The section, by what was found; nothing where nobody judges.
pub(super) fn section(report: Option<&Report>) -> Markup {
    let Some(report) = report else { return html! {} };
    html! {
        section aria-labelledby="found" {
            h2 #found { "Findings" }
            div #findings data-live { (found(report)) }
        }
    }
}

fn found(report: &Report) -> Markup {
    let Report {
        at,
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
    html! {
        @if findings.is_empty() {
            p.fine { "Nothing to report in the last " (window) "." }
        } @else {
            @for finding in findings { (one(finding, *at)) }
        }
        p.note {
            "Judged from the last " (window) "."
            @if *muted > 0 { " " (muted) " muted by the configuration." }
            @if !fine.is_empty() && !findings.is_empty() { " Fine: " (fine.join(", ")) "." }
        }
    }
}

fn one(finding: &Finding, now: Duration) -> Markup {
    let Finding {
        finding: name,
        whose,
        subnet,
        says,
        services,
        workloads,
        sites,
        next,
        runbook,
        since,
        ..
    } = finding;
    let whose = whose.as_str();
    html! {
        details.finding data-key=(format!("{name} {subnet}")) data-whose=(whose) {
            summary {
                b.whose { (whose.to_uppercase()) } " "
                @if !subnet.is_empty() { b { (subnet) } ": " }
                (says) " " span.since { (age(*since, now)) }
            }
            dl.facts {
                @for (what, names) in [("Services", services), ("Workloads", workloads)] {
                    @if !names.is_empty() { dt { (what) } dd { (names.join(", ")) } }
                }
                @for site in sites { (place(site)) }
                dt { "Next" } dd { code { (next) } }
                dt { "Runbook" } dd { code { "tcpvitals explain " (runbook) } }
                @if !subnet.is_empty() {
                    dt { "Look closer" } dd { code { "tcpvitals explain subnet " (subnet) } }
                }
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
        dt { "Dropped at" }
        dd {
            code { (location) " " (reason) } " (" span.class data-class=(class) { (class) } ", " (direction) "), "
            (super::words::rate(*packets_per_second)) " packets a second"
        }
    }
}

/// How long something has been so.
fn age(since: Since, now: Duration) -> String {
    let age = super::words::duration(now.saturating_sub(since.at));
    if since.or_before {
        format!("for {age} or longer")
    } else {
        format!("for {age}")
    }
}
