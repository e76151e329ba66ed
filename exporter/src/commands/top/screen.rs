//! Draws a view: the head, a table, the pane of the selected row, and the keys at the bottom.

mod head;
mod help;
mod look;
mod pane;
mod words;

use super::{
    table::{Row as TableRow, Table as Rows},
    view::{Tab, View},
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::Line,
    widgets::{Cell, Paragraph, Row, Table, TableState, Wrap},
};

pub use look::Look;
use words::words;

/// Lines of the head: two of facts, and the views.
const HEAD: u16 = 3;
/// With fewer lines there is no pane unless somebody asks for it.
const LEAST_WITH_PANE: u16 = 16;

pub fn draw(frame: &mut Frame<'_>, view: &View, look: Look) {
    let area = frame.area();
    let is_wanted = view.has_detail || area.height >= LEAST_WITH_PANE;
    let lines = if is_wanted {
        pane::lines(view, look, area.width)
    } else {
        Vec::new()
    };
    let most = area.height.saturating_sub(HEAD + 4);
    let detail = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(most);
    let parts = Layout::vertical([
        Constraint::Length(HEAD),
        Constraint::Min(3),
        Constraint::Length(detail),
        Constraint::Length(1),
    ]);
    let [head, table, pane, foot] = parts.areas(area);
    head::draw(frame, view, look, head);
    match view.place.tab {
        Tab::Findings => rows(frame, view, &view.tables.findings, look, table),
        Tab::Subnets => rows(frame, view, &view.tables.subnets, look, table),
        Tab::Workloads => rows(frame, view, &view.tables.workloads, look, table),
        Tab::Flows => rows(frame, view, &view.tables.flows, look, table),
        Tab::Drops => rows(frame, view, &view.tables.drops, look, table),
    }
    frame.render_widget(Paragraph::new(lines), pane);
    frame.render_widget(Paragraph::new(foot_line(view, area.width)), foot);
    if view.has_help {
        help::draw(frame, view.place.tab, look);
    }
    if let Some(notice) = &view.notice {
        help::notice(frame, notice, look);
    }
}

fn foot_line(view: &View, width: u16) -> String {
    const KEYS: [&str; 9] = [
        "q quit",
        "? help",
        "/ filter",
        "< > sort",
        "Enter down",
        "Esc up",
        "c capture",
        "y PromQL",
        "space pause",
    ];
    if view.is_typing {
        return format!("filter: {}_   Enter keeps it, Esc clears it", view.filter);
    }
    if !view.filter.is_empty() {
        return format!("filter: {}   Esc clears it", view.filter);
    }
    words(&KEYS, "  ", width)
}

/// The first row that is drawn, so that the selected one is: rows may be many, and a screen shows few.
fn window(selected: usize, area: Rect) -> usize {
    let rows = usize::from(area.height).saturating_sub(1).max(1);
    (selected + 1).saturating_sub(rows)
}

fn rows<R: TableRow>(frame: &mut Frame<'_>, view: &View, table: &Rows<R>, look: Look, area: Rect) {
    let first = window(table.selected, area);
    let drawn: Vec<&R> = table.shown().skip(first).take(area.height.into()).collect();
    let columns = table.fit(area.width, &drawn);
    let titles = columns.iter().map(|(place, width)| {
        let column = &table.columns[*place];
        let mark = match (*place == table.sorted, table.reversed) {
            (false, _) => "",
            (true, false) => "▼",
            (true, true) => "▲",
        };
        // The mark is never cut off.
        let room = usize::from(*width).saturating_sub(mark.chars().count());
        let title: String = column.title.chars().take(room).collect();
        cell(title + mark, column.is_number())
    });
    let titles = Row::new(titles.collect::<Vec<_>>()).style(look.titles());
    let lines = drawn.iter().map(|row| {
        let cells = columns.iter().map(|(place, width)| {
            let column = &table.columns[*place];
            let text = (column.text)(row, usize::from(*width));
            cell(text, column.is_number()).style(look.tone((column.tone)(row)))
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let widths: Vec<Constraint> = columns.iter().map(|(_, width)| Constraint::Length(*width)).collect();
    let selected = (!drawn.is_empty()).then(|| table.selected - first);
    let widget = Table::new(lines.collect::<Vec<_>>(), widths)
        .header(titles)
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(widget, area, &mut TableState::new().with_selected(selected));
    if drawn.is_empty() && area.height > 2 {
        let below = Rect::new(area.x, area.y + 1, area.width, area.height - 1);
        let text = Paragraph::new(why_empty(view)).wrap(Wrap { trim: true });
        frame.render_widget(text, below);
    }
}

/// A cell; numbers stand at the right.
fn cell(text: String, is_number: bool) -> Cell<'static> {
    let alignment = if is_number { Alignment::Right } else { Alignment::Left };
    Cell::from(Line::from(text).alignment(alignment))
}

/// Why there is no row.
fn why_empty(view: &View) -> String {
    let tab = view.place.tab;
    let (_, known) = view.tables.of(tab).counts();
    if known > 0 && !view.filter.is_empty() {
        return format!("0 of {known} {} match \"{}\"; Esc clears", tab.rows(), view.filter);
    }
    let asked = &view.head.asked;
    match tab {
        Tab::Findings => view.judgement(),
        Tab::Workloads if !view.tables.workloads.tells_workloads => {
            "Workloads are not told apart. Name a source of them in the configuration (--config.file), for example \
             workloads: {source: auto}"
                .to_owned()
        }
        _ if known > 0 => "none of them here any more; Esc leads back".to_owned(),
        _ if !asked.is_empty() => format!("no {} yet that {asked} chooses", tab.rows()),
        Tab::Subnets | Tab::Workloads | Tab::Flows | Tab::Drops => format!("no {} yet", tab.rows()),
    }
}

#[cfg(test)]
mod tests;
