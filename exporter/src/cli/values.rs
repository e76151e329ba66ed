//! Values that several commands take.

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::time::Duration;
use tcpvitals_config::duration;

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// One of the words of a closed set.
pub(super) fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let words = all.iter().map(move |value| word(*value));
    PossibleValuesParser::new(words.collect::<Vec<_>>()).try_map(move |chosen| {
        let value = all.iter().find(|value| word(**value) == chosen);
        value.copied().ok_or("not one of them")
    })
}

/// Time between two readings of the kernel.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(100)..=Duration::from_secs(3600))
}
