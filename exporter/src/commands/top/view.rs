//! What the screen shows, and what keys do to it. It knows no terminal: keys and readings come in, rows go out.

use super::rows::{self, FlowRow};
use crate::cli::FlowSort;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use std::collections::{HashMap, VecDeque};
use tcpvitals_metrics::rows::drops::table::{SiteRow, SiteTable};

/// Which rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Flows,
    Drops,
}

/// What the program is to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Draw and go on.
    Draw,
    Quit,
}

/// Samples that a sparkline has.
pub const SAMPLES: usize = 120;
/// Flows whose samples are kept: those at the top of the table.
const REMEMBERED: usize = 1000;

/// Samples of one flow, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Payload in both directions, in bytes per second.
    pub rate: VecDeque<u64>,
    /// Smoothed round-trip time, in microseconds.
    pub rtt: VecDeque<u64>,
}

/// Everything on the screen.
#[derive(Debug)]
pub struct View {
    /// Which rows are shown.
    pub tab: Tab,
    /// By what flows are sorted.
    pub sort: FlowSort,
    /// The other way round.
    pub reversed: bool,
    /// What rows have to match.
    pub filter: String,
    /// The filter is being typed.
    pub is_typing: bool,
    /// New readings are not shown.
    pub is_paused: bool,
    /// The pane of the selected row is open.
    pub has_detail: bool,
    /// The list of keys is shown.
    pub has_help: bool,
    /// The selected row, counted from 0.
    pub selected: usize,
    /// All flows of the last reading that match, in order.
    pub flows: Vec<FlowRow>,
    /// All flows of the last reading.
    all_flows: Vec<FlowRow>,
    /// Cookie of the selected flow: the cursor stays with it while rows move.
    selected_flow: Option<u64>,
    drops: SiteTable,
    histories: HashMap<u64, History>,
}

impl View {
    pub fn new(sort: FlowSort, filter: &str) -> Self {
        Self {
            tab: Tab::Flows,
            sort,
            reversed: false,
            filter: filter.to_owned(),
            is_typing: false,
            is_paused: false,
            has_detail: false,
            has_help: false,
            selected: 0,
            flows: Vec::new(),
            all_flows: Vec::new(),
            selected_flow: None,
            drops: SiteTable::default(),
            histories: HashMap::new(),
        }
    }

    /// Takes a reading over, unless it is paused.
    pub fn update(&mut self, flows: Vec<FlowRow>, drops: SiteTable) {
        if self.is_paused {
            return;
        }
        self.all_flows = flows;
        self.drops = drops;
        self.arrange();
        self.remember();
    }

    /// Drop sites that match.
    pub fn sites(&self) -> Vec<&SiteRow> {
        let sites = self.drops.sites.iter();
        sites.filter(|site| rows::site_matches(&self.filter, site)).collect()
    }

    /// Drops of all sites.
    pub const fn drops(&self) -> &SiteTable {
        &self.drops
    }

    /// Flows of the last reading, those that do not match included.
    pub fn known(&self) -> usize {
        self.all_flows.len()
    }

    /// The selected flow and its samples.
    pub fn selected_flow(&self) -> Option<(&FlowRow, History)> {
        let row = self.flows.get(self.selected)?;
        let history = self.histories.get(&row.flow.record.cookie).cloned().unwrap_or_default();
        Some((row, history))
    }

    /// What a key does.
    pub fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Next {
        if code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
            return Next::Quit;
        }
        if self.is_typing {
            self.type_filter(code);
        } else if self.has_help {
            self.has_help = false;
        } else if code == KeyCode::Char('q') {
            return Next::Quit;
        } else {
            self.command(code);
        }
        Next::Draw
    }

    fn type_filter(&mut self, code: KeyCode) {
        if let KeyCode::Char(character) = code {
            self.filter.push(character);
        } else if code == KeyCode::Backspace {
            self.filter.pop();
        } else if code == KeyCode::Enter {
            self.is_typing = false;
        } else if code == KeyCode::Esc {
            self.is_typing = false;
            self.filter.clear();
        }
        self.arrange();
    }

    fn command(&mut self, code: KeyCode) {
        const PAGE: isize = 10;
        #[expect(clippy::wildcard_enum_match_arm, reason = "keys are many, and most do nothing")]
        match code {
            KeyCode::Tab => {
                self.tab = if self.tab == Tab::Flows { Tab::Drops } else { Tab::Flows };
                self.select(0);
            }
            KeyCode::Char('s') => self.sort_by_the_next(1),
            KeyCode::Char('S') => self.sort_by_the_next(FlowSort::ALL.len() - 1),
            KeyCode::Char('r') => {
                self.reversed = !self.reversed;
                self.arrange();
            }
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => {
                self.filter.clear();
                self.has_detail = false;
                self.arrange();
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Enter => self.has_detail = !self.has_detail,
            KeyCode::Char('?' | 'h') => self.has_help = true,
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.select(0),
            KeyCode::End | KeyCode::Char('G') => self.select(usize::MAX),
            _ => {}
        }
    }

    fn sort_by_the_next(&mut self, steps: usize) {
        let now = FlowSort::ALL.iter().position(|key| *key == self.sort).unwrap_or(0);
        self.sort = FlowSort::ALL[(now + steps) % FlowSort::ALL.len()];
        self.arrange();
    }

    fn step(&mut self, steps: isize) {
        self.select(self.selected.saturating_add_signed(steps));
    }

    fn select(&mut self, row: usize) {
        let rows = match self.tab {
            Tab::Flows => self.flows.len(),
            Tab::Drops => self.sites().len(),
        };
        self.selected = row.min(rows.saturating_sub(1));
        self.selected_flow = self.flows.get(self.selected).map(|row| row.flow.record.cookie);
    }

    /// Filters and sorts anew; the cursor stays on its flow, if that is still there.
    fn arrange(&mut self) {
        let chosen = self
            .all_flows
            .iter()
            .filter(|row| rows::flow_matches(&self.filter, row));
        self.flows = chosen.cloned().collect();
        rows::sort(&mut self.flows, self.sort, self.reversed);
        let is_selected = |row: &FlowRow| Some(row.flow.record.cookie) == self.selected_flow;
        let stays = (self.tab == Tab::Flows && self.selected != 0).then(|| self.flows.iter().position(is_selected));
        self.select(stays.flatten().unwrap_or(self.selected));
    }

    fn remember(&mut self) {
        let mut before = std::mem::take(&mut self.histories);
        for row in self.flows.iter().take(REMEMBERED) {
            let cookie = row.flow.record.cookie;
            let mut history = before.remove(&cookie).unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is positive, and a pixel is coarse"
            )]
            push(&mut history.rate, row.throughput() as u64);
            push(&mut history.rtt, row.flow.record.srtt_us.into());
            self.histories.insert(cookie, history);
        }
    }
}

fn push(samples: &mut VecDeque<u64>, sample: u64) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::commands::top::rows::tests::three;
    use tcpvitals_metrics::rows::samples::table;

    /// Three flows and two drop sites.
    pub(crate) fn view() -> View {
        let mut view = View::new(FlowSort::Rate, "");
        view.update(three(), table());
        view
    }

    fn press(view: &mut View, keys: &str) -> Next {
        let mut next = Next::Draw;
        for character in keys.chars() {
            let code = match character {
                '\t' => KeyCode::Tab,
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                other => KeyCode::Char(other),
            };
            next = view.key(code, KeyModifiers::NONE);
        }
        next
    }

    fn cookies(view: &View) -> Vec<u64> {
        view.flows.iter().map(|row| row.flow.record.cookie).collect()
    }

    #[test]
    fn keys_sort_filter_and_reverse() {
        let mut view = view();
        assert_eq!(cookies(&view), [1, 2, 3]);
        press(&mut view, "sss");
        assert_eq!((view.sort, cookies(&view)), (FlowSort::Retransmits, vec![2, 1, 3]));
        press(&mut view, "Sr");
        assert_eq!((view.sort, view.reversed), (FlowSort::In, true));
        press(&mut view, "/nothing\n");
        assert_eq!((view.flows.len(), view.known()), (0, 3));
        press(&mut view, "/\u{8}\u{8}");
        assert_eq!(view.filter, "nothi");
        press(&mut view, "\u{1b}");
        assert_eq!((view.flows.len(), view.is_typing), (3, false));
    }

    #[test]
    fn the_cursor_stays_on_its_flow() {
        let mut view = view();
        press(&mut view, "j");
        assert_eq!(view.selected_flow().unwrap().0.flow.record.cookie, 2);
        press(&mut view, "r");
        assert_eq!((cookies(&view), view.selected), (vec![3, 2, 1], 1));
        press(&mut view, "jsss");
        assert_eq!(view.selected_flow().unwrap().0.flow.record.cookie, 1);
        press(&mut view, "jjjj");
        assert_eq!(view.selected, 2);
        view.update(Vec::new(), SiteTable::default());
        assert!(view.selected_flow().is_none());
    }

    #[test]
    fn a_paused_view_shows_what_it_showed() {
        let mut view = view();
        press(&mut view, "p");
        view.update(Vec::new(), SiteTable::default());
        assert_eq!(view.flows.len(), 3);
        press(&mut view, " ");
        view.update(Vec::new(), SiteTable::default());
        assert_eq!(view.flows.len(), 0);
    }

    #[test]
    fn tab_changes_and_the_filter_is_for_both() {
        let mut view = view();
        press(&mut view, "\t/netfilter\n");
        assert_eq!((view.tab, view.sites().len()), (Tab::Drops, 1));
        press(&mut view, "\t\n?");
        assert!(view.has_detail && view.has_help && view.tab == Tab::Flows);
    }

    #[test]
    fn q_and_control_c_end_it_but_a_typed_q_does_not() {
        let mut view = view();
        assert_eq!(press(&mut view, "/q"), Next::Draw);
        assert_eq!(view.key(KeyCode::Char('c'), KeyModifiers::CONTROL), Next::Quit);
        assert_eq!(press(&mut view, "\nq"), Next::Quit);
    }

    #[test]
    fn samples_are_kept_while_the_flow_is_there() {
        let mut view = view();
        for _ in 0..SAMPLES {
            view.update(three(), table());
        }
        let (_, history) = view.selected_flow().unwrap();
        assert_eq!((history.rate.len(), history.rate[0]), (SAMPLES, 4000));
        view.update(Vec::new(), SiteTable::default());
        assert!(view.histories.is_empty());
    }
}
