//! `drops`: a table of drop sites every few seconds, on a terminal in place, elsewhere one after the other.

use crate::{
    cli::{DropsArguments, Output, labels::DropLabels},
    commands::live::{self, LiveError},
    lifecycle::{clock::now, signals::ticker::Ticker},
    serve::collect::Collector,
};
use ratatui::crossterm::terminal;
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};
use tcpvitals_config::{Detail, DropLabel, Labels};
use tcpvitals_metrics::rows::{
    drops::{Dropped, table::SiteTable, text},
    filter::DropFilter,
};

/// Shows drops until somebody ends it.
///
/// # Errors
/// [`LiveError`]; nothing stays loaded.
pub fn run(arguments: &DropsArguments) -> Result<(), LiveError> {
    let mut config = live::config(arguments.config_file.as_deref())?;
    // Of the exporter's programs only those that see drops.
    config.tcp.detail = Detail::Off;
    config.drops.enabled = true;
    config.shown.labels = Labels::default();
    let asked = arguments.labels.0.labels().map(DropLabel::row);
    let (collector, runtime) = live::start(config, arguments.btf.as_deref(), asked)?;
    runtime.block_on(show(&collector, arguments))
}

async fn show(collector: &Collector, arguments: &DropsArguments) -> Result<(), LiveError> {
    let DropLabels(filter) = &arguments.labels;
    let began = now();
    let (mut before, mut read_at) = (wanted(collector, filter).await?, now());
    let mut ticker = Ticker::new(arguments.interval, arguments.duration)?;
    let mut shown = 0;
    ticker.advance();
    while ticker.tick().await.is_some() {
        let (after, at) = (wanted(collector, filter).await?, now());
        let table = SiteTable::new(&before, &after, at - read_at);
        match print(&table, at - began, arguments, shown == 0) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            printed => printed?,
        }
        (before, read_at) = (after, at);
        shown += 1;
        ticker.advance();
        if arguments.tables() == Some(shown) {
            break;
        }
    }
    Ok(())
}

async fn wanted(collector: &Collector, filter: &DropFilter) -> Result<Vec<Dropped>, LiveError> {
    let rows = collector.drops().await?;
    Ok(rows
        .iter()
        .filter(|row| filter.matches(|label| row.label(label)))
        .cloned()
        .collect())
}

fn print(table: &SiteTable, elapsed: Duration, arguments: &DropsArguments, is_first: bool) -> io::Result<()> {
    let mut stdout = io::stdout();
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let text = match arguments.output {
        Output::Json => format!("{}\n", table.json(elapsed, limit)),
        Output::Text if stdout.is_terminal() => in_place(table, elapsed, limit, is_first),
        Output::Text => {
            let size = text::Size {
                width: usize::MAX,
                sites: limit,
            };
            text::lines(table, elapsed, size) + "\n"
        }
    };
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes over what was written before: home, clear the rest of each line, then all below (ECMA-48).
fn in_place(table: &SiteTable, elapsed: Duration, limit: usize, is_first: bool) -> String {
    /// Lines that are no site: the head, the titles, what was left out, and where the cursor rests.
    const FRAME: usize = 4;
    let (width, height) = terminal::size().map_or((80, 24), |(width, height)| (width.into(), height.into()));
    let size = text::Size {
        width,
        sites: usize::min(limit, usize::saturating_sub(height, FRAME)),
    };
    let clear = if is_first { "\x1b[2J" } else { "" };
    let lines = text::lines(table, elapsed, size).replace('\n', "\x1b[K\n");
    format!("{clear}\x1b[H{lines}\x1b[J")
}
