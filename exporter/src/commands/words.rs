//! Lines for people: a name and a value (`name=value`), and lines that are not wider than a terminal. Pure.

use common::text::is_unprintable;
use std::fmt::Write as _;

/// Adds a word after a space. It is quoted when it would not be one word, or could be taken for a quoted one.
pub(super) fn add_word(line: &mut String, name: &str, word: &str) {
    let is_one = !word.is_empty() && word.chars().all(|letter| letter.is_ascii_graphic() && letter != '"');
    let added = if is_one {
        write!(line, " {name}={word}")
    } else {
        write!(line, " {name}={word:?}")
    };
    // Writing to a string cannot fail.
    added.ok();
}

/// A text without what would do something to a terminal rather than stand on it, but for the characters in `kept`.
pub fn printable(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_unprintable(char) && !kept.contains(&char) {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// A text in lines of at most so many characters, as far as words allow it. What a line goes on with stands below its text, behind what
/// leads it: a number, a column or a word with a colon. Tables and what stands between fences stay as they are.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut is_fenced = false;
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        if is_fence || is_fenced || line.starts_with('|') || line.chars().count() <= width {
            wrapped.push_str(line);
        } else {
            wrap(&mut wrapped, line, width);
        }
        wrapped.push('\n');
    }
    wrapped
}

/// Adds a line that is too long.
fn wrap(wrapped: &mut String, line: &str, width: usize) {
    let lead = lead(line).min(width / 2);
    // What leads it stays together.
    let (head, rest) = line.split_at(line.char_indices().nth(lead).map_or(0, |(place, _)| place));
    wrapped.push_str(head);
    let mut column = lead;
    for (place, word) in rest.split(' ').enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(lead));
            column = lead;
        } else if place > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
}

/// How many characters stand before the text of a line.
fn lead(line: &str) -> usize {
    /// No column before a text ends further away.
    const COLUMNS: usize = 45;
    let start: String = line.chars().take(COLUMNS).collect();
    let columns = start.rfind("  ").map_or(0, |place| place + 2);
    let rest = start.get(columns..).unwrap_or_default();
    let spaces = rest.len() - rest.trim_start().len();
    let label = rest.trim_start().split(' ').next().unwrap_or_default();
    let is_label = label.ends_with([':', '.']) || label == "-" || label == "*";
    let label = if is_label { label.chars().count() + 1 } else { 0 };
    start.get(..columns + spaces).map_or(0, |text| text.chars().count()) + label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_word_is_quoted() {
        let mut line = String::from("x");
        for word in ["one", "two words", "", "\"quoted\""] {
            add_word(&mut line, "a", word);
        }
        assert_eq!(line, r#"x a=one a="two words" a="" a="\"quoted\"""#);
    }

    #[test]
    fn lines_are_no_wider_than_asked_and_go_on_below_their_text() {
        let check = |text: &str, expected: &str| assert_eq!(wrapped(text, 40), format!("{expected}\n"), "{text}");
        check("short", "short");
        check(
            "1  SILENT   lab   SYNs get no answer: 2.1 a second are retransmitted",
            "1  SILENT   lab   SYNs get no answer:\n                  2.1 a second are\n                  retransmitted",
        );
        check(
            "        next: on the peer: tcpvitals drops, ss -ltn",
            "        next: on the peer: tcpvitals\n              drops, ss -ltn",
        );
        check(
            "- a point of a list that goes on for longer",
            "- a point of a list that goes on for\n  longer",
        );
        check(
            "fine: office, branch, database, resolver, partner",
            "fine: office, branch, database,\n      resolver, partner",
        );
        let kept = "```promql\nsum by (instance) (rate(a_metric_with_a_long_name[5m]))\n```\n| a row of a table | that is wider than the terminal is |";
        check(kept, kept);
        // Nothing is lost, not even a word that is wider than the terminal.
        let long = "x".repeat(50);
        check(&long, &long);
        let text = "one two   three ".repeat(20);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&wrapped(&text, 13)), words(&text));
    }
}
