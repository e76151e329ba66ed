//! `drops`: on a terminal the drop sites of `top`, elsewhere a table of them every few seconds.

use crate::{
    cli::{
        DropsArguments, Output, TopArguments,
        filters::{Filters, Shows},
    },
    commands::{
        live::{self, LiveError},
        top::{self, view::Tab},
    },
    lifecycle::{clock::now, signals::ticker::Ticker},
    serve::collect::Collector,
};
use ratatui::crossterm::terminal;
use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};
use tcpvitals_config::{Config, Detail, Labels};
use tcpvitals_metrics::rows::{
    drops::{Dropped, table::SiteTable, text},
    filter::DropFilter,
};

/// Shows drops until somebody ends it.
///
/// # Errors
/// [`LiveError`]; nothing stays loaded.
pub fn run(arguments: &DropsArguments) -> Result<(), LiveError> {
    let filters = arguments.filters.of(Shows::Drops)?;
    let has_end = arguments.tables().is_some() || arguments.duration.is_some();
    if io::stdout().is_terminal() && arguments.output == Output::Text && !has_end {
        return top::live::show_by(of_screen(arguments)?, &screen(arguments));
    }
    let config = of_tables(arguments)?;
    let (collector, runtime) = live::start(config, arguments.advanced.btf.as_deref(), filters)?;
    runtime.block_on(show(&collector, arguments))
}

/// The configuration for tables: of the exporter's programs only those that see drops, whether or not the metrics have them.
fn of_tables(DropsArguments { filters, advanced, .. }: &DropsArguments) -> Result<Config, LiveError> {
    let mut config = live::config(advanced.config_file.as_deref())?;
    filters.check(&config)?;
    config.tcp.detail = Detail::Off;
    config.drops.enabled = true;
    config.shown.labels = Labels::default();
    config.shown.labels.drops.extend(filters.drops.labels());
    Ok(config)
}

/// The configuration for the screen, which shows connections, too.
fn of_screen(DropsArguments { filters, advanced, .. }: &DropsArguments) -> Result<Config, LiveError> {
    let mut config = live::judging(advanced.config_file.as_deref(), filters)?;
    config.drops.enabled = true;
    Ok(config)
}

/// The screen of `top` that shows the same.
fn screen(
    DropsArguments {
        filters,
        interval,
        advanced,
        ..
    }: &DropsArguments,
) -> TopArguments {
    TopArguments {
        filters: filters.clone(),
        view: Some(Tab::Drops),
        interval: *interval,
        advanced: advanced.clone(),
        ..TopArguments::default()
    }
}

async fn show(collector: &Collector, arguments: &DropsArguments) -> Result<(), LiveError> {
    let Filters { drops: filter, .. } = &arguments.filters;
    let began = now();
    let (mut before, mut read_at) = (wanted(collector, filter).await?, now());
    let mut ticker = Ticker::new(arguments.interval, arguments.duration)?;
    let mut shown = 0;
    ticker.advance();
    while ticker.tick().await.is_some() {
        let (after, at) = (wanted(collector, filter).await?, now());
        let table = SiteTable::new(&before, &after, at - read_at);
        match print(&table, at - began, arguments) {
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

fn print(table: &SiteTable, elapsed: Duration, arguments: &DropsArguments) -> io::Result<()> {
    let mut stdout = io::stdout();
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let text = match arguments.output {
        Output::Json => format!("{}\n", table.json(elapsed, limit)),
        Output::Text => {
            let terminal = stdout.is_terminal().then(terminal::size).and_then(Result::ok);
            let size = text::Size {
                width: terminal.map_or(usize::MAX, |(width, _)| width.into()),
                sites: limit,
            };
            text::lines(table, elapsed, size) + "\n"
        }
    };
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, Command};
    use clap::Parser;

    #[test]
    fn drops_are_looked_for_in_tables_and_on_the_screen_though_the_metrics_leave_them_out() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"drops: {enabled: false}\n").unwrap();
        let words = ["tcpvitals", "drops", "--config.file", file.path().to_str().unwrap()];
        let Some(Command::Drops(arguments)) = Arguments::try_parse_from(words).unwrap().command else {
            panic!("another command")
        };
        let configs = [of_tables(&arguments), of_screen(&arguments)];
        assert_eq!(configs.map(|config| config.unwrap().drops.enabled), [true, true]);
    }
}
