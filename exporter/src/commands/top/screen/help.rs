//! Draws the list of keys over whatever is shown.

use super::Look;
use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Block, Clear, Paragraph},
};

pub(super) fn draw(frame: &mut Frame<'_>, look: Look) {
    const KEYS: [&str; 11] = [
        "Tab        flows, drop sites",
        "Up, Down   select; PgUp, PgDn, Home, End",
        "Enter      pane of the selected row",
        "s, S       sort by the next, the previous key",
        "r          reverse the order",
        "/          filter: words of addresses, names, limits",
        "Esc        no filter, no pane",
        "p, Space   pause",
        "WAIT       net: the network; rwnd: the peer's window;",
        "           sbuf: this end's buffer; idle: nothing to send",
        "q, Ctrl-C  quit",
    ];
    let area = frame.area();
    let (width, height) = (area.width.min(60), area.height.min(13));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    let block = Block::bordered().title("Keys; any key closes this").style(look.title());
    frame.render_widget(Paragraph::new(KEYS.map(Line::from).to_vec()).block(block), place);
}
