//! Colours. What asks for attention is also bold or underlined: not everybody sees colours.

use crate::commands::top::table::Tone;
use ratatui::style::{Color, Modifier, Style};

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
        match tone {
            Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
            Tone::Plain => Style::new(),
            Tone::Notice => self.colour(Color::Yellow).add_modifier(Modifier::UNDERLINED),
            Tone::Alarm => self.colour(Color::Red).add_modifier(Modifier::BOLD),
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
