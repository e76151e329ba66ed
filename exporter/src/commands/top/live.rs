//! `top` at work: reads the kernel at each tick, draws on the terminal, and gives the terminal back however it ends.

use super::{
    format,
    rows::{self, FlowRow},
    screen::{self, Look},
    view::{Next, View},
};
use crate::{
    cli::{Output, TopArguments},
    commands::live::{self, LiveError},
    lifecycle::{clock::now, signals::ticker::Ticker},
    serve::collect::Collector,
};
use ratatui::{
    DefaultTerminal, TerminalOptions, Viewport,
    crossterm::{
        event::{self, Event, KeyEventKind},
        execute,
        terminal::{self, EnterAlternateScreen},
    },
    layout::Rect,
};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::rows::{
    drops::{Dropped, table::SiteTable},
    filter::FlowFilter,
    flows::LiveFlow,
};
use tokio::sync::mpsc;

/// Shows flows and drop sites until somebody ends it, or prints one table.
///
/// # Errors
/// [`LiveError`]; nothing stays loaded, and the terminal is as it was.
pub fn run(arguments: &TopArguments) -> Result<(), LiveError> {
    if !arguments.once && !io::stdout().is_terminal() {
        return Err(LiveError::NoTerminal);
    }
    let config = live::config(arguments.config_file.as_deref())?;
    let has_drops = config.drops.enabled;
    let asked = arguments.labels.0.labels().map(TcpLabel::row);
    let (collector, runtime) = live::start(config, arguments.btf.as_deref(), asked)?;
    if arguments.once {
        runtime.block_on(once(&collector, arguments))
    } else {
        runtime.block_on(show(&collector, arguments, has_drops))
    }
}

/// What the kernel said at one moment.
struct Moment {
    flows: Arc<Vec<LiveFlow>>,
    drops: Arc<Vec<Dropped>>,
    at: Instant,
}

impl Moment {
    async fn new(collector: &Collector, has_drops: bool) -> Result<Self, LiveError> {
        let drops = if has_drops {
            collector.drops().await?
        } else {
            Arc::default()
        };
        Ok(Self {
            flows: collector.flows().await?,
            drops,
            at: now(),
        })
    }

    /// Rates since an earlier one, of what a filter chooses.
    fn since(&self, before: &Self, filter: &FlowFilter) -> (Vec<FlowRow>, SiteTable) {
        let mut flows = rows::rows(&before.flows, &self.flows);
        let interval = self.at - before.at;
        if filter.labels().next().is_none() {
            return (flows, SiteTable::new(&before.drops, &self.drops, interval));
        }
        flows.retain(|row| filter.matches(|label| row.flow.label(label)));
        let of_drops = rows::of_drops(filter);
        let wanted = self
            .drops
            .iter()
            .filter(|row| of_drops.matches(|label| row.label(label)));
        let drops: Vec<Dropped> = wanted.cloned().collect();
        (flows, SiteTable::new(&before.drops, &drops, interval))
    }
}

async fn once(collector: &Collector, arguments: &TopArguments) -> Result<(), LiveError> {
    let before = Moment::new(collector, false).await?;
    let mut ticker = Ticker::new(arguments.interval, None)?;
    ticker.advance();
    if ticker.tick().await.is_none() {
        return Ok(());
    }
    let after = Moment::new(collector, false).await?;
    let mut view = View::new(arguments.sort, &arguments.filter);
    let (flows, drops) = after.since(&before, &arguments.labels.0);
    view.update(flows, drops);
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let text = match arguments.output {
        Output::Json => format!("{}\n", object(&view.flows, limit, after.at - before.at)),
        Output::Text => lines(&view.flows, limit),
    };
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// For programs: all rows up to a limit.
fn object(rows: &[FlowRow], limit: usize, interval: Duration) -> Value {
    let shown: Vec<Value> = rows.iter().take(limit).map(|row| Value::Object(row.json())).collect();
    json!({
        "interval_seconds": interval.as_secs_f64(),
        "total": rows.len(),
        "cut": shown.len() < rows.len(),
        "flows": shown,
    })
}

/// For people: a line for each row, both ends whole.
fn lines(rows: &[FlowRow], limit: usize) -> String {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), format::short);
    let shown = &rows[..limit.min(rows.len())];
    let owners: Vec<Option<String>> = shown.iter().map(|row| row.flow.workload()).collect();
    let width = owners.iter().flatten().map(|owner| owner.chars().count()).max();
    // Where nobody tells workloads apart there is no column of theirs.
    let column =
        |owner: &str| width.map_or_else(String::new, |width| format!("{owner:<0$} ", width.max(WORKLOAD.len())));
    let line = |(row, owner): (&FlowRow, &Option<String>)| {
        let (flow, rates) = (&row.flow, row.rates);
        format!(
            "{:<44} {}{:<16} {:<12} {:>6} {:>6} {:>6} {:>7} {:>6} {}\n",
            format::ends(flow, usize::MAX),
            column(owner.as_deref().unwrap_or_default()),
            flow.label(TcpLabel::Subnet),
            flow.label(TcpLabel::AppProtocol),
            rate(rates.map(|rates| rates.transmit)),
            rate(rates.map(|rates| rates.receive)),
            format::percent(row.retransmit_ratio()),
            format::time(flow.record.srtt_us),
            flow.record.snd_cwnd,
            flow.limit(),
        )
    };
    let titles = format!(
        "{:<44} {}{:<16} {:<12} {:>6} {:>6} {:>6} {:>7} {:>6} {}\n",
        "FLOW",
        column(WORKLOAD),
        "SUBNET",
        "PROTO",
        "OUT/s",
        "IN/s",
        "RETR",
        "RTT",
        "CWND",
        "WAIT"
    );
    let shown: String = shown.iter().zip(&owners).map(line).collect();
    titles + &shown
}

/// The title of the column that says whose a flow is.
const WORKLOAD: &str = "WORKLOAD";

/// The terminal, taken over; given back when it is dropped. A panic gives it back first and then says what happened.
struct Screen {
    terminal: DefaultTerminal,
    area: Rect,
}

impl Screen {
    fn take() -> io::Result<Self> {
        let area = area()?;
        let viewport = Viewport::Fixed(area);
        let take = || {
            let terminal = ratatui::try_init_with_options(TerminalOptions { viewport })?;
            execute!(io::stdout(), EnterAlternateScreen)?;
            Ok(Self { terminal, area })
        };
        take().inspect_err(|_: &io::Error| ratatui::restore())
    }

    fn draw(&mut self, view: &View, look: Look) -> io::Result<()> {
        let area = area()?;
        if area != self.area {
            self.terminal.resize(area)?;
            self.area = area;
        }
        self.terminal.draw(|frame| screen::draw(frame, view, look)).map(drop)
    }
}

/// The terminal, or the part of it that is drawn on: each character takes memory, and the other side may say any size.
fn area() -> io::Result<Rect> {
    const MOST: u16 = 1000;
    let (width, height) = terminal::size()?;
    Ok(Rect::new(0, 0, width.min(MOST), height.min(MOST)))
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn show(collector: &Collector, arguments: &TopArguments, has_drops: bool) -> Result<(), LiveError> {
    let look = Look {
        has_colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let mut ticker = Ticker::new(arguments.interval, None)?;
    let mut before = Moment::new(collector, has_drops).await?;
    let mut view = View::new(arguments.sort, &arguments.filter);
    let (flows, drops) = before.since(&before, &arguments.labels.0);
    view.update(flows, drops);
    let mut screen = Screen::take()?;
    let mut events = events()?;
    ticker.advance();
    loop {
        screen.draw(&view, look)?;
        tokio::select! {
            tick = ticker.tick() => {
                if tick.is_none() {
                    return Ok(());
                }
                let after = Moment::new(collector, has_drops).await?;
                let (flows, drops) = after.since(&before, &arguments.labels.0);
                view.update(flows, drops);
                before = after;
                ticker.advance();
            }
            event = events.recv() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if view.key(key.code, key.modifiers) == Next::Quit {
                        return Ok(());
                    }
                }
                // A resize is drawn like anything else.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}

/// What the terminal says, from a thread that waits for it until the process ends.
fn events() -> io::Result<mpsc::Receiver<io::Result<Event>>> {
    let (sender, events) = mpsc::channel(16);
    thread::Builder::new().spawn(move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if sender.blocking_send(event).is_err() || is_over {
                break;
            }
        }
    })?;
    Ok(events)
}
