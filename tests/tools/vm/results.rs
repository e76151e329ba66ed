//! What the tests said: how many passed, which were skipped and why, which failed. Pure: from lines to counts.

use std::collections::BTreeMap;

/// What became of the tests of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Results {
    /// Names.
    pub(crate) passed: Vec<String>,
    /// Names and reasons. A test may have skipped a part only, and more than one.
    pub(crate) skipped: BTreeMap<String, Vec<String>>,
    /// Names, and what a test did not meet that passed all the same.
    pub(crate) notes: BTreeMap<String, Vec<String>>,
    /// Names.
    pub(crate) failed: Vec<String>,
    /// Whether the last line of the test program was there.
    pub(crate) is_complete: bool,
}

impl Results {
    /// Reads what the test program printed.
    pub(crate) fn read(lines: &[String]) -> Self {
        let mut results = Self::default();
        for line in lines {
            let said = |kind| line.strip_prefix(kind).and_then(|rest: &str| rest.split_once(": "));
            if let Some((name, reason)) = said("skipped ") {
                let skipped = results.skipped.entry(name.to_owned()).or_default();
                skipped.push(reason.to_owned());
            } else if let Some((name, fact)) = said("note ") {
                results.notes.entry(name.to_owned()).or_default().push(fact.to_owned());
            } else if let Some((name, result)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
                match result {
                    "ok" => results.passed.push(name.to_owned()),
                    "FAILED" => results.failed.push(name.to_owned()),
                    _ => {}
                }
            } else if line.starts_with("test result: ") {
                results.is_complete = true;
            }
        }
        results.passed.retain(|name| !results.skipped.contains_key(name));
        results
    }
}
