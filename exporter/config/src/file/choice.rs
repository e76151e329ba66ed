//! A word out of a closed set.
//! It must never guess: a word that is not in the set is refused with the whole set.
//! From the functions that judge values, and back to them.

use super::error::Problem;

/// The value of `all` whose word is `text`.
pub fn choose<T: Copy>(
    key: &str,
    text: &str,
    noun: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<T, Problem> {
    let found = all.iter().copied().find(|value| word(*value) == text);
    found.ok_or_else(|| {
        let words: Vec<&str> = all.iter().copied().map(word).collect();
        let words = words.join(", ");
        Problem::new(key, format!("{text:?} is not {noun}; use one of {words}"))
    })
}
