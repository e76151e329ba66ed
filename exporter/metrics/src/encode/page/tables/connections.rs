//! The tables of connections: by subnet, and by workload.

use super::{Head, MOST, Table, fold, head, json, mark, more, name, off, spark, table, text, total};
use crate::{
    encode::page::{
        commands,
        model::{self, Connections, Drops, Site},
        parts::Page,
        severity::{COLUMNS, Column, rank},
        words,
    },
    findings::dictionary,
};
use maud::{Markup, html};
use std::{cmp::Reverse, collections::BTreeMap};

/// Most services and drop sites that a row names.
const NAMED: usize = 5;

const HEADS: [Head; 8] = [
    head(
        "Retransmitted",
        "Retransmitted segments as a share of the data segments sent; not a loss rate",
    ),
    head(
        "Of these ours",
        "Of the retransmitted segments, those that this host itself had dropped before; the others were lost elsewhere, or needless",
    ),
    head(
        "Dropped here",
        "Segments that this host itself dropped, as a share of those that it had to send",
    ),
    head("Opens failed", "Failed opens from this host, as a share of all opens"),
    head(
        "Waits for peer",
        "Share of the time with data to send during which the peer's receive window was full",
    ),
    head(
        "RTT floor / p50 / p90",
        "Smallest of live connections, median and 90th percentile; each includes the time until the peer acknowledges",
    ),
    head("Mbit/s out / in", "Payload"),
    head("Connections", "Open now"),
];

/// Connections by subnet.
pub(in crate::encode::page) fn subnets(page: &Page<'_>) -> Markup {
    let Some(rows) = model::by_subnet(page.families) else {
        return off("subnets", "Subnets", "TCP metrics are off; the health below says why.");
    };
    let sites = model::by_site(page.families).unwrap_or_default();
    let inside = |subnet: &str, row: &Connections| {
        let named = (subnet != model::ALL).then_some(subnet);
        let config = page.about.config_file.filter(|_| named.is_some());
        html! {
            (services(subnet, row))
            (dropped(subnet, &sites, page.seconds))
            @if page.about.flows { (flows(named)) }
            dt { "Look closer" }
            dd { (commands::copies(&commands::of_subnet(config, named))) }
        }
    };
    let note = html! {
        "The retransmit ratio is not a loss rate: the network did not lose what this host dropped. A round trip includes the time until the peer acknowledges."
    };
    connections(page, ["subnets", "Subnet", "subnet", "subnets"], rows, &inside, note)
}

/// Connections by workload, where the labels have it.
pub(in crate::encode::page) fn workloads(page: &Page<'_>) -> Markup {
    let Some(rows) = model::by_workload(page.families) else {
        return html! {};
    };
    let inside = |workload: &str, row: &Connections| {
        html! {
            (services(workload, row))
            dt { "Look closer" }
            dd { (commands::copies(&commands::of_workload(page.about.config_file, &row.workload))) }
        }
    };
    let note = html! {
        "A connection belongs to the workload that created its socket. Counts from before a workload had its name are unresolved."
    };
    connections(
        page,
        ["workloads", "Workload", "workload", "workloads"],
        rows,
        &inside,
        note,
    )
}

/// A table of connections, the worst first.
fn connections(
    page: &Page<'_>,
    [id, title, one, many]: [&'static str; 4],
    rows: BTreeMap<String, Connections>,
    inside: &dyn Fn(&str, &Connections) -> Markup,
    note: Markup,
) -> Markup {
    let columns = HEADS.len() + 1;
    let is_found = |name: &str| id == "subnets" && page.is_found(name);
    let mut rows: Vec<(String, Connections)> = rows.into_iter().collect();
    rows.sort_by(|(one, of_one), (other, of_other)| {
        let [first, second] = [(one, of_one), (other, of_other)].map(|(name, row)| rank(row, is_found(name)));
        second.total_cmp(&first).then_with(|| one.cmp(other))
    });
    if rows.len() > MOST {
        // Of those that nothing hits, the ones that send most stay.
        let quiet = rows.partition_point(|(name, row)| rank(row, is_found(name)) > 1.0);
        rows[quiet..].sort_by_key(|(_, row)| Reverse(row.sent));
    }
    let all = total(rows.iter().map(|(_, row)| row), Connections::merge);
    let (shown, rest) = rows.split_at(rows.len().min(MOST));
    let is_quiet = |name: &str, row: &Connections| rank(row, is_found(name)) == 0.0;
    let row = |name_of: &str, row: &Connections| {
        let quiet = is_quiet(name_of, row);
        let found = is_found(name_of);
        let id = (id == "subnets").then(|| format!("subnet={name_of}"));
        html! {
            tr id=[id] data-key=(name_of) data-counts=(json(row)) data-floor=[row.floor] data-found[found] data-quiet[quiet] {
                (name(&html! { (name_of) }))
                (cells(page, row, true))
                (spark())
            }
            (more(name_of, columns, quiet, &html! {
                dl.facts {
                    dt { "Counts" }
                    dd data-show="told" { (words::told_together(row)) }
                    (inside(name_of, row))
                }
            }))
        }
    };
    let (loud, folded): (Vec<_>, Vec<_>) = shown.iter().partition(|(name, row)| !is_quiet(name, row));
    let heads: Vec<Head> = [text(title)].into_iter().chain(HEADS).collect();
    table(Table {
        id,
        title: if id == "subnets" { "Subnets" } else { "Workloads" },
        heads: &heads,
        beside: html! {},
        body: html! {
            @for (name, counts) in &loud { (row(name, counts)) }
            @if shown.is_empty() { tr { td colspan=(columns + 1) { "No connection has been seen yet." } } }
            (fold(folded.len(), "quiet", columns))
            @for (name, counts) in &folded { (row(name, counts)) }
            @if !rest.is_empty() {
                @let others = total(rest.iter().map(|(_, row)| row), Connections::merge);
                tr data-rest data-counts=(json(&others)) {
                    th scope="row" { (rest.len()) " more " (if rest.len() == 1 { one } else { many }) }
                    (cells(page, &others, true))
                    td.spark {}
                }
            }
        },
        foot: html! {
            tr data-all data-counts=(json(&all)) {
                th scope="row" { "All " (many) }
                (cells(page, &all, false))
                td.spark {}
            }
        },
        note,
    })
}

/// The cells of a row behind its name. Round trips to different places have no common median.
fn cells(page: &Page<'_>, row: &Connections, has_rtt: bool) -> Markup {
    let [retransmitted, ours, dropped, failed, waits, amount] = words::told(row);
    let [first, others @ ..] = &COLUMNS;
    html! {
        (share(first, row, &retransmitted))
        td.share data-label="Ours" data-show="ours" title=(ours) { (words::share(row.ours())) }
        @for (column, told) in others.iter().zip([dropped, failed, waits]) {
            (share(column, row, &told))
        }
        @if has_rtt { td data-label="RTT" data-show="rtt" { (words::round_trips(row)) } } @else { td {} }
        td data-label="Mbit/s" data-show="megabits" title=(amount) { (words::megabits(row, page.seconds)) }
        td.count data-label="Open" { (row.live.map_or_else(|| words::NONE.to_owned(), |live| format!("{live:.0}"))) }
    }
}

fn share(column: &Column, row: &Connections, told: &str) -> Markup {
    let severity = column.severity(row).map(crate::colours::Severity::as_str);
    html! {
        td.share data-label=(column.short) data-show=(column.word) data-severity=[severity] title=(told) {
            (words::share((column.of)(row)))
        }
    }
}

/// The services of a row with most connections and segments.
fn services(of: &str, row: &Connections) -> Markup {
    let mut services: Vec<(&String, &Connections)> = row.services.iter().collect();
    services.sort_by_key(|(_, row)| (Reverse(row.again), Reverse(row.sent), Reverse(row.opened)));
    html! {
        @if !services.is_empty() {
            dt { "Services" }
            dd {
                ul.parts {
                    @for (service, row) in services.into_iter().take(NAMED) {
                        li data-key=(json(&[of, service])) data-counts=(json(row)) {
                            b { (service) } ": " span data-show="shares" { (words::shares(row)) }
                        }
                    }
                }
            }
        }
    }
}

/// Where packets of a subnet are dropped, normal operation left out.
fn dropped(subnet: &str, sites: &BTreeMap<Site, Drops>, seconds: Option<f64>) -> Markup {
    let loud = sites.iter().filter(|(site, _)| site.class != model::BENIGN);
    let mut parts: Vec<(&Site, &str, u64)> = loud
        .flat_map(|(site, drops)| {
            let mine = drops
                .parts
                .iter()
                .filter(|(part, packets)| part.subnet == subnet && **packets > 0);
            mine.map(move |(part, packets)| (site, part.direction.as_str(), *packets))
        })
        .collect();
    parts.sort_by_key(|(_, _, packets)| Reverse(*packets));
    html! {
        @if !parts.is_empty() {
            dt { "Dropped" }
            dd {
                ul.parts {
                    @for (site, direction, packets) in parts.into_iter().take(NAMED) {
                        @let Site { location, reason, class, source } = site;
                        @let counts = Drops { packets, ..Drops::default() };
                        li data-key=(json(&[subnet, source, location, reason, class, direction])) data-counts=(json(&counts)) {
                            (words::way(direction)) " "
                            span data-show="rate" { (words::rate_over(packets, seconds)) } " packets/s: "
                            (mark(class)) (dictionary::meaning(reason)) ", "
                            code { (reason) } " in " code { (location) }
                        }
                    }
                }
            }
        }
    }
}

/// Where the script puts the worst flows; without it a way to all of them.
fn flows(subnet: Option<&str>) -> Markup {
    let chosen = subnet.map(|subnet| format!("subnet={}&", words::in_url(subnet)));
    let link = format!("./api/v1/flows?{}limit=5", chosen.unwrap_or_default());
    html! {
        dt { "Flows" }
        dd {
            ul.parts data-own data-flows=(link) {}
            a href=(link) { "The five that send most (JSON)" }
        }
    }
}
