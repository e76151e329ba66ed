//! Words of the file: label values that the operator makes up.
//! It must never accept a name that the exporter uses itself.
//! From the `parse` functions and back to them.

use crate::file::Problem;
use common::text::is_unprintable;

/// What the exporter calls everything that fits nowhere else.
pub const OTHER: &str = "other";

/// First parts of paths that the server keeps for itself: those alone, and those with more behind them.
pub(crate) const TAKEN: &[&str] = &["metrics", "healthz", "readyz", "docs"];
pub(crate) const TAKEN_BEGINNINGS: &[&str] = &["api", "docs", "-"];

/// All classic buckets of a histogram.
pub(crate) const ALL: &str = "all";

/// Most bytes of a name: series, traces and dashboards repeat it.
pub(crate) const LONGEST: usize = 256;

/// What is given, where YAML's words for nothing (`null`, `~`) are nothing.
pub(crate) fn given<'a>(key: &str, text: Option<&'a String>) -> Result<&'a str, Problem> {
    let nothing = || {
        Problem::new(
            key,
            "there is no value; write one, in quotes if it is the word null or ~",
        )
    };
    text.map(String::as_str).ok_or_else(nothing)
}

/// A label value that an operator made up.
pub(crate) fn name<'a>(key: &str, text: &'a str) -> Result<&'a str, Problem> {
    let unprintable = text.chars().find(|char| is_unprintable(*char));
    let fault = if text.trim().is_empty() {
        "the name is empty; write a word".to_owned()
    } else if text == OTHER {
        format!("{text:?} is what the exporter calls everything else; choose another name")
    } else if text.len() > LONGEST {
        format!("{text:?} is longer than {LONGEST} bytes; choose a shorter name")
    } else if let Some(char) = unprintable {
        let number = u32::from(char);
        format!("{text:?} holds U+{number:04X}, a control character or an invisible one; remove it")
    } else {
        return Ok(text);
    };
    Err(Problem::new(key, fault))
}
