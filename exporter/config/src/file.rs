//! YAML files of the operator: from a file's text to the mapping that is wanted, and from a fault to file, line and key.
//! It must never judge a value: what a key may hold is the business of this crate and of `web::config`.
//! Text comes from `read` (or a test); mappings and errors go to whoever asked.

mod choice;
mod document;
mod error;
pub mod files;
mod locate;
mod merge;
mod nesting;
mod read;
mod values;

use serde::de::DeserializeOwned;
use std::path::Path;

pub use error::ConfigError;

pub use choice::choose;
pub use document::Quote;
pub use error::Problem;
pub use read::{unreadable, variable, without_numbers};

/// A file's text and what it is called in errors.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl<'a> Source<'a> {
    /// Of a text without its byte order mark.
    pub fn new(text: &'a str, file: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text, file }
    }

    /// The settings in it; an empty file holds none.
    pub fn parse<T: DeserializeOwned + Default>(self, quote: Quote) -> Result<T, ConfigError> {
        document::parse(self.text, quote)
            .map_err(|malformed| ConfigError::new(self.file, malformed.line, malformed.what))
    }

    /// A value of it that cannot be, with its line.
    pub fn error(self, problem: &Problem) -> ConfigError {
        let line = locate::line_of(self.text, &problem.key, 1);
        ConfigError::new(self.file, line, problem)
    }
}

/// The text of the file at `path`; `remedy` is what to do where there is none.
pub fn text(path: &Path, remedy: &str) -> Result<String, ConfigError> {
    read::text(path, remedy)
}
