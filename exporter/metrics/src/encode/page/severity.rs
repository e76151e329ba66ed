//! How bad a row is: the four shares of a row of connections, and the order that follows. The script reckons the same (`page.js`).

use super::model::{Connections, Drops, Of, Site};
use crate::{
    colours::{FEWEST_EVENTS, LEAST_TIME, SHARES, Severity, WAITS},
    families::number,
};
use serde_json::json;

/// A share that the table of connections shows.
pub(super) struct Column {
    /// Its word in the script.
    pub(super) word: &'static str,
    pub(super) title: &'static str,
    /// The same where there is little room.
    pub(super) short: &'static str,
    pub(super) of: fn(&Connections) -> Option<Of>,
    /// Least part for which a share is worth a colour.
    least: f64,
    /// From where on it is usual, a warning, bad.
    steps: [f64; 3],
}

/// The columns, in their order.
pub(super) const COLUMNS: [Column; 4] = [
    of_events("retransmitted", ["Retransmitted", "Retr."], Connections::retransmitted),
    of_events("dropped", ["Dropped here", "Dropped"], Connections::dropped_here),
    of_events("failed", ["Opens failed", "Failed"], Connections::opens_failed),
    Column {
        word: "waits",
        title: "Waits for peer",
        short: "Waits",
        of: Connections::waits,
        least: LEAST_TIME,
        steps: WAITS,
    },
];

const fn of_events(
    word: &'static str,
    [title, short]: [&'static str; 2],
    of: fn(&Connections) -> Option<Of>,
) -> Column {
    Column {
        word,
        title,
        short,
        of,
        least: FEWEST_EVENTS,
        steps: SHARES,
    }
}

impl Column {
    /// How bad it is in a row; none without a share.
    pub(super) fn severity(&self, row: &Connections) -> Option<Severity> {
        let of = (self.of)(row)?;
        let severity = Severity::above(of.share()?, self.steps);
        Some(if of.part < self.least {
            severity.min(Severity::Usual)
        } else {
            severity
        })
    }

    /// The share, where 1 is bad.
    fn score(&self, row: &Connections) -> f64 {
        let of = (self.of)(row).filter(|of| of.part >= self.least);
        let [.., bad] = self.steps;
        of.and_then(Of::share).map_or(0.0, |share| share / bad)
    }
}

/// What the script has to know of it.
pub(super) fn scales() -> String {
    let scale =
        |Column { word, least, steps, .. }: &Column| ((*word).to_owned(), json!({"least": least, "steps": steps}));
    let columns: serde_json::Map<String, serde_json::Value> = COLUMNS.iter().map(scale).collect();
    let words = Severity::ALL.map(Severity::as_str);
    json!({"words": words, "columns": columns}).to_string()
}

/// A place in the order of rows: the larger the worse, 0 for what is quiet. Its steps are octaves, so that rows do not move for nothing.
pub(super) fn rank(row: &Connections, is_found: bool) -> f64 {
    /// More than any share comes to.
    const FOUND: f64 = 100.0;
    if is_found {
        return FOUND + octaves(row);
    }
    if row.is_quiet() { 0.0 } else { octaves(row) }
}

fn octaves(row: &Connections) -> f64 {
    /// A hundredth of what is bad.
    const LEAST: f64 = 0.01;
    let score = COLUMNS.iter().map(|column| column.score(row)).fold(0.0, f64::max);
    if score < LEAST {
        1.0
    } else {
        2.0 + (score / LEAST).log2().floor()
    }
}

/// The same of a drop site, by its packets per second.
pub(super) fn rank_of_site(site: &Site, row: &Drops, seconds: f64) -> f64 {
    /// Packets per second, below which all are the same.
    const LEAST: f64 = 0.01;
    if site.class == super::model::BENIGN || row.packets == 0 {
        return 0.0;
    }
    let rate = number(row.packets) / seconds.max(1.0);
    1.0 + (rate / LEAST).max(1.0).log2().floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sent: u64, again: u64) -> Connections {
        Connections {
            sent: Some(sent),
            again: Some(again),
            ..Connections::default()
        }
    }

    #[test]
    fn a_share_of_few_events_has_no_colour_and_no_place() {
        let [retransmitted, ..] = COLUMNS;
        assert_eq!(retransmitted.severity(&row(400, 4)), Some(Severity::Usual));
        assert_eq!(retransmitted.severity(&row(400, 5)), Some(Severity::Warning));
        assert_eq!(retransmitted.severity(&row(0, 0)), None);
        assert_eq!([row(0, 0), row(9, 4)].map(|row| rank(&row, false)), [0.0, 1.0]);
        assert!(rank(&row(0, 0), true) > rank(&row(9, 9), false));
    }

    #[test]
    fn ranks_have_steps_of_octaves() {
        let of = |again| rank(&row(1000, again), false);
        // 1.6 % to below 3.2 % is one step.
        assert_eq!(of(17), of(31));
        assert!(of(15) < of(17) && of(400) > of(100));
    }
}
