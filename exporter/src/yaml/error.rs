//! What is wrong with a configuration: one sentence with the place, the fault and the remedy.
//! It must never hold a line break or another control character, whatever the file holds: it ends up in logs.
//! Made by `document`, `read` and the functions that judge values; shown by whoever asked for the configuration.

use std::fmt::{self, Display};

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

fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// A value that cannot be, and the path of its key, such as `subnets[1].cidrs[0]`; the line is found from the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(super) key: String,
    what: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
        }
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.what)
    }
}
