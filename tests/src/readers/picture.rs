//! A picture of a terminal: an SVG of what `tmux capture-pane -e -p` gives.
//!
//! It knows the codes that tmux writes (ECMA-48, Select Graphic Rendition): bold, dim, underlined, reversed, and the 256 colours of xterm.

use std::fmt::Write as _;

use anyhow::Result;

/// Pixels of a character.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
/// Pixels around the text.
const MARGIN: f64 = 12.0;
/// Letters and ground without a colour of their own.
const PLAIN: &str = "#d8dee9";
const GROUND: &str = "#1e222a";
/// Black, red, green, yellow, blue, magenta, cyan, white.
const COLOURS: [&str; 8] = [
    "#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", PLAIN,
];

/// How characters look from here on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Style {
    colour: Option<usize>,
    is_bold: bool,
    is_dim: bool,
    is_underlined: bool,
    is_reversed: bool,
}

impl Style {
    /// One sequence of codes, which are separated by semicolons; none is 0.
    fn apply_all(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|code| code.parse().unwrap_or(0));
        while let Some(code) = codes.next() {
            // 38;5;n is one of 256 colours of letters, the first 16 of which are those of 30 and 90.
            if code == 38 {
                self.colour = codes.nth(1);
            } else {
                self.apply(code);
            }
        }
    }

    fn apply(&mut self, code: usize) {
        match code {
            0 => *self = Self::default(),
            1 => self.is_bold = true,
            2 => self.is_dim = true,
            4 => self.is_underlined = true,
            24 => self.is_underlined = false,
            7 => self.is_reversed = true,
            27 => self.is_reversed = false,
            30..=37 => self.colour = Some(code - 30),
            90..=97 => self.colour = Some(code - 90),
            39 => self.colour = None,
            _ => {}
        }
    }

    fn own(self) -> String {
        self.colour.map_or_else(|| PLAIN.to_owned(), hex)
    }

    fn letters(self) -> String {
        if self.is_reversed {
            GROUND.to_owned()
        } else {
            self.own()
        }
    }
}

/// One of xterm's 256 colours: 16 of the terminal's own, a cube of 216, and 24 greys.
fn hex(colour: usize) -> String {
    const STEPS: [usize; 6] = [0, 95, 135, 175, 215, 255];
    let [red, green, blue] = match colour {
        ..16 => return COLOURS[colour % COLOURS.len()].to_owned(),
        16..232 => [36, 6, 1].map(|place| STEPS[(colour - 16) / place % STEPS.len()]),
        _ => [8 + 10 * (colour - 232); 3],
    };
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A line as runs of one style each, with the column where each begins.
fn runs(line: &str, style: &mut Style) -> Vec<(usize, Style, String)> {
    let mut runs: Vec<(usize, Style, String)> = Vec::new();
    let mut column = 0;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            let codes: String = characters.by_ref().skip(1).take_while(|end| *end != 'm').collect();
            style.apply_all(&codes);
            continue;
        }
        match runs.last_mut() {
            Some((_, of_run, text)) if of_run == style => text.push(character),
            _ => runs.push((column, *style, character.to_string())),
        }
        column += 1;
    }
    runs
}

/// The words of a run, each with its column within it: a column stays one whatever the font.
fn words(run: &str) -> Vec<(usize, String)> {
    let mut words: Vec<(usize, String)> = Vec::new();
    let mut is_within = false;
    for (column, character) in run.chars().enumerate() {
        match (character, words.last_mut()) {
            (' ', _) => is_within = false,
            (character, Some((_, word))) if is_within => word.push(character),
            (character, _) => {
                words.push((column, character.to_string()));
                is_within = true;
            }
        }
    }
    words
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Draws a screen with its codes of colours and attributes.
pub fn svg(screen: &str) -> Result<String> {
    let mut style = Style::default();
    let lines: Vec<_> = screen.lines().map(|line| runs(line, &mut style)).collect();
    let end = |(column, _, text): &(usize, Style, String)| column + text.chars().count();
    let columns = lines.iter().flatten().map(end).max().unwrap_or(0);
    let (width, height) = (
        columns as f64 * WIDTH + 2.0 * MARGIN,
        lines.len() as f64 * HEIGHT + 2.0 * MARGIN,
    );
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" font-size=\"14\">"
    )?;
    for (row, runs) in lines.iter().enumerate() {
        let top = MARGIN + row as f64 * HEIGHT;
        for (column, style, text) in runs {
            let (left, length) = (MARGIN + *column as f64 * WIDTH, text.chars().count() as f64 * WIDTH);
            if style.is_reversed {
                writeln!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{HEIGHT}\" fill=\"{}\"/>",
                    style.own()
                )?;
            }
            let bold = if style.is_bold { " font-weight=\"bold\"" } else { "" };
            let dim = if style.is_dim { " opacity=\"0.6\"" } else { "" };
            let line = if style.is_underlined {
                " text-decoration=\"underline\""
            } else {
                ""
            };
            for (offset, word) in words(text) {
                writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" fill=\"{}\"{bold}{dim}{line}>{}</text>",
                    left + offset as f64 * WIDTH,
                    top + HEIGHT * 0.75,
                    word.chars().count() as f64 * WIDTH,
                    style.letters(),
                    escaped(&word)
                )?;
            }
        }
    }
    svg.push_str("</g>\n</svg>\n");
    Ok(svg)
}
