//! The head of the screen: which host, when, how it is altogether, and the views.

use super::{Look, words::chosen};
use crate::commands::top::{
    format,
    table::Tone,
    view::{Head, Scope, Tab, View},
};
use ratatui::{
    Frame,
    layout::{Alignment, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};
use tcpvitals_metrics::findings::report::State;

pub(super) fn draw(frame: &mut Frame<'_>, view: &View, look: Look, area: Rect) {
    let Head {
        host,
        at,
        traffic,
        drops,
        benign_drops,
        interval,
        asked,
        of_flows,
        ..
    } = &view.head;
    let clock = format!("{} UTC", format::clock(*at));
    // Of releases such as 6.18.33+deb13-amd64 the numbers.
    let release = host.release.split(['-', '+']).next().unwrap_or_default();
    let (found, tone) = findings(view);
    let connections = format!("{} conns", traffic.live);
    let [out, into] = [traffic.transmit(), traffic.receive()].map(format::short);
    let bytes = format!("{out}B/s out {into}B/s in");
    let name = format::cut(&host.name, 24);
    let first = [
        ("tcpvitals", 6),
        (name.as_str(), 1),
        (release, 5),
        (clock.as_str(), 2),
        (found.as_str(), 0),
        (connections.as_str(), 3),
        (bytes.as_str(), 4),
    ];
    let first = chosen(&first, "  ", area.width);
    let first = match first.split_once(&found) {
        Some((before, behind)) => Line::from(vec![
            Span::styled(before.to_owned(), look.head()),
            Span::styled(found, look.tone(tone)),
            Span::styled(behind.to_owned(), look.head()),
        ]),
        None => Line::styled(first, look.head()),
    };
    let retransmitted = format!("RETR {}", format::percent(traffic.retransmit_ratio()));
    let dropped = format!("DROPPED HERE {}", format::percent(traffic.dropped_here()));
    let failed = format!("FAILED {}/s", format::rate(traffic.failures()));
    let drops = format!(
        "DROPS {}/s (benign {})",
        format::rate(*drops),
        format::rate(*benign_drops)
    );
    let every = if view.is_paused {
        "PAUSED".to_owned()
    } else {
        format!("every {}", humantime::format_duration(*interval))
    };
    let asked = if of_flows.is_empty() || view.place.tab == Tab::Flows {
        asked.clone()
    } else {
        format!("{asked} ({of_flows}: flows only)")
    };
    let second = [
        (retransmitted.as_str(), 1),
        (dropped.as_str(), 2),
        (failed.as_str(), 3),
        (drops.as_str(), 4),
        (every.as_str(), if view.is_paused { 0 } else { 6 }),
        (asked.as_str(), 5),
    ];
    let second = Line::from(chosen(&second, "  ", area.width));
    let views = views(view, look, area.width);
    let room = usize::from(area.width).saturating_sub(views.width());
    frame.render_widget(Paragraph::new(vec![first, second, views]), area);
    // In the corner, as far as the views leave room.
    let corner = Rect::new(area.x, area.bottom().saturating_sub(1), area.width, 1);
    let counts = Line::from(corner_of(view, room)).alignment(Alignment::Right);
    frame.render_widget(Paragraph::new(counts), corner);
}

fn findings(view: &View) -> (String, Tone) {
    match &view.head.report {
        None => ("findings off".to_owned(), Tone::PLAIN),
        Some(report) if report.state == State::NotYet => ("findings: not yet".to_owned(), Tone::PLAIN),
        Some(report) => match report.findings.len() {
            0 => ("0 findings".to_owned(), Tone::PLAIN),
            1 => ("1 finding".to_owned(), Tone::BAD),
            many => (format!("{many} findings"), Tone::BAD),
        },
    }
}

/// The views with their digits, the shown one in brackets; where that is too much, only its name.
fn views(view: &View, look: Look, width: u16) -> Line<'static> {
    let chosen = match &view.place.scope {
        None => view.place.tab.title().to_owned(),
        Some(Scope::Subnet(name) | Scope::Workload(name)) => {
            format!("{} of {}", view.place.tab.title(), format::cut(name, 20))
        }
    };
    let line = |is_whole: bool| {
        let spans = (1..).zip(Tab::ALL).flat_map(|(digit, tab)| {
            if tab == view.place.tab {
                let chosen = Span::styled(format!("[{digit}:{chosen}]"), look.chosen());
                vec![chosen, Span::raw(" ")]
            } else if is_whole {
                vec![Span::raw(format!(" {digit}:{}  ", tab.title()))]
            } else {
                vec![Span::raw(format!("{digit} "))]
            }
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    let whole = line(true);
    if whole.width() <= width.into() {
        whole
    } else {
        line(false)
    }
}

/// How many of the rows are shown, where that is not all, as far as there is room.
fn corner_of(view: &View, room: usize) -> String {
    let (shown, known) = view.tables.of(view.place.tab).counts();
    let text = format!("{shown} of {known}");
    if shown != known && text.len() <= room {
        text
    } else {
        String::new()
    }
}
