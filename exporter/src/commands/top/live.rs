//! `top` at work: reads the kernel at each tick, draws on the terminal, and gives the terminal back however it ends.

use super::{
    moment::Moment,
    once,
    screen::{self, Look},
    view::{Head, Next, Tab, View},
};
use crate::{
    cli::{TopArguments, filters::Shows},
    commands::live::{self, LiveError},
    lifecycle::{host::Host, signals::ticker::Ticker},
    serve::collect::Collector,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ratatui::{
    DefaultTerminal, TerminalOptions, Viewport,
    crossterm::{
        event::{self, Event, KeyEventKind},
        execute,
        terminal::{self, EnterAlternateScreen},
    },
    layout::Rect,
};
use std::{
    io::{self, IsTerminal, Write},
    thread,
};
use tcpvitals_config::Config;
use tokio::sync::mpsc;

/// Shows views until somebody ends it, or prints one.
///
/// # Errors
/// [`LiveError`]; nothing stays loaded, and the terminal is as it was.
pub fn run(arguments: &TopArguments) -> Result<(), LiveError> {
    if !arguments.once && !io::stdout().is_terminal() {
        return Err(LiveError::NoTerminal);
    }
    let filters = arguments.filters.of(Shows::Everything)?;
    let config = live::judging(arguments.advanced.config_file.as_deref(), filters)?;
    show_by(config, arguments)
}

/// The same by a configuration for it.
///
/// # Errors
/// The same.
pub fn show_by(config: Config, arguments: &TopArguments) -> Result<(), LiveError> {
    let filters = &arguments.filters;
    let has_drops = config.drops.enabled;
    let mut view = view(arguments)?;
    let (collector, runtime) = live::start(config, arguments.advanced.btf.as_deref(), filters)?;
    if arguments.once {
        runtime.block_on(once::print(&collector, arguments, &mut view, has_drops))
    } else {
        runtime.block_on(show(&collector, arguments, view, has_drops))
    }
}

/// What is shown first.
fn view(arguments: &TopArguments) -> Result<View, LiveError> {
    let head = Head {
        host: Host::read(),
        interval: arguments.interval,
        asked: arguments.filters.as_given(),
        of_flows: arguments.filters.of_ends().join(", "),
        ..Head::default()
    };
    let usual = if arguments.once { Tab::Flows } else { Tab::Subnets };
    let tab = arguments.view.unwrap_or(usual);
    let mut view = View::new(tab, &arguments.filter, head);
    if let Some(key) = &arguments.sort {
        view.sort_by(key).map_err(|keys| LiveError::Sort {
            key: key.clone(),
            rows: tab.rows(),
            keys: keys.join(", "),
        })?;
    }
    Ok(view)
}

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

async fn show(
    collector: &Collector,
    arguments: &TopArguments,
    mut view: View,
    has_drops: bool,
) -> Result<(), LiveError> {
    let look = Look {
        has_colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let mut ticker = Ticker::new(arguments.interval, None)?;
    let mut before = Moment::new(collector, &arguments.filters, has_drops).await?;
    view.update(before.since(&before));
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
                let after = Moment::new(collector, &arguments.filters, has_drops).await?;
                view.update(after.since(&before));
                before = after;
                ticker.advance();
            }
            event = events.recv() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    match view.key(key.code, key.modifiers) {
                        Next::Draw => {}
                        Next::Copy(text) => copy(&text)?,
                        Next::Quit => return Ok(()),
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

/// Gives a text to the clipboard of the terminal (OSC 52 of xterm), which may take it or not.
fn copy(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    write!(stdout, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
    stdout.flush()
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
