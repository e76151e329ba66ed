//! The health of the exporter on the page: what runs, what does not and why, and what could not be counted.

use super::{
    model::{self, find, number, single},
    parts::Page,
    words,
};
use crate::{
    coverage::Coverage,
    families::{self, Families, Family, Metric},
    findings::report::Blind,
    rows::cardinality::Cardinality,
    snapshot::{Exporter, LastReload},
};
use maud::{Markup, html};
use std::time::Duration;

const COLLECTIONS: &str = "tcpvitals_collections_total";
const COLLECT_DURATION: &str = "tcpvitals_collect_duration_seconds";
const GROUPS: &str = "tcpvitals_groups";
const GROUPS_CAPACITY: &str = "tcpvitals_groups_capacity";
const SERIES: &str = "tcpvitals_series";
const NAMES: &str = "tcpvitals_workloads_source_up";
const LAST_NAMES: &str = "tcpvitals_workloads_source_last_update_timestamp_seconds";
const MEMORY: &str = "process_resident_memory_bytes";
const EXPORTS: &str = "tcpvitals_otlp_exports_total";
const LAST_EXPORT: &str = "tcpvitals_otlp_last_success_timestamp_seconds";

/// What could not be counted, or not under its own name.
pub(super) const LOST: &[&str] = &[
    "tcpvitals_flows_untracked_total",
    "tcpvitals_folds_contended_total",
    "tcpvitals_group_overflow_total",
    "tcpvitals_drop_overflow_total",
    "tcpvitals_series_overflow_total",
    "tcpvitals_events_lost_total",
    "tcpvitals_cgroups_untracked_total",
    "tcpvitals_workloads_unresolved_total",
    "tcpvitals_local_losses_forgotten_total",
];

/// Other metrics that are read here.
#[cfg(test)]
pub(super) const METRICS: &[&str] = &[
    COLLECTIONS,
    COLLECT_DURATION,
    GROUPS,
    GROUPS_CAPACITY,
    SERIES,
    NAMES,
    LAST_NAMES,
    MEMORY,
    EXPORTS,
    LAST_EXPORT,
];

pub(super) fn section(page: &Page<'_>, coverage: &Coverage, cost: &Cardinality) -> Markup {
    let Page {
        families, exporter, at, ..
    } = *page;
    let LastReload { successful, .. } = exporter.last_reload;
    html! {
        section aria-labelledby="health" {
            h2 id="health" { "Health" }
            p #blind data-live { (blind(page, coverage)) }
            details.box {
                summary { "State, bounds, programs, metrics that are off, costs" }
                dl.facts #health-facts data-live {
                    dt { "State" }
                    dd {
                        @if successful { "Ready" } @else { "Running on the old configuration" }
                        @if let Some(took) = single(families, COLLECT_DURATION) { ": this collection took " (words::time(took)) }
                    }
                    (configuration(page))
                    (bounds(families))
                    (names(families, at))
                    (pushes(families, at))
                }
                h3 { "What could not be counted" }
                div #health-lost data-live { (lost(families)) }
                h3 { "What is attached" }
                (programs(coverage))
                (metrics_off(coverage))
                (costs(cost))
            }
        }
    }
}

/// What stands above everything while a reload has failed.
pub(super) fn warning(exporter: &Exporter) -> Markup {
    let LastReload { successful, error, .. } = &exporter.last_reload;
    html! {
        div #warning data-live {
            @if !successful {
                p.warning {
                    b { "!! Running on the old configuration. " }
                    "The last reload failed: " (error.as_deref().unwrap_or("the log says why"))
                }
            }
        }
    }
}

/// What happened to the exporter in the last hour; the script adds what it saw.
pub(super) fn changes(page: &Page<'_>) -> Markup {
    const LONG_AGO: Duration = Duration::from_secs(3600);
    let started = page.families.started().unwrap_or_default();
    let reloaded = page.exporter.last_reload.succeeded;
    let mut all = vec![(started, "exporter started")];
    // The start counts as a reload.
    if reloaded > started + Duration::from_secs(10) {
        all.push((reloaded, "configuration reloaded"));
    }
    all.retain(|(at, _)| page.at.saturating_sub(*at) < LONG_AGO);
    all.reverse();
    html! {
        div #changed data-live {
            ol {
                @for (at, what) in all { li data-at=(at.as_millis()) { (words::clock(at)) " " (what) } }
            }
        }
    }
}

/// Whether something cannot be seen.
fn blind(page: &Page<'_>, coverage: &Coverage) -> Markup {
    let attached = coverage.programs.iter().filter(|program| program.off.is_none()).count();
    let off = Blind::of(coverage).len();
    let found = page.findings.is_some_and(|report| {
        report
            .findings
            .iter()
            .any(|finding| finding.finding == "exporter_blind")
    });
    let missed: f64 = find(page.families, "tcpvitals_events_lost_total").map_or(0.0, |family| {
        family.points.iter().filter_map(|point| number(&point.value)).sum()
    });
    let whole = |name| single(page.families, name).map_or_else(|| words::NONE.to_owned(), words::whole_number);
    html! {
        b { "Blind anywhere? " @if found { "Yes: events are lost." } @else if off > 0 { "In part: " (off) " metrics are off." } @else { "No." } }
        " " (attached) " of " (coverage.programs.len()) " programs are attached · " (words::whole_number(missed))
        " events missed · label sets " (whole(GROUPS)) " of " (whole(GROUPS_CAPACITY))
    }
}

/// What the exposition costs, by label and by metric.
fn costs(
    Cardinality {
        lines, labels, metrics, ..
    }: &Cardinality,
) -> Markup {
    /// Metrics that are named; the rest cost less.
    const MOST: usize = 10;
    html! {
        details {
            summary { "What labels and metrics cost: " (lines) " lines of text" }
            div.scroll role="region" aria-label="What labels cost" tabindex="0" {
                table {
                    caption { span { "Label sets, and how many there would be without a label" } }
                    (head(["Label", "Of", "Values", "Label sets", "Without it"]))
                    tbody {
                        @for cost in labels {
                            tr {
                                th scope="row" { (cost.label) }
                                td { (cost.of) " metrics" }
                                td { (cost.values) }
                                td { (cost.label_sets) }
                                td { (cost.without) }
                            }
                        }
                    }
                }
            }
            div.scroll role="region" aria-label="What metrics cost" tabindex="0" {
                table {
                    caption { span { "Metrics with the most lines" } }
                    (head(["Metric", "Series", "Lines"]))
                    tbody {
                        @for cost in metrics.iter().take(MOST) {
                            tr { th scope="row" { (cost.metric) } td { (cost.series) } td { (cost.lines) } }
                        }
                    }
                }
            }
        }
    }
}

fn head<const N: usize>(titles: [&str; N]) -> Markup {
    html! { thead { tr { @for title in titles { th scope="col" { (title) } } } } }
}

fn configuration(page: &Page<'_>) -> Markup {
    let LastReload {
        successful,
        succeeded,
        error,
    } = &page.exporter.last_reload;
    html! {
        dt { "Configuration" }
        dd {
            "Read " (words::duration(page.at.saturating_sub(*succeeded))) " ago"
            @if !successful { ". " span.attention { (error.as_deref().unwrap_or("The last reload failed; the log says why.")) } }
        }
    }
}

fn bounds(families: &Families) -> Markup {
    let whole = |name| single(families, name).map_or_else(|| words::NONE.to_owned(), words::whole_number);
    html! {
        dt { "Label sets" }
        dd { (whole(GROUPS)) " of " (whole(GROUPS_CAPACITY)) " (" code { "limits.memory" } ")" }
        dt { "Series" }
        dd { (whole(SERIES)) " (" code { "limits.series" } " bounds those with labels)" }
        dt { "Collections" }
        dd { (whole(COLLECTIONS)) " since the start" }
        @if let Some(bytes) = single(families, MEMORY) {
            dt { "Memory of the process" }
            dd { (format!("{:.1} MB", bytes / 1e6)) }
        }
    }
}

/// Nothing where workloads are not told apart.
fn names(families: &Families, now: Duration) -> Markup {
    let source = find(families, NAMES).and_then(|family| family.points.first());
    html! {
        @if let Some(source) = source {
            @let of = |label| model::label(source, label).unwrap_or_default();
            dt { "Names of workloads" }
            dd {
                "From " (of("source"))
                @if let Some(seconds) = single(families, LAST_NAMES) { ", last update " (ago(seconds, now)) }
                @if number(&source.value) == Some(0.0) { " " span.attention { "None now: " (of("reason")) } }
            }
        }
    }
}

/// Nothing while nothing is to be pushed.
fn pushes(families: &Families, now: Duration) -> Markup {
    let results = find(families, EXPORTS).map(|family| nonzero(family).collect::<Vec<_>>());
    html! {
        @if let Some(results) = results {
            dt { "Push over OTLP" }
            dd {
                @if results.is_empty() { "No request yet" }
                @for (index, (name, count)) in results.iter().enumerate() {
                    @if index > 0 { ", " }
                    (name) " " (count)
                }
                @if let Some(seconds) = single(families, LAST_EXPORT) { "; last success " (ago(seconds, now)) }
            }
        }
    }
}

fn lost(families: &Families) -> Markup {
    let present: Vec<&Family> = LOST.iter().filter_map(|name| find(families, name)).collect();
    let any = present.iter().any(|family| nonzero(family).next().is_some());
    html! {
        @if any {
            ul {
                @for family in present {
                    @for (labels, count) in nonzero(family) {
                        li {
                            span.attention { (count) } " "
                            code { (family.metric.full_name()) @if !labels.is_empty() { " (" (labels) ")" } }
                            ": " (family.metric.sentence()) "."
                        }
                    }
                }
            }
        } @else {
            p { "Nothing: every counter of it is 0." }
        }
    }
}

/// Values of own labels, and the count, of the series that are not zero.
fn nonzero(family: &Family) -> impl Iterator<Item = (String, String)> {
    family.points.iter().filter_map(|point| {
        let value = number(&point.value).filter(|value| *value != 0.0)?;
        let labels: Vec<&str> = family
            .metric
            .labels
            .iter()
            .filter_map(|label| model::label(point, label.word))
            .collect();
        Some((labels.join(", "), format!("{value:.0}")))
    })
}

/// Programs never change while the exporter runs.
fn programs(coverage: &Coverage) -> Markup {
    let off: Vec<_> = coverage
        .programs
        .iter()
        .filter_map(|program| Some((program, program.off.as_ref()?)))
        .collect();
    let attached = coverage.programs.len() - off.len();
    html! {
        p { (attached) " of " (coverage.programs.len()) " kernel programs are attached." }
        @if !off.is_empty() {
            ul {
                @for (program, reason) in off {
                    li { code { (program.name) } " is off: " (reason) "." }
                }
            }
        }
        details {
            summary { "All programs" }
            ul.names {
                @for program in &coverage.programs {
                    li { code { (program.name) } @if program.off.is_some() { " (off)" } }
                }
            }
        }
    }
}

fn metrics_off(coverage: &Coverage) -> Markup {
    let off: Vec<(&Metric, String)> = families::METRICS
        .iter()
        .filter_map(|metric| Some((metric, metric.why_off(coverage)?)))
        .collect();
    html! {
        @if off.is_empty() {
            p { "No metric is off." }
        } @else {
            details open[off.len() <= 5] {
                summary { (off.len()) " of " (families::METRICS.len()) " metrics are off" }
                ul {
                    @for (metric, reason) in off {
                        li { code { (metric.full_name()) } ": " (reason) "." }
                    }
                }
            }
        }
    }
}

/// How long before `now` something happened, both since 1970.
fn ago(seconds: f64, now: Duration) -> String {
    let then = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    format!("{} ago", words::duration(now.saturating_sub(then)))
}
