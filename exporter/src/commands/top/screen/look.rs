//! Colours: those of the page (`tcpvitals_metrics::colours`). What is bad is also bold, and a warning underlined: not everybody sees
//! colours. The class of a drop has its word.

use crate::commands::top::table::Tone;
use ratatui::style::{Color, Modifier, Style};
use tcpvitals_config::Class;
use tcpvitals_metrics::colours::{Colour, Severity, of_class};

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

    pub(super) fn tone(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Severity(severity) => (severity.colour(), self.modifier(severity)),
            Tone::Class(Class::Benign) => (Some(of_class(Class::Benign)), self.modifier(Severity::Quiet)),
            Tone::Class(class) => (Some(of_class(class)), Modifier::empty()),
        };
        let style = colour.map_or_else(Style::new, |Colour { terminal, .. }| {
            self.colour(Color::Indexed(terminal))
        });
        style.add_modifier(modifier)
    }

    fn modifier(self, severity: Severity) -> Modifier {
        match severity {
            Severity::Bad => Modifier::BOLD,
            Severity::Warning => Modifier::UNDERLINED,
            // Its grey says that already.
            Severity::Quiet if !self.has_colour => Modifier::DIM,
            Severity::Quiet | Severity::Usual => Modifier::empty(),
        }
    }

    pub(super) fn head(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn titles(self) -> Style {
        self.colour(Color::Green).add_modifier(Modifier::BOLD)
    }

    pub(super) fn bars(self) -> Style {
        self.colour(Color::Green)
    }

    /// The view that is shown, among the others.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
