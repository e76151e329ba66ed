//! `top --once`: one view, printed for people or for programs.

use super::{
    moment::Moment,
    rows,
    table::{Row, Table, matches},
    view::{Tab, View},
};
use crate::{
    cli::{Output, TopArguments},
    commands::live::LiveError,
    lifecycle::signals::ticker::Ticker,
    serve::collect::Collector,
};
use serde_json::{Map, Value, json};
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::findings::SHORTEST;

/// Prints the view that was chosen.
pub(super) async fn print(
    collector: &Collector,
    arguments: &TopArguments,
    view: &mut View,
    has_drops: bool,
) -> Result<(), LiveError> {
    let tab = view.place.tab;
    let reads_drops = has_drops && tab == Tab::Drops;
    let before = Moment::new(collector, &arguments.filters, reads_drops).await?;
    let interval = if tab == Tab::Findings {
        arguments.interval.max(SHORTEST)
    } else {
        arguments.interval
    };
    let mut ticker = Ticker::new(interval, None)?;
    ticker.advance();
    if ticker.tick().await.is_none() {
        return Ok(());
    }
    let after = Moment::new(collector, &arguments.filters, reads_drops).await?;
    view.update(after.since(&before));
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let text = match arguments.output {
        Output::Json => {
            let rows = match tab {
                // Programs see each end of a connection.
                Tab::Flows => each_end(&before, &after, view),
                Tab::Findings | Tab::Subnets | Tab::Workloads | Tab::Drops => objects(view),
            };
            format!("{}\n", object(tab, rows, limit, after.interval(&before)))
        }
        Output::Text => lines(view, limit),
    };
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// For programs: all rows up to a limit.
fn object(tab: Tab, rows: Vec<Value>, limit: usize, interval: Duration) -> Value {
    let total = rows.len();
    let shown: Vec<Value> = rows.into_iter().take(limit).collect();
    let mut object = Map::new();
    object.insert("interval_seconds".to_owned(), json!(interval.as_secs_f64()));
    object.insert("total".to_owned(), json!(total));
    object.insert("cut".to_owned(), json!(shown.len() < total));
    object.insert(tab.rows().replace("drop sites", "sites"), shown.into());
    object.into()
}

fn each_end(before: &Moment, after: &Moment, view: &View) -> Vec<Value> {
    let table = &view.tables.flows;
    let mut ends = Table::new(table.columns, table.column().key);
    ends.set(rows::rows(&before.flows, &after.flows));
    // As in the API, without opens in progress.
    ends.arrange(|row| row.opening().is_none() && matches(&view.filter, row));
    ends.shown().map(|row| Value::Object(row.json())).collect()
}

fn objects(view: &View) -> Vec<Value> {
    let tables = &view.tables;
    match view.place.tab {
        Tab::Findings => tables.findings.shown().map(|row| json!(row.0)).collect(),
        Tab::Subnets => tables.subnets.shown().map(|row| row.json(TcpLabel::Subnet)).collect(),
        Tab::Workloads => tables
            .workloads
            .shown()
            .map(|row| row.json(TcpLabel::Workload))
            .collect(),
        Tab::Flows => tables.flows.shown().map(|row| Value::Object(row.json())).collect(),
        Tab::Drops => tables.drops.shown().map(|site| site.json()).collect(),
    }
}

/// For people: a line for each row, as wide as the terminal, elsewhere as wide as it has to be.
fn lines(view: &View, limit: usize) -> String {
    let tables = &view.tables;
    let lines = match view.place.tab {
        Tab::Findings => of(&tables.findings, limit),
        Tab::Subnets => of(&tables.subnets, limit),
        Tab::Workloads => of(&tables.workloads, limit),
        Tab::Flows => of(&tables.flows, limit),
        Tab::Drops => of(&tables.drops, limit),
    };
    let (shown, known) = tables.of(view.place.tab).counts();
    match (view.place.tab, shown, known) {
        (Tab::Findings, 0, 0) => format!("{}\n", view.judgement()),
        _ => lines,
    }
}

fn of<R: Row>(table: &Table<R>, limit: usize) -> String {
    const WIDEST: u16 = 400;
    let terminal = io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
    let width = terminal.and_then(Result::ok).map_or(WIDEST, |(width, _)| width);
    let drawn: Vec<&R> = table.shown().take(limit).collect();
    let columns = table.fit(width, &drawn);
    let line = |text: &dyn Fn(usize, usize) -> String| {
        let cells = columns.iter().map(|(place, width)| {
            let text = text(*place, usize::from(*width));
            let width = usize::from(*width);
            if table.columns[*place].is_number() {
                format!("{text:>width$}")
            } else {
                format!("{text:<width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join(" ");
        format!("{}\n", line.trim_end())
    };
    let titles = line(&|place, _| table.columns[place].title.to_owned());
    let rows = drawn
        .iter()
        .map(|row| line(&|place, width| (table.columns[place].text)(row, width)));
    titles + &rows.collect::<String>()
}
