//! The colours of classes of drops and of severities: one table for the page, the terminal and the dashboards.
//!
//! Class and severity are different scales with different hues. No colour stands alone: a class has its word beside it, a severity its sign.

use tcpvitals_config::Class;

/// A colour for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Light and dark, with a contrast of 4.5 at least on the grounds of the page.
    pub on: Ground,
    /// Number in xterm's palette of 256. A program cannot tell whether a terminal is light or dark, so the contrast is 3 at least on
    /// white and on black, which WCAG asks of bold text.
    pub terminal: u8,
}

/// A colour of the light and of the dark theme, each `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    pub light: &'static str,
    pub dark: &'static str,
}

const fn ground(light: &'static str, dark: &'static str) -> Ground {
    Ground { light, dark }
}

const fn colour(light: &'static str, dark: &'static str, terminal: u8) -> Colour {
    Colour {
        on: ground(light, dark),
        terminal,
    }
}

/// The backgrounds of the page, and of a box on it.
pub const GROUNDS: [Ground; 2] = [ground("#f6f8fa", "#11161d"), ground("#ffffff", "#1a212b")];

/// The colour of a class of drops.
pub const fn of_class(class: Class) -> Colour {
    match class {
        Class::Capacity => colour("#a85400", "#ffae57", 166),
        Class::Error => colour("#b3230f", "#ff8a73", 196),
        Class::Policy => colour("#2459b3", "#8fb4ff", 33),
        Class::Benign => colour("#5b6675", "#a5b1c0", 244),
    }
}

/// How bad a share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Next to nothing.
    Quiet,
    /// As it may be.
    Usual,
    /// Worth a look.
    Warning,
    /// Bad.
    Bad,
}

impl Severity {
    /// All, the worst last.
    pub const ALL: [Self; 4] = [Self::Quiet, Self::Usual, Self::Warning, Self::Bad];

    /// Of a share of segments or of opens, 0 to 1.
    pub fn of_share(share: f64) -> Self {
        Self::above(share, SHARES)
    }

    /// Of the share of time that senders wait for their peer, 0 to 1: peers that read a little slowly are usual.
    pub fn of_wait(share: f64) -> Self {
        Self::above(share, WAITS)
    }

    /// Of what a finding is about: a warning at least.
    pub fn of_finding(share: f64) -> Self {
        Self::of_share(share).max(Self::Warning)
    }

    /// By the shares from which on something is usual, a warning, bad.
    pub(crate) fn above(share: f64, [usual, warning, bad]: [f64; 3]) -> Self {
        match share {
            share if share >= bad => Self::Bad,
            share if share >= warning => Self::Warning,
            share if share >= usual => Self::Usual,
            _ => Self::Quiet,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Usual => "usual",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// What stands beside the number, for who sees no colours.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Quiet | Self::Usual => "",
            Self::Warning => "▲",
            Self::Bad => "!!",
        }
    }

    /// Its colour; that of other text where it has none.
    pub const fn colour(self) -> Option<Colour> {
        match self {
            Self::Quiet => Some(colour("#5b6675", "#a5b1c0", 244)),
            Self::Usual => None,
            Self::Warning => Some(colour("#7a5c00", "#f0d050", 136)),
            Self::Bad => Some(colour("#b80040", "#ff7fa5", 198)),
        }
    }
}

/// From which shares of segments and opens on something is usual, a warning, bad.
pub const SHARES: [f64; 3] = [0.001, 0.01, 0.1];

/// The same for shares of time that senders wait for their peer.
pub const WAITS: [f64; 3] = [0.01, 0.2, 0.5];

/// Fewest events for which a share is worth a colour: one of two is no half.
pub const FEWEST_EVENTS: f64 = 5.0;

/// The same for time, in seconds.
pub const LEAST_TIME: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of WCAG 2.
    fn luminance(hex: &str) -> f64 {
        let channel = |place: usize| {
            let value = f64::from(u8::from_str_radix(&hex[place..place + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let [one, other] = [one, other].map(|hex| luminance(hex) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_colour_is_readable_on_every_ground() {
        let classes = Class::ALL.into_iter().map(of_class);
        for Colour { on, terminal } in classes.chain(Severity::ALL.into_iter().filter_map(Severity::colour)) {
            for ground in GROUNDS {
                assert!(contrast(on.light, ground.light) >= 4.5, "{on:?} on {ground:?}");
                assert!(contrast(on.dark, ground.dark) >= 4.5, "{on:?} on {ground:?}");
            }
            for ground in ["#ffffff", "#000000"] {
                let of_terminal = xterm(terminal);
                assert!(contrast(&of_terminal, ground) >= 3.0, "{of_terminal} on {ground}");
            }
        }
    }

    /// A colour of xterm's cube of 216 or of its 24 greys; terminals show the first 16 as their users like.
    fn xterm(number: u8) -> String {
        const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let [red, green, blue] = match number.checked_sub(232) {
            Some(grey) => [8 + 10 * grey; 3],
            None => [36, 6, 1].map(|place| STEPS[usize::from((number - 16) / place % 6)]),
        };
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    #[test]
    fn no_two_meanings_share_a_colour_but_those_of_what_does_not_matter() {
        let classes = Class::ALL.into_iter().map(of_class);
        let mut all: Vec<String> = classes
            .chain(Severity::ALL.into_iter().filter_map(Severity::colour))
            .flat_map(|Colour { on, terminal }| [on.light.to_owned(), on.dark.to_owned(), terminal.to_string()])
            .collect();
        let number = all.len();
        all.sort_unstable();
        all.dedup();
        // Benign and quiet are the same grey.
        assert_eq!(all.len(), number - 3);
    }

    #[test]
    fn severities_begin_at_their_shares_and_have_a_sign_with_each_loud_colour() {
        let of = |share| Severity::of_share(share).as_str();
        assert_eq!(
            [0.0, 0.000_9, 0.001, 0.01, 0.099, 0.1, 1.0].map(of),
            ["quiet", "quiet", "usual", "warning", "warning", "bad", "bad"]
        );
        assert_eq!(
            [0.1, 0.2, 0.5].map(Severity::of_wait),
            [Severity::Usual, Severity::Warning, Severity::Bad]
        );
        assert_eq!(Severity::ALL.map(Severity::sign), ["", "", "▲", "!!"]);
    }
}
