//! The tables of the page. Each row carries its counts as JSON; the script takes those of two collections and fills the same cells.
//!
//! A row opens to what is known of it: its name is the summary of a `details`, and the style shows the next row while that is open. What
//! is quiet is folded: the style hides it until the row between is opened. Neither needs the script.

mod connections;
mod drops;

use maud::{Markup, html};
use serde::Serialize;

pub(super) use connections::{subnets, workloads};
pub(super) use drops::{drops, drops_by_workload, mark};

/// Most rows of a table; one more says what the others come to.
const MOST: usize = 50;

/// A column: its title, how its cells are aligned, and a longer word on what it shows.
struct Head {
    title: &'static str,
    is_text: bool,
    about: &'static str,
}

const fn head(title: &'static str, about: &'static str) -> Head {
    Head {
        title,
        is_text: false,
        about,
    }
}

const fn text(title: &'static str) -> Head {
    Head {
        title,
        is_text: true,
        about: "",
    }
}

/// What a table consists of.
struct Table<'t> {
    id: &'t str,
    title: &'t str,
    heads: &'t [Head],
    /// What stands beside the title.
    beside: Markup,
    body: Markup,
    foot: Markup,
    note: Markup,
}

/// A section with a table that scrolls by itself where it is too wide.
fn table(table: Table<'_>) -> Markup {
    let Table {
        id,
        title,
        heads,
        beside,
        body,
        foot,
        note,
    } = table;
    html! {
        section {
            div.title { h2 id=(id) { (title) } (beside) }
            div.scroll role="region" aria-labelledby=(id) tabindex="0" {
                table id=(format!("{id}-table")) {
                    thead {
                        tr {
                            @for Head { title, is_text, about } in heads {
                                th.text[*is_text] scope="col" title=[(!about.is_empty()).then_some(about)] { (title) }
                            }
                            th.spark scope="col" { "Last 10 min" }
                        }
                    }
                    tbody id=(format!("{id}-rows")) data-live { (body) }
                    tfoot id=(format!("{id}-all")) data-live { (foot) }
                }
            }
            p.note { span data-order { "Worst first. " } (note) }
        }
    }
}

/// The cell of the name of a row that opens.
fn name(name: &Markup) -> Markup {
    html! { th scope="row" { details { summary { (name) } } } }
}

/// The cell in which the script draws the last ten minutes.
fn spark() -> Markup {
    html! { td.spark data-own {} }
}

/// The row that shows while the one before is open.
fn more(key: &str, columns: usize, is_quiet: bool, inside: &Markup) -> Markup {
    html! { tr.more data-more=(key) data-quiet[is_quiet] { td colspan=(columns + 1) { (inside) } } }
}

/// The row that shows and hides the quiet ones, which come after it.
fn fold(quiet: usize, what: &str, columns: usize) -> Markup {
    html! {
        tr.fold data-fold hidden[quiet == 0] {
            td colspan=(columns + 1) { details { summary { span data-number { (quiet) } " " (what) } } }
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
