//! The tables of the page: subnets, workloads and drop sites, with the figures above them.
//! Each row carries its counts as JSON; the script takes those of two collections and fills the same cells.

use super::{
    model::{self, BENIGN, Connections, Drops, Site},
    words,
};
use crate::families::{Families, number};
use maud::{Markup, html};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most rows of a table; one more says what the others come to.
const MOST: usize = 50;

/// The figures at the top.
pub(super) fn overview(families: &Families, seconds: Option<f64>) -> Markup {
    let connections = model::by_subnet(families).map(|rows| total(rows.values(), Connections::merge));
    let drops = model::by_site(families).map(|rows| {
        let counted = rows.iter().filter(|(site, _)| site.class != BENIGN);
        total(counted.map(|(_, drops)| drops), Drops::merge)
    });
    html! {
        section aria-labelledby="overview" {
            h2 #overview { "Overview" }
            dl.figures {
                @if let Some(row) = &connections {
                    div #figure-connections data-live {
                        dt { "Open connections" }
                        dd { (live(row)) }
                    }
                    div #figure-ratio data-live data-key="figure: ratio" data-counts=(json(row)) {
                        dt { "Retransmit ratio" }
                        dd data-show="ratio" { (ratio(row)) }
                    }
                    div #figure-median data-live data-key="figure: median" data-counts=(json(row)) {
                        dt { "Median round-trip time" }
                        dd data-show="median" { (words::quantile(row.rtt.as_ref(), 0.5)) }
                    }
                }
                @if let Some(row) = &drops {
                    div #figure-drops data-live data-key="figure: drops" data-counts=(json(row)) {
                        dt { "Drops per second, normal operation left out" }
                        dd data-show="rate" { (rate(row, seconds)) }
                    }
                }
            }
        }
    }
}

/// Connections by subnet.
pub(super) fn subnets(families: &Families) -> Markup {
    let Some(rows) = model::by_subnet(families) else {
        return off("subnets", "Subnets", "TCP metrics are off; the health below says why.");
    };
    let note = html! {
        "A retransmit ratio is segments sent again over data segments sent; it is not a loss rate. RTT is the round-trip time. \
         Segments that this host dropped itself are no loss of the network."
    };
    connections("subnets", ["Subnet", "Subnets"], rows, &note)
}

/// Connections by workload, where the labels have it.
pub(super) fn workloads(families: &Families) -> Markup {
    let Some(rows) = model::by_workload(families) else {
        return html! {};
    };
    let note = html! {
        "A connection is of the workload that made its socket. What had no name when it was counted is unresolved."
    };
    connections("workloads", ["Workload", "Workloads"], rows, &note)
}

/// A table of connections, those with most retransmissions first.
fn connections(id: &str, [one, many]: [&str; 2], rows: BTreeMap<String, Connections>, note: &Markup) -> Markup {
    let mut rows: Vec<(String, Connections)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse((row.again, row.sent)));
    let all = total(rows.iter().map(|(_, row)| row), Connections::merge);
    let (shown, rest) = rows.split_at(rows.len().min(MOST));
    let most = shown
        .iter()
        .filter_map(|(_, row)| words::ratio(row))
        .fold(0.0, f64::max);
    let cells = |row: &Connections| {
        let bar = words::ratio(row).map_or(0.0, |ratio| ratio / most);
        html! {
            td { (live(row)) }
            td { span.measure { (meter("ratio", bar)) span data-show="ratio" { (ratio(row)) } } }
            td data-show="median" { (words::quantile(row.rtt.as_ref(), 0.5)) }
            td data-show="p90" { (words::quantile(row.rtt.as_ref(), 0.9)) }
            td data-show="sent" { (maybe(row.sent)) }
            td data-show="again" { (maybe(row.again)) }
            td data-show="dropped" { (maybe(row.dropped)) }
        }
    };
    let head = html! {
        th scope="col" { (one) }
        th scope="col" { "Open connections" }
        th scope="col" { "Retransmit ratio" }
        th scope="col" { "Median RTT" }
        th scope="col" { "90th percentile RTT" }
        th scope="col" { "Data segments sent" }
        th scope="col" { "Sent again" }
        th scope="col" { "Dropped by this host" }
    };
    let body = html! {
        @for (name, row) in shown {
            tr data-key=(name) data-counts=(json(row)) {
                th scope="row" { (name) }
                (cells(row))
            }
        }
        @if shown.is_empty() { tr { td colspan="8" { "No connection has been seen yet." } } }
        @if !rest.is_empty() {
            @let others = total(rest.iter().map(|(_, row)| row), Connections::merge);
            tr data-rest data-counts=(json(&others)) {
                th scope="row" { (rest.len()) " more " (many.to_lowercase()) }
                (cells(&others))
            }
        }
    };
    let foot = html! {
        tr data-all data-counts=(json(&all)) { th scope="row" { "All " (many.to_lowercase()) } (cells(&all)) }
    };
    table(
        id,
        many,
        "segments sent again since the start",
        &head,
        &body,
        &foot,
        note,
    )
}

/// Drops by site, those with most packets first, normal operation last.
pub(super) fn drops(families: &Families, seconds: Option<f64>) -> Markup {
    let Some(rows) = model::by_site(families) else {
        return off(
            "drops",
            "Drop sites",
            "Drop metrics are off; the health below says why.",
        );
    };
    let mut rows: Vec<(Site, Drops)> = rows.into_iter().collect();
    rows.sort_by_key(|(site, row)| (site.class == BENIGN, std::cmp::Reverse(row.packets)));
    let all = total(rows.iter().map(|(_, row)| row), Drops::merge);
    let (shown, rest) = rows.split_at(rows.len().min(MOST));
    let cells = |row: &Drops| drop_cells(row, &all, seconds);
    let head = html! {
        th scope="col" { "Location" }
        th.text scope="col" { "Reason" }
        th.text scope="col" { "Class" }
        th.text scope="col" { "Source" }
        th scope="col" { "Packets" }
        th scope="col" { "Bytes" }
        th scope="col" { "Packets per second" }
    };
    let body = html! {
        @for (site, row) in shown {
            @let Site { location, reason, class, source } = site;
            tr data-key=(json(&[source, location, reason, class])) data-counts=(json(row)) {
                th scope="row" { code { (location) } }
                td.text { code { (reason) } }
                td.text { span class="class" data-class=(class) { (class) } }
                td.text { (source) }
                (cells(row))
            }
        }
        @if shown.is_empty() { tr { td colspan="7" { "No packet has been dropped yet." } } }
        @if !rest.is_empty() {
            @let others = total(rest.iter().map(|(_, row)| row), Drops::merge);
            tr data-rest data-counts=(json(&others)) {
                th scope="row" { (rest.len()) " more sites" }
                td.text {} td.text {} td.text {}
                (cells(&others))
            }
        }
    };
    let foot = html! {
        tr data-all data-counts=(json(&all)) {
            th scope="row" { "All sites" }
            td.text {} td.text {} td.text {}
            (cells(&all))
        }
    };
    let note = html! {
        "Location is the kernel function (of hardware the trap, of XDP the program). Class benign is normal operation."
    };
    table(
        "drops",
        "Drop sites",
        "packets since the start, normal operation last",
        &head,
        &body,
        &foot,
        &note,
    )
}

/// Drops by workload, where the labels have it, those with most packets first; normal operation is left out.
pub(super) fn drops_by_workload(families: &Families, seconds: Option<f64>) -> Markup {
    let Some(rows) = model::drops_by_workload(families) else {
        return html! {};
    };
    let mut rows: Vec<(String, Drops)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.packets));
    let all = total(rows.iter().map(|(_, row)| row), Drops::merge);
    let (shown, rest) = rows.split_at(rows.len().min(MOST));
    let head = html! {
        th scope="col" { "Workload" }
        th scope="col" { "Packets" }
        th scope="col" { "Bytes" }
        th scope="col" { "Packets per second" }
    };
    let body = html! {
        @for (name, row) in shown {
            tr data-key=(name) data-counts=(json(row)) { th scope="row" { (name) } (drop_cells(row, &all, seconds)) }
        }
        @if !rest.is_empty() {
            @let others = total(rest.iter().map(|(_, row)| row), Drops::merge);
            tr data-rest data-counts=(json(&others)) {
                th scope="row" { (rest.len()) " more workloads" }
                (drop_cells(&others, &all, seconds))
            }
        }
    };
    let foot = html! {
        tr data-all data-counts=(json(&all)) { th scope="row" { "All workloads" } (drop_cells(&all, &all, seconds)) }
    };
    let note = html! {
        "A packet is of the socket that sent it, else of the one that it was for, else of whoever has its network namespace. Class \
         benign is left out."
    };
    table(
        "owners",
        "Drops by workload",
        "packets since the start",
        &head,
        &body,
        &foot,
        &note,
    )
}

fn drop_cells(row: &Drops, all: &Drops, seconds: Option<f64>) -> Markup {
    html! {
        td { span.measure { (meter("packets", words::share(row, all))) span data-show="packets" { (words::count(row.packets)) } } }
        td data-show="bytes" { (row.bytes.map_or_else(|| words::NONE.to_owned(), words::bytes)) }
        td data-show="rate" { (rate(row, seconds)) }
    }
}

/// A section with a table that scrolls by itself where it is too wide. The script replaces what it marks as live, never
/// what may have the focus.
fn table(id: &str, title: &str, order: &str, head: &Markup, body: &Markup, foot: &Markup, note: &Markup) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            div.scroll role="region" aria-labelledby=(format!("{id}-caption")) tabindex="0" {
                table id=(format!("{id}-table")) {
                    caption id=(format!("{id}-caption")) {
                        span { "Ordered by " (order) ". Numbers: " span data-window { "since the start" } "." }
                    }
                    thead { tr { (head) } }
                    tbody id=(format!("{id}-rows")) data-live { (body) }
                    tfoot id=(format!("{id}-all")) data-live { (foot) }
                }
            }
            p.note { (note) }
        }
    }
}

fn off(id: &str, title: &str, why: &str) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            p { (why) }
        }
    }
}

/// A bar beside a number that says the same, so there is nothing to read aloud.
fn meter(of: &str, share: f64) -> Markup {
    let width = if share.is_finite() { share * 100.0 } else { 0.0 };
    html! {
        svg.bar aria-hidden="true" data-bar=(of) { rect width=(format!("{width:.1}%")) height="100%" {} }
    }
}

fn total<'a, T: Default + 'a>(rows: impl Iterator<Item = &'a T>, merge: fn(&mut T, &T)) -> T {
    rows.fold(T::default(), |mut sum, row| {
        merge(&mut sum, row);
        sum
    })
}

/// Numbers and texts always serialize.
fn json(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

fn live(row: &Connections) -> String {
    row.live
        .map_or_else(|| words::NONE.to_owned(), |live| format!("{live:.0}"))
}

fn ratio(row: &Connections) -> String {
    words::ratio(row).map_or_else(|| words::NONE.to_owned(), words::percent)
}

fn maybe(count: Option<u64>) -> String {
    count.map_or_else(|| words::NONE.to_owned(), words::count)
}

/// The average over the life of the exporter.
fn rate(row: &Drops, seconds: Option<f64>) -> String {
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    seconds.map_or_else(
        || words::NONE.to_owned(),
        |seconds| words::rate(number(row.packets) / seconds),
    )
}
