//! Draws a view: a head, a table, the pane of the selected row, and the keys at the bottom.

mod help;

use super::{
    format,
    rows::FlowRow,
    view::{History, Tab, View},
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, TableState},
};
use tcpvitals_config::TcpLabel;
use tcpvitals_metrics::rows::drops::{table::SiteRow, text};

/// Lines of the pane of the selected row, its border included.
const DETAIL: u16 = 8;

#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Colours are wanted: no `NO_COLOR`.
    pub has_colour: bool,
}

impl Look {
    fn colour(self, colour: Color) -> Style {
        if self.has_colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// What asks for attention.
    fn alarm(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn title(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }
}

pub fn draw(frame: &mut Frame<'_>, view: &View, look: Look) {
    let detail = if view.has_detail { DETAIL } else { 0 };
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(detail),
        Constraint::Length(1),
    ]);
    let [head, table, pane, foot] = parts.areas(frame.area());
    frame.render_widget(Paragraph::new(head_line(view)).style(look.title()), head);
    match view.tab {
        Tab::Flows => flows(frame, view, look, table),
        Tab::Drops => sites(frame, view, look, table),
    }
    if view.has_detail {
        match view.tab {
            Tab::Flows => flow_pane(frame, view, look, pane),
            Tab::Drops => site_pane(frame, view, pane),
        }
    }
    frame.render_widget(Paragraph::new(foot_line(view)), foot);
    if view.has_help {
        help::draw(frame, look);
    }
}

fn head_line(view: &View) -> String {
    let paused = if view.is_paused { "  PAUSED" } else { "" };
    match view.tab {
        Tab::Flows => {
            let order = if view.reversed { " reversed" } else { "" };
            let sort = view.sort.as_str();
            format!(
                "tcpvitals  [Flows] Drops  {} of {} flows  by {sort}{order}{paused}",
                view.flows.len(),
                view.known()
            )
        }
        Tab::Drops => {
            let (rate, total) = (text::rate(view.drops().rate()), view.drops().total());
            format!("tcpvitals  Flows [Drops]  {rate} packets/s  {total} since the start{paused}")
        }
    }
}

fn foot_line(view: &View) -> String {
    if view.is_typing {
        format!("filter: {}_   Enter keeps it, Esc clears it", view.filter)
    } else if view.filter.is_empty() {
        "q quit  Tab view  s sort  r reverse  / filter  p pause  Enter detail  ? help".to_owned()
    } else {
        format!("filter: {}   Esc clears it", view.filter)
    }
}

fn flows(frame: &mut Frame<'_>, view: &View, look: Look, area: Rect) {
    const TITLES: [&str; 10] = [
        "FLOW", WORKLOAD, "SUBNET", "PROTO", "OUT/s", "IN/s", "RETR", "RTT", "CWND", "WAIT",
    ];
    /// Those of numbers.
    const NUMBERS: std::ops::RangeInclusive<usize> = 4..=8;
    /// All columns but the first two, with the spaces between them.
    const OTHERS: u16 = 12 + 8 + 5 + 5 + 5 + 6 + 5 + 4 + 8;
    /// Both ends in short, and what is left for a workload.
    const LEAST: (u16, u16) = (22, 16);
    let left = area.width.saturating_sub(OTHERS);
    let tells_workloads = view.flows.iter().any(|row| row.flow.workload().is_some());
    let room = left.saturating_sub(LEAST.0 + 1);
    let owner = if tells_workloads && room >= LEAST.1 {
        (room / 2).clamp(LEAST.1, 32)
    } else {
        0
    };
    let ends = if owner == 0 { left } else { left - owner - 1 }.max(10);
    let widths = [ends, owner, 12, 8, 5, 5, 5, 6, 5, 4];
    // A column without width would still have the space beside it.
    let is_shown = |column: usize| widths[column] != 0;
    let shown = window(view.selected, area);
    let rows = view.flows.iter().skip(shown).take(area.height.into());
    let rows = rows.map(|row| {
        let resends = row.retransmit_ratio().is_some_and(|ratio| ratio > 0.0);
        let cells = flow_texts(row, ends.into()).into_iter().enumerate();
        let cells = cells.filter(|(column, _)| is_shown(*column)).map(|(column, text)| {
            let cell = cell(column, text, NUMBERS);
            if column == 6 && resends {
                cell.style(look.alarm())
            } else {
                cell
            }
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let titles = TITLES.iter().enumerate().filter(|(column, _)| is_shown(*column));
    let titles = titles.map(|(column, title)| cell(column, (*title).to_owned(), NUMBERS));
    let constraints: Vec<Constraint> = widths
        .into_iter()
        .filter(|width| *width != 0)
        .map(Constraint::Length)
        .collect();
    table(
        frame,
        view,
        look,
        area,
        rows.collect(),
        Row::new(titles.collect::<Vec<_>>()),
        &constraints,
    );
}

/// The title of the column that says whose something is.
const WORKLOAD: &str = "WORKLOAD";

/// The first row that is drawn, so that the selected one is: flows may be many, and a screen shows few.
fn window(selected: usize, area: Rect) -> usize {
    let rows = usize::from(area.height).saturating_sub(1).max(1);
    (selected + 1).saturating_sub(rows)
}

fn flow_texts(row: &FlowRow, ends: usize) -> [String; 10] {
    let (flow, rates) = (&row.flow, row.rates);
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), format::short);
    [
        format::ends(flow, ends),
        flow.workload().unwrap_or_default(),
        flow.label(TcpLabel::Subnet).to_owned(),
        flow.label(TcpLabel::AppProtocol).to_owned(),
        rate(rates.map(|rates| rates.transmit)),
        rate(rates.map(|rates| rates.receive)),
        format::percent(row.retransmit_ratio()),
        format::time(flow.record.srtt_us),
        flow.record.snd_cwnd.to_string(),
        format::limit(flow.limit()).to_owned(),
    ]
}

/// A cell; numbers stand at the right.
fn cell(column: usize, text: String, numbers: std::ops::RangeInclusive<usize>) -> Cell<'static> {
    let alignment = if numbers.contains(&column) {
        Alignment::Right
    } else {
        Alignment::Left
    };
    Cell::from(Line::from(text).alignment(alignment))
}

fn sites(frame: &mut Frame<'_>, view: &View, look: Look, area: Rect) {
    const TITLES: [&str; 9] = [
        "PKT/s",
        "TOTAL",
        "CLASS",
        "REASON",
        "LOCATION",
        "WAY",
        "PROTO",
        "SUBNETS",
        "WORKLOADS",
    ];
    const OTHERS: u16 = 6 + 7 + 8 + 3 + 6 + 7;
    /// Subnets and workloads side by side.
    const BOTH: u16 = 41;
    let rest = area.width.saturating_sub(OTHERS);
    // Names of functions and reasons get what they need before subnets do.
    let (reason, location) = ((rest / 3).clamp(10, 20), (rest / 3).clamp(10, 24));
    let left = rest.saturating_sub(reason + location);
    let owners = if view.drops().tells_workloads() && left >= BOTH {
        (left - 1) / 2
    } else {
        0
    };
    let subnets = if owners == 0 { left } else { left - owners - 1 };
    let widths = [6, 7, 8, reason, location, 3, 6, subnets, owners];
    let columns = if owners == 0 { widths.len() - 1 } else { widths.len() };
    let rows = view.sites().into_iter().skip(window(view.selected, area));
    let rows = rows.map(|site| site_row(site, look, columns)).collect();
    let titles = TITLES.iter().take(columns).enumerate();
    let titles = titles.map(|(column, title)| cell(column, (*title).to_owned(), 0..=1));
    table(
        frame,
        view,
        look,
        area,
        rows,
        Row::new(titles.collect::<Vec<_>>()),
        &widths.map(Constraint::Length)[..columns],
    );
}

fn site_row(site: &SiteRow, look: Look, columns: usize) -> Row<'static> {
    let way = if site.direction() == "transmit" { "out" } else { "in" };
    let texts = [
        text::rate(site.rate),
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        format::short(site.total.packets as f64),
        site.class().to_owned(),
        site.reason().to_owned(),
        site.location().to_owned(),
        way.to_owned(),
        site.protocol().to_owned(),
        text::shares(&site.subnets),
        text::shares(site.workloads.as_deref().unwrap_or_default()),
    ];
    let style = match site.class() {
        "benign" => Style::new().add_modifier(Modifier::DIM),
        "error" | "capacity" => look.alarm(),
        _ => Style::new(),
    };
    let cells = texts.into_iter().take(columns).enumerate().map(|(column, text)| {
        let cell = cell(column, text, 0..=1);
        if column == 2 { cell.style(style) } else { cell }
    });
    Row::new(cells.collect::<Vec<_>>())
}

fn table(
    frame: &mut Frame<'_>,
    view: &View,
    look: Look,
    area: Rect,
    rows: Vec<Row<'_>>,
    titles: Row<'_>,
    widths: &[Constraint],
) {
    let selected = (!rows.is_empty()).then(|| view.selected - window(view.selected, area));
    let table = Table::new(rows, widths)
        .header(titles.style(look.colour(Color::Green).add_modifier(Modifier::BOLD)))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(selected));
}

fn flow_pane(frame: &mut Frame<'_>, view: &View, look: Look, area: Rect) {
    let Some((row, history)) = view.selected_flow() else {
        return;
    };
    let mut title = format::ends(&row.flow, usize::MAX);
    if let Some(workload) = row.flow.workload() {
        title += &format!("  {} {workload}", row.flow.label(TcpLabel::WorkloadKind));
    }
    title += &row.flow.instance.as_deref().map(format::instance).unwrap_or_default();
    let block = Block::new().borders(Borders::TOP).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [facts, rate_title, rate, rtt_title, rtt] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(inner);
    frame.render_widget(Paragraph::new(facts_of(row)), facts);
    let History { rate: rates, rtt: rtts } = history;
    let latest = |samples: &std::collections::VecDeque<u64>| samples.back().copied().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let rate_text = format!("out + in: {}B/s", format::short(latest(&rates) as f64));
    frame.render_widget(Paragraph::new(rate_text), rate_title);
    sparkline(frame, rates.into_iter().collect(), look.colour(Color::Green), rate);
    let rtt_text = format!("round-trip time: {}", format::time(row.flow.record.srtt_us));
    frame.render_widget(Paragraph::new(rtt_text), rtt_title);
    sparkline(frame, rtts.into_iter().collect(), look.colour(Color::Yellow), rtt);
}

/// The newest samples that fit.
fn sparkline(frame: &mut Frame<'_>, samples: Vec<u64>, style: Style, area: Rect) {
    let left_out = samples.len().saturating_sub(area.width.into());
    let newest: Vec<u64> = samples.into_iter().skip(left_out).collect();
    frame.render_widget(Sparkline::default().data(newest).style(style), area);
}

fn facts_of(row: &FlowRow) -> Vec<Line<'static>> {
    let (flow, record) = (&row.flow, &row.flow.record);
    let seconds = |micros: u64| std::time::Duration::from_micros(micros).as_secs_f64();
    // Whose it is is in the title.
    let labels: Vec<&str> = TcpLabel::defaults().map(|label| flow.label(label)).collect();
    vec![
        Line::from(format!(
            "{}  {}  cwnd {} ssthresh {} mss {}",
            labels.join(" "),
            flow.algorithm(),
            record.snd_cwnd,
            if record.ssthresh >= common::tcp::INFINITE_SSTHRESH {
                "-".to_owned()
            } else {
                record.ssthresh.to_string()
            },
            record.mss,
        )),
        Line::from(format!(
            "segments out {} in {}  retransmitted {} (timeout {} probe {} fast {})  dropped here {}  rto {}ms",
            record.segs_out,
            record.segs_in,
            record.segs_retrans,
            record.timeout_segs_retrans,
            record.probe_segs_retrans,
            record.fast_segs_retrans,
            record.locally_dropped,
            record.rto_ms,
        )),
        Line::from(format!(
            "busy {:.1}s: receive window {:.1}s, send buffer {:.1}s  now {}  unsent {}B  in flight {}",
            seconds(record.busy_us),
            seconds(record.receive_window_us),
            seconds(record.send_buffer_us),
            flow.limit(),
            record.not_sent,
            record.in_flight,
        )),
    ]
}

fn site_pane(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let sites = view.sites();
    let Some(site) = sites.get(view.selected) else { return };
    let block = Block::new()
        .borders(Borders::TOP)
        .title(format!("{} at {}", site.reason(), site.location()));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines = vec![Line::from(format!(
        "{} {} {} {}: {} packets, {} bytes since the start",
        site.source.as_str(),
        site.class(),
        site.direction(),
        site.protocol(),
        site.total.packets,
        site.total.bytes
    ))];
    if let Some(workloads) = &site.workloads {
        lines.push(Line::from(format!("workloads: {}", text::shares(workloads))));
    }
    lines.extend(
        site.subnets
            .iter()
            .map(|(subnet, packets)| Line::from(format!("{packets:>12} {subnet}"))),
    );
    frame.render_widget(Paragraph::new(lines), inner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::top::view::tests::view;
    use ratatui::{
        Terminal,
        backend::TestBackend,
        buffer::Buffer,
        crossterm::event::{KeyCode, KeyModifiers},
    };
    use tcpvitals_metrics::rows::{
        drops::table::SiteTable,
        samples::{FILTER, dropped, flow_of, in_pod, owned},
    };

    fn drawn(view: &View, width: u16, height: u16, has_colour: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view, Look { has_colour })).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(view: &View, width: u16, height: u16) -> Vec<String> {
        let buffer = drawn(view, width, height, true);
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    fn press(view: &mut View, code: KeyCode) {
        view.key(code, KeyModifiers::NONE);
    }

    #[test]
    fn flows_fit_into_80_columns() {
        let lines = lines(&view(), 80, 24);
        assert_eq!(lines[0], "tcpvitals  [Flows] Drops  3 of 3 flows  by rate");
        assert_eq!(
            lines[1],
            "FLOW                   SUBNET       PROTO    OUT/s  IN/s  RETR    RTT  CWND WAIT"
        );
        assert_eq!(
            lines[2],
            ":40000>192.0.2.9:443   office       https     4.0k     0    0%      -     0 idle"
        );
        assert_eq!(
            lines[3],
            ":40000>192.0.2.9:443   office       https       50     0   25%  1.5ms     0 idle"
        );
        assert!(lines[23].starts_with("q quit"), "{lines:#?}");
    }

    #[test]
    fn a_wide_screen_shows_both_ends() {
        let lines = lines(&view(), 120, 10);
        assert!(lines[2].starts_with("10.0.0.1:40000 > 192.0.2.9:443 "), "{lines:#?}");
    }

    #[test]
    fn a_wide_screen_and_the_pane_say_whose_a_flow_is() {
        let mut view = view();
        let owner = ["shop", "Deployment", "cart"];
        let flows = view.flows.iter().map(|row| FlowRow {
            flow: in_pod(flow_of(row.flow.clone(), owner), "cart-0"),
            rates: row.rates,
        });
        let flows: Vec<FlowRow> = flows.collect();
        let rows = [owned(dropped(1, &format!("{FILTER} office wired"), 3), "shop cart")];
        view.update(flows, SiteTable::new(&[], &rows, std::time::Duration::from_secs(1)));
        press(&mut view, KeyCode::Enter);
        let narrow = lines(&view, 80, 24);
        assert!(!narrow[1].contains(WORKLOAD), "{narrow:#?}");
        assert!(narrow.join("\n").contains("  Deployment shop/cart"), "{narrow:#?}");
        let wide = lines(&view, 120, 24);
        assert!(
            wide.join("\n")
                .contains("  Deployment shop/cart  pod cart-0  container 0123456789ab"),
            "{wide:#?}"
        );
        assert_eq!(
            wide[2],
            "10.0.0.1:40000 > 192.0.2.9:443             shop/cart           office       https     4.0k     0    0%      -     0 idle"
        );
        assert!(
            wide[1].starts_with("FLOW ") && wide[1].contains(" WORKLOAD "),
            "{wide:#?}"
        );
        press(&mut view, KeyCode::Tab);
        let narrow = lines(&view, 80, 24);
        assert!(narrow.join("\n").contains("workloads: shop/cart 100%"), "{narrow:#?}");
        let wide = lines(&view, 140, 24);
        assert!(
            wide[1].ends_with(" WORKLOADS") && wide[2].ends_with(" shop/cart 100%"),
            "{wide:#?}"
        );
    }

    #[test]
    fn drop_sites_fit_into_80_columns() {
        let mut view = view();
        press(&mut view, KeyCode::Tab);
        press(&mut view, KeyCode::Enter);
        let lines = lines(&view, 80, 24);
        assert_eq!(
            lines[0],
            "tcpvitals  Flows [Drops]  18.5 packets/s  147 since the start"
        );
        assert!(
            lines[1].contains("PKT/s") && lines[1].contains("LOCATION"),
            "{lines:#?}"
        );
        assert!(
            lines[2].contains("15.0") && lines[2].contains("NETFILTER_DROP") && lines[2].contains("lab"),
            "{lines:#?}"
        );
        assert!(lines.iter().any(|line| line.contains("20 lab")), "{lines:#?}");
    }

    #[test]
    fn the_pane_and_the_help_are_drawn_at_every_size() {
        let mut view = view();
        press(&mut view, KeyCode::Enter);
        let with_pane = lines(&view, 80, 24).join("\n");
        assert!(
            with_pane.contains("10.0.0.1:40000 > 192.0.2.9:443") && with_pane.contains("round-trip time"),
            "{with_pane}"
        );
        press(&mut view, KeyCode::Char('?'));
        assert!(lines(&view, 80, 24).join("\n").contains("q, Ctrl-C  quit"));
        for (width, height) in [(200, 60), (80, 24), (40, 12), (10, 3), (1, 1)] {
            assert_eq!(lines(&view, width, height).len(), usize::from(height));
        }
        press(&mut view, KeyCode::Char('x'));
        press(&mut view, KeyCode::Tab);
        for (width, height) in [(200, 60), (40, 12), (10, 3), (1, 1)] {
            assert_eq!(lines(&view, width, height).len(), usize::from(height));
        }
    }

    #[test]
    fn the_selected_row_is_always_drawn() {
        let mut view = view();
        press(&mut view, KeyCode::End);
        let lines = lines(&view, 80, 5);
        assert!(lines[2].contains("25%") && lines[3].contains(" 10 idle"), "{lines:#?}");
        assert_eq!(
            [0, 2, 3, 9].map(|selected| window(selected, Rect::new(0, 0, 80, 4))),
            [0, 0, 1, 7]
        );
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let is_coloured = |has_colour| {
            let buffer = drawn(&view(), 80, 24, has_colour);
            buffer
                .content()
                .iter()
                .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
        };
        assert!(is_coloured(true) && !is_coloured(false));
    }

    #[test]
    fn the_bottom_line_shows_the_filter() {
        let mut view = view();
        press(&mut view, KeyCode::Char('/'));
        press(&mut view, KeyCode::Char('x'));
        assert!(lines(&view, 80, 24)[23].starts_with("filter: x_"));
        press(&mut view, KeyCode::Enter);
        assert!(lines(&view, 80, 24)[23].starts_with("filter: x   Esc"));
    }
}
