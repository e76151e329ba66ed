//! The tables of drops: by site, and by workload.

use super::{Head, MOST, Table, fold, head, json, more, name, off, spark, table, text, total};
use crate::{
    encode::page::{
        commands,
        model::{self, BENIGN, Drops, Part, Site},
        parts::Page,
        severity::rank_of_site,
        words,
    },
    findings::dictionary::{self, Entry},
};
use maud::{Markup, html};
use std::cmp::Reverse;
use tcpvitals_config::Class;

/// Most subnets that a cell names.
const NAMED: usize = 3;
/// Most parts that an open row names.
const PARTS: usize = 10;

/// The mark of a class, beside its word or what it means.
pub(in crate::encode::page) fn mark(class: &str) -> Markup {
    html! { i.mark data-class=(class) {} }
}

/// Drops by site, those with most packets first; normal operation is folded.
pub(in crate::encode::page) fn drops(page: &Page<'_>) -> Markup {
    let Some(rows) = model::by_site(page.families) else {
        return off(
            "drops",
            "Drop sites",
            "Drop metrics are off; the health below says why.",
        );
    };
    let heads = [
        text("What"),
        text("Reason and function"),
        text("Direction"),
        text("Subnets"),
        head("Drops/s", "Packets; one may hold several segments"),
    ];
    let columns = heads.len();
    let mut rows: Vec<(Site, Drops)> = rows.into_iter().collect();
    let seconds = page.seconds.unwrap_or_default();
    rows.sort_by(|(one, of_one), (other, of_other)| {
        let [first, second] = [(one, of_one), (other, of_other)].map(|(site, row)| rank_of_site(site, row, seconds));
        let by_packets = || of_other.packets.cmp(&of_one.packets);
        second
            .total_cmp(&first)
            .then_with(by_packets)
            .then_with(|| one.cmp(other))
    });
    let all = total(rows.iter().map(|(_, row)| row), Drops::merge);
    let (shown, rest) = rows.split_at(rows.len().min(MOST));
    let is_quiet = |site: &Site, row: &Drops| site.class == BENIGN || row.packets == 0;
    let row = |site: &Site, row: &Drops| {
        let Site {
            location,
            reason,
            class,
            source,
        } = site;
        let key = json(&[source, location, reason, class]);
        let quiet = is_quiet(site, row);
        html! {
            tr data-key=(key) data-counts=(json(row)) data-benign[class == BENIGN] data-quiet[quiet] {
                (name(&html! { (mark(class)) (dictionary::meaning(reason)) }))
                td.text { code { (reason) } " " small { (location) } }
                td.text { (ways(row)) }
                td.text { (subnets(row)) }
                (rate(page, row))
                (spark())
            }
            (more(&key, columns, quiet, &facts(page, site, row)))
        }
    };
    let (folded, loud): (Vec<_>, Vec<_>) = shown.iter().partition(|(site, row)| is_quiet(site, row));
    table(Table {
        id: "drops",
        title: "Drop sites",
        heads: &heads,
        beside: classes(page),
        body: html! {
            @for (site, counts) in &loud { (row(site, counts)) }
            @if shown.is_empty() { tr { td colspan=(columns + 1) { "No packet has been dropped yet." } } }
            (fold(folded.len(), "quiet or benign", columns))
            @for (site, counts) in &folded { (row(site, counts)) }
            @if !rest.is_empty() {
                @let others = total(rest.iter().map(|(_, row)| row), Drops::merge);
                tr data-rest data-counts=(json(&others)) {
                    th scope="row" { (rest.len()) " more sites" }
                    td.text {} td.text {} td.text {}
                    (rate(page, &others))
                    td.spark {}
                }
            }
        },
        foot: html! {
            tr data-all data-counts=(json(&all)) {
                th scope="row" { "All sites" }
                td.text {} td.text {} td.text {}
                (rate(page, &all))
                td.spark {}
            }
        },
        note: html! {
            "Drops are packets; one packet may hold several segments. " a href="./docs/reasons" { "What each reason means" } "."
        },
    })
}

/// What is known of a site.
fn facts(page: &Page<'_>, site: &Site, row: &Drops) -> Markup {
    let Site {
        location,
        reason,
        class,
        source,
    } = site;
    let parts = row.by_part();
    html! {
        dl.facts {
            dt { "Counts" }
            dd data-show="amount" { (words::amount(row)) }
            dt { "Class" }
            dd { (mark(class)) (class) ", counted by " (source) }
            @if let Some(Entry { causes, first, .. }) = dictionary::look_up(reason) {
                dt { "Usual causes" }
                dd { (causes) }
                dt { "First command" }
                dd { code { (first) } }
            }
            dt { "Affected" }
            dd {
                ul.parts {
                    @for (part, packets) in parts.into_iter().take(PARTS) {
                        @let Part { subnet, direction, protocol } = part;
                        @let counts = Drops { packets, ..Drops::default() };
                        li data-key=(json(&[source, location, reason, class, subnet, direction, protocol])) data-counts=(json(&counts)) {
                            (words::way(direction)) " " (subnet) ", " (protocol) ": "
                            span data-show="rate" { (words::rate_over(packets, page.seconds)) } " packets/s"
                        }
                    }
                }
            }
            dt { "Look closer" }
            dd { (commands::copies(&commands::of_site(reason, location))) }
        }
    }
}

/// The classes, with their colours and rates.
fn classes(page: &Page<'_>) -> Markup {
    let rows = model::by_class(page.families).unwrap_or_default();
    html! {
        ul.classes #drops-classes data-live {
            @for class in Class::ALL.iter().rev().map(|class| class.as_str()) {
                @let row = rows.get(class).cloned().unwrap_or_default();
                li data-key=(class) data-counts=(json(&row)) {
                    (mark(class)) (class) " " span data-show="rate" { (words::rate_over(row.packets, page.seconds)) } "/s"
                }
            }
        }
    }
}

fn ways(row: &Drops) -> String {
    let ways: Vec<&str> = row
        .by(|part| &part.direction)
        .into_iter()
        .map(|(way, _)| words::way(way))
        .collect();
    ways.join(", ")
}

/// The subnets with most packets.
fn subnets(row: &Drops) -> String {
    let all = row.by(|part| &part.subnet);
    let mut text = all
        .iter()
        .take(NAMED)
        .map(|(subnet, _)| *subnet)
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMED {
        text += &format!(", {} more", all.len() - NAMED);
    }
    text
}

fn rate(page: &Page<'_>, row: &Drops) -> Markup {
    html! {
        td.count data-label="/s" data-show="rate" title=(words::amount(row)) { (words::rate_over(row.packets, page.seconds)) }
    }
}

/// Drops by workload, where the labels of drops have it, those with most packets first; normal operation is left out.
pub(in crate::encode::page) fn drops_by_workload(page: &Page<'_>) -> Markup {
    let Some(rows) = model::drops_by_workload(page.families) else {
        return html! {};
    };
    let heads: [Head; 3] = [text("Workload"), head("Drops/s", ""), text("Counts")];
    let mut rows: Vec<(String, Drops)> = rows.into_iter().collect();
    rows.sort_by_key(|(_, row)| Reverse(row.packets));
    let all = total(rows.iter().map(|(_, row)| row), Drops::merge);
    let (shown, rest) = rows.split_at(rows.len().min(MOST));
    let cells = |row: &Drops| {
        html! {
            (rate(page, row))
            td.text data-show="amount" { (words::amount(row)) }
        }
    };
    table(Table {
        id: "owners",
        title: "Drops by workload",
        heads: &heads,
        beside: html! {},
        body: html! {
            @for (name, row) in shown {
                tr data-key=(name) data-counts=(json(row)) {
                    th scope="row" { (name) } (cells(row)) (spark())
                }
            }
            @if !rest.is_empty() {
                @let others = total(rest.iter().map(|(_, row)| row), Drops::merge);
                tr data-rest data-counts=(json(&others)) {
                    th scope="row" { (rest.len()) " more workloads" } (cells(&others)) td.spark {}
                }
            }
        },
        foot: html! {
            tr data-all data-counts=(json(&all)) { th scope="row" { "All workloads" } (cells(&all)) td.spark {} }
        },
        note: html! {
            "A packet belongs to the workload whose socket sent it, otherwise to the one it was for, otherwise to the owner of its network \
             namespace. Class benign is left out."
        },
    })
}
