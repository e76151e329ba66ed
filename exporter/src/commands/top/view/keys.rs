//! What keys do.

use super::{Next, Notice, Place, Scope, Tab, View, recipes};
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use tcpvitals_metrics::rows::drops::table::SiteRow;

impl View {
    /// What a key does.
    pub fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Next {
        if code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL) {
            return Next::Quit;
        }
        if self.is_typing {
            self.type_filter(code);
        } else if self.has_help || self.notice.is_some() {
            self.has_help = false;
            self.notice = None;
        } else if code == KeyCode::Char('q') {
            return Next::Quit;
        } else {
            return self.command(code);
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

    fn command(&mut self, code: KeyCode) -> Next {
        const PAGE: isize = 10;
        #[expect(clippy::wildcard_enum_match_arm, reason = "keys are many, and most do nothing")]
        match code {
            KeyCode::Char(digit @ '1'..='5') => {
                let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                let tab = place.and_then(|place| Tab::ALL.get(place - 1));
                self.turn_to(tab.copied().unwrap_or(self.place.tab));
            }
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(Tab::ALL.len() - 1),
            KeyCode::Char('s' | '>') | KeyCode::Right => self.sort_by_next(1),
            KeyCode::Char('S' | '<') | KeyCode::Left => self.sort_by_next(-1),
            KeyCode::Char('r') => {
                self.tables.of_mut(self.place.tab).reverse();
                self.arrange();
            }
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.go_up(),
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Enter => self.go_down(),
            KeyCode::Char('?' | 'h') => self.has_help = true,
            KeyCode::Char('c') => return self.show("Capture what is dropped", recipes::capture(self)),
            KeyCode::Char('y') => return self.show("PromQL", recipes::promql(self)),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.tables.of_mut(self.place.tab).select(0),
            KeyCode::End | KeyCode::Char('G') => self.tables.of_mut(self.place.tab).select(usize::MAX),
            _ => {}
        }
        Next::Draw
    }

    fn step(&mut self, steps: isize) {
        self.tables.of_mut(self.place.tab).step(steps);
    }

    fn sort_by_next(&mut self, steps: isize) {
        self.tables.of_mut(self.place.tab).sort_by_next(steps);
        self.arrange();
    }

    fn turn(&mut self, steps: usize) {
        let now = Tab::ALL.iter().position(|tab| *tab == self.place.tab).unwrap_or(0);
        self.turn_to(Tab::ALL[(now + steps) % Tab::ALL.len()]);
    }

    fn turn_to(&mut self, tab: Tab) {
        self.trail.clear();
        self.go(Place { tab, scope: None });
    }

    fn go(&mut self, place: Place) {
        self.has_detail = false;
        self.place = place;
        self.arrange();
    }

    /// One level down: from a finding to its subnet or its drop site, from a subnet or a workload to its flows; a flow and a drop site
    /// tell more of themselves.
    fn go_down(&mut self) {
        let tables = &self.tables;
        let of = |tab, scope| Some(Place { tab, scope });
        let (below, subnet, site) = match self.place.tab {
            Tab::Findings => {
                let Some(row) = tables.findings.row() else { return };
                let subnet = row.0.subnet.clone();
                let site = row.0.sites.first().cloned();
                if subnet.is_empty() {
                    (site.as_ref().and_then(|_| of(Tab::Drops, None)), None, site)
                } else {
                    (of(Tab::Subnets, None), Some(subnet), None)
                }
            }
            Tab::Subnets => {
                let scope = tables.subnets.row().map(|row| Scope::Subnet(row.traffic.name.clone()));
                (scope.and_then(|scope| of(Tab::Flows, Some(scope))), None, None)
            }
            Tab::Workloads => {
                let scope = tables
                    .workloads
                    .row()
                    .map(|row| Scope::Workload(row.traffic.name.clone()));
                (scope.and_then(|scope| of(Tab::Flows, Some(scope))), None, None)
            }
            Tab::Flows | Tab::Drops => {
                self.has_detail = !self.has_detail;
                return;
            }
        };
        let Some(below) = below else { return };
        self.trail.push(self.place.clone());
        // What was looked for among the rows above is not what rows below have to match.
        self.filter.clear();
        self.go(below);
        match (subnet, site) {
            (Some(subnet), _) => self.tables.subnets.select_first(|row| row.traffic.name == subnet),
            (None, Some(site)) => {
                let is_it = |row: &SiteRow| (row.reason(), row.location()) == (&site.reason, &site.location);
                self.tables.drops.select_first(is_it);
            }
            (None, None) => self.tables.of_mut(self.place.tab).select(0),
        }
    }

    /// One level up: first without the filter, then without the large pane, then back to where Enter led down.
    fn go_up(&mut self) {
        if !self.filter.is_empty() {
            self.filter.clear();
            self.arrange();
        } else if self.has_detail {
            self.has_detail = false;
        } else if let Some(above) = self.trail.pop() {
            self.go(above);
        }
    }

    fn show(&mut self, title: &'static str, text: Option<String>) -> Next {
        let Some(text) = text else { return Next::Draw };
        self.notice = Some(Notice {
            title,
            text: text.clone(),
        });
        Next::Copy(text)
    }
}
