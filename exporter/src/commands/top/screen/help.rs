//! Draws the list of keys, or a text that a key asked for, over whatever is shown.

use super::Look;
use crate::commands::top::view::{Notice, Tab};
use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Block, Clear, Paragraph, Wrap},
};

const KEYS: [&str; 13] = [
    "1 to 5, Tab  findings, subnets, workloads, flows, drops",
    "Up, Down     select; j, k, PgUp, PgDn, Home, End",
    "Enter        down: a finding, its subnet, its flows;",
    "             more about a flow or a drop site",
    "Esc          up again; first it clears the filter",
    "< >, s, S    sort by another column",
    "r            reverse the order",
    "/            filter: words of anything in a row",
    "c, y         the row's capture command, its PromQL; copied",
    "             where the terminal lets programs copy",
    "Space, p     pause",
    "q, Ctrl-C    quit",
    "",
];

/// What columns mean.
const fn columns(tab: Tab) -> &'static [&'static str] {
    match tab {
        Tab::Findings => &[
            "WHOSE  OURS this host, NETWORK beyond it, PEER the other",
            "       end, SILENT no answer, HERE this host, for many",
            "SEV    how many times its floors",
        ],
        Tab::Subnets | Tab::Workloads => &[
            "RETR   segments retransmitted, of those sent",
            "OURS   of the retransmitted, those dropped here before",
            "HERE   segments dropped here, of those to be sent",
            "FAIL   opens that failed, of those tried",
            "WAIT   busy time that waits for the peer's window",
            "2 MIN  the sorted number, or OUT/s, for two minutes",
            "FLOOR  smallest round-trip time of a live connection",
        ],
        Tab::Flows => &[
            "RATE   payload out and in, bytes a second",
            "OURS   of the retransmitted, those dropped here before",
            "HERE   segments dropped here, of those to be sent",
            "WAIT   the sender waits for the network, for the peer's",
            "       window, or for its own buffer; SYN x3: an open",
            "CAUSE  why most segments were retransmitted",
            "<>     both ends are here: the worse number of both",
        ],
        Tab::Drops => &[
            "CLASS  capacity: full; error: wrong; policy: meant so;",
            "       benign: normal operation, always last",
            "DIR    out of this host, or in",
        ],
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, tab: Tab, look: Look) {
    let lines: Vec<Line<'_>> = KEYS.iter().chain(columns(tab)).map(|line| Line::from(*line)).collect();
    let block = Block::bordered().title("Keys; any key closes this").style(look.head());
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    over(frame, Paragraph::new(lines).block(block), [62, height]);
}

pub(super) fn notice(frame: &mut Frame<'_>, Notice { title, text }: &Notice, look: Look) {
    let width = frame.area().width.min(100);
    let inside = usize::from(width.saturating_sub(2).max(1));
    let lines = u16::try_from(text.chars().count().div_ceil(inside)).unwrap_or(u16::MAX);
    // Words are not cut, so that a line more may be needed.
    let height = lines.saturating_add(3);
    let block = Block::bordered()
        .title(format!("{title}; any key closes this"))
        .style(look.head());
    let text = Paragraph::new(text.as_str()).wrap(Wrap { trim: true }).block(block);
    over(frame, text, [width, height]);
}

fn over(frame: &mut Frame<'_>, text: Paragraph<'_>, [width, height]: [u16; 2]) {
    let area = frame.area();
    let (width, height) = (area.width.min(width), area.height.min(height));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    frame.render_widget(text, place);
}
