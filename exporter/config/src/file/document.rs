//! From text to the wanted mapping: is it YAML, is it one document, has it the right keys and shapes?
//! It must never judge a value, and never let a parser's jargon through where an operator can be told plainly.
//! From `Source`; what is well-formed goes on to the functions that judge values.

use serde::de::DeserializeOwned;

use super::{
    locate,
    merge::{self, Unmerged},
    nesting::{self, Excess},
    values::{self, Uncounted},
};

/// Why a text is not the wanted mapping, and in which line.
pub(super) struct Malformed {
    pub(super) line: Option<usize>,
    pub(super) what: String,
}

/// Whether errors may quote values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// The file may be quoted.
    Values,
    /// The file holds secrets, or may be a key that was named by mistake.
    Nothing,
}

/// The setting that holds passwords in a file that may be quoted, also where somebody gives it another shape.
const SECRET: &str = "otlp.headers";

/// The settings that `text` holds; no document at all holds none.
pub(super) fn parse<T: DeserializeOwned + Default>(text: &str, quote: Quote) -> Result<T, Malformed> {
    refuse_control_characters(text)?;
    refuse_excess(text)?;
    refuse_all_but_one_document(text)?;
    let merged = match merge::written_out(text) {
        Ok(merged) => merged,
        Err(Unmerged::Malformed) => None,
        Err(unmerged) => return Err(cannot_merge(text, unmerged)),
    };
    let raw = serde_yaml::from_str::<Option<T>>(merged.as_deref().unwrap_or(text));
    Ok(raw
        .map_err(|error| misshapen(text, &error, quote, merged.is_some()))?
        .unwrap_or_default())
}

fn cannot_merge(text: &str, unmerged: Unmerged) -> Malformed {
    let at = |path: &str, occurrence, what: &str| Malformed {
        line: locate::line_of(text, path, occurrence),
        what: format!("{path}: {what}"),
    };
    match unmerged {
        Unmerged::NoMapping(path) => at(
            &path,
            1,
            "this is no mapping; write an alias of one, or a list of such aliases",
        ),
        Unmerged::Twice(path) => at(
            &path,
            2,
            "the key is given twice; write one list of aliases: <<: [*a, *b]",
        ),
        // It was understood before.
        Unmerged::Malformed => Malformed {
            line: None,
            what: "merge keys cannot be understood here; write their keys out".to_owned(),
        },
    }
}

/// The parser refuses them too, but without a line.
fn refuse_control_characters(text: &str) -> Result<(), Malformed> {
    for (index, line) in text.split('\n').enumerate() {
        let odd = |char: char| {
            (char.is_control() && !matches!(char, '\r' | '\t' | '\u{85}'))
                || matches!(char, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        };
        if let Some(char) = line.chars().find(|char| odd(*char)) {
            return Err(Malformed {
                line: Some(index + 1),
                what: format!(
                    "the character U+{:04X} is not allowed in YAML; remove it",
                    u32::from(char)
                ),
            });
        }
    }
    Ok(())
}

fn refuse_excess(text: &str) -> Result<(), Malformed> {
    let Some((excess, line)) = nesting::excess(text) else {
        return Ok(());
    };
    let what = match excess {
        Excess::Depth => format!(
            "lists and mappings are nested deeper than {}; close those that are open",
            nesting::DEEPEST
        ),
        Excess::Words => format!(
            "there are more than {} words, brackets and marks; join networks, or check that it is the file that is meant",
            nesting::MOST
        ),
    };
    Err(Malformed { line: Some(line), what })
}

fn refuse_all_but_one_document(text: &str) -> Result<(), Malformed> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok(());
    };
    match values::count(first, nesting::MOST) {
        Ok(()) => {}
        Err(Uncounted::TooMany) => {
            return Err(Malformed {
                line: None,
                what: format!("aliases make more than {} values of it; use fewer", nesting::MOST),
            });
        }
        Err(Uncounted::Malformed(error)) => return Err(not_yaml(text, &error)),
    }
    match documents.next() {
        None => Ok(()),
        Some(second) => Err(Malformed {
            line: locate::first_line(second),
            what: "the file holds more than one YAML document; keep one and remove the rest".to_owned(),
        }),
    }
}

fn not_yaml(text: &str, error: &serde_yaml::Error) -> Malformed {
    let line = line(error);
    let begins_with_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let there = line.and_then(|line| text.lines().nth(line.checked_sub(1)?));
    let what = if there.is_some_and(begins_with_tab) {
        "the line begins with a tab; YAML wants spaces".to_owned()
    } else {
        format!("the file is not YAML: {error}; check quotes, brackets and indentation there")
    };
    Malformed { line, what }
}

/// Says in our words what serde found, which comes as `PATH: MESSAGE at line N column M`, the ends being optional.
/// Where merge keys were written out, the place is that of the path in the file.
fn misshapen(text: &str, error: &serde_yaml::Error, quote: Quote, is_merged: bool) -> Malformed {
    let mut line = line(error).filter(|_| !is_merged);
    let whole = error.to_string();
    let whole = match error.location() {
        Some(at) => whole
            .strip_suffix(&format!(" at line {} column {}", at.line(), at.column()))
            .unwrap_or(&whole),
        None => &whole,
    };
    let (path, message) = match whole.split_once(": ") {
        Some((path, message)) if is_path(path) => (path, message),
        _ => ("", whole),
    };
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    if let Some(key) = message.strip_prefix("duplicate field `") {
        line = locate::line_of(text, &below(key.trim_end_matches('`')), 2).or(line);
    } else if is_merged {
        let unknown = message
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split_once('`'));
        let full = unknown.map_or_else(|| path.to_owned(), |(key, _)| below(key));
        line = locate::line_of(text, &full, 1);
    }
    let quote = if path.starts_with(SECRET) {
        Quote::Nothing
    } else {
        quote
    };
    let what = plain(message, quote);
    let what = if path.is_empty() {
        what
    } else {
        format!("{path}: {what}")
    };
    Malformed { line, what }
}

fn is_path(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
}

/// Serde's message in an operator's words; one that is not known stays as it is.
fn plain(message: &str, quote: Quote) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `")
        && let Some((key, allowed)) = rest.rsplit_once("`, expected ")
    {
        let allowed: Vec<&str> = allowed.split('`').skip(1).step_by(2).collect();
        // A newer version may know it: whoever goes back to this one sees why the file no longer fits.
        let version = env!("CARGO_PKG_VERSION");
        return format!(
            "unknown key {key:?} in version {version}; use one of {}",
            allowed.join(", ")
        );
    }
    if let Some(key) = message.strip_prefix("missing field `") {
        let key = key.trim_end_matches('`');
        return format!("the key {key:?} is missing; add it");
    }
    if let Some(key) = message.strip_prefix("duplicate field `") {
        let key = key.trim_end_matches('`');
        return format!("the key {key:?} is given twice; keep one of the two");
    }
    if let Some(rest) = message.strip_prefix("invalid type: ")
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        let found = match found {
            "sequence" => "a list",
            "map" => "a mapping",
            "unit value" => "nothing",
            _ if quote == Quote::Nothing => "a single value",
            other => other,
        };
        let expected = match expected {
            "a sequence" => "a list",
            "a string" => "a single value",
            "a boolean" => "true or false",
            other => other,
        };
        return format!("found {found}; write {expected}");
    }
    message.to_owned()
}

fn line(error: &serde_yaml::Error) -> Option<usize> {
    Some(error.location()?.line())
}
