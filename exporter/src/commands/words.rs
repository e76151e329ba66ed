//! A name and a value in a line for people: `name=value`. Pure.

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
}
