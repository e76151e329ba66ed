//! What is wrong with a configuration: one sentence with the place, the fault and the remedy.
//! It must never hold a line break or another control character, whatever the file holds: it ends up in logs.
//! Made by `document`, `read` and the functions that judge values; shown by whoever asked for the configuration.

use common::text::is_unprintable;
use std::{
    fmt::{self, Display},
    path::Path,
};

/// Why there is no configuration; its `Display` is all there is to say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// `FILE` or `FILE:LINE`.
    place: String,
    what: String,
}

impl ConfigError {
    /// What is wrong with a setting, wherever it was made; `setting` is its key, or the variable's name.
    pub fn of_setting(setting: &str, what: impl Display) -> Self {
        Self::new(setting, None, what)
    }

    /// What is wrong with a file that the configuration names, in a line if that is known.
    pub(crate) fn at(file: &Path, line: Option<usize>, what: impl Display) -> Self {
        Self::new(&file.display().to_string(), line, what)
    }

    pub(super) fn new(file: &str, line: Option<usize>, what: impl Display) -> Self {
        let place = match line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_owned(),
        };
        Self {
            place: printable(&place),
            what: printable(&what.to_string()),
        }
    }
}

/// Most characters of a value that a message quotes.
const MOST_OF_A_VALUE: usize = 100;
/// Most characters of a message.
const MOST: usize = 1000;

/// Values stand in quotes, in which quotes have a backslash.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MOST));
    let mut quoted: Option<usize> = None;
    let mut characters = text.chars();
    let mut left = MOST;
    while let Some(char) = characters.next() {
        let Some(rest) = left.checked_sub(1) else {
            out.push('…');
            break;
        };
        let is_shown = quoted.is_none_or(|length| length < MOST_OF_A_VALUE);
        if char == '"' {
            if quoted.is_some_and(|length| length > MOST_OF_A_VALUE) {
                out.push('…');
            }
            quoted = quoted.is_none().then_some(0);
            out.push(char);
            continue;
        }
        let escaped = (char == '\\' && quoted.is_some()).then(|| characters.next()).flatten();
        quoted = quoted.map(|length| length + 1);
        if !is_shown {
            continue;
        }
        left = rest;
        if is_unprintable(char) {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
        out.extend(escaped);
    }
    out
}

/// A value that cannot be, and the path of its key, such as `subnets[1].cidrs[0]`; the line is found from the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) key: String,
    what: String,
}

impl Problem {
    /// What is wrong with the value of a key.
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
        }
    }
}

impl Problem {
    /// What is wrong, without the key.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line_whatever_the_value_is() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected);
        check("a \"b\" c", "a \"b\" c");
        check("\u{1b}[31m\n", "\\u{1b}[31m\\n");
        check("\u{202e}", "\\u{202e}");
        let long = format!("{:?} is wrong; write another", "x".repeat(1 << 20));
        check(&long, &format!("\"{}…\" is wrong; write another", "x".repeat(100)));
        let quotes = format!("{:?} is wrong", "\"".repeat(1000));
        check(&quotes, &format!("\"{}…\" is wrong", "\\\"".repeat(100)));
        assert!(printable(&"key.".repeat(1000)).chars().count() <= MOST + 1);
    }
}
