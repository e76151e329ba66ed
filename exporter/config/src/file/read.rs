//! A file's text, and variables: the only place of the configuration that touches the disk and the environment.
//! It must never look into a text beyond its encoding.
//! From a path of the command line, or a name; to whoever parses it.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::error::ConfigError;
use crate::file::files;

/// The text of the file at `path`; `absent` is what to do where there is none.
pub(super) fn text(path: &Path, absent: &str) -> Result<String, ConfigError> {
    let file = path.display().to_string();
    let bytes = files::read(path, files::CONFIGURATION)
        .map_err(|error| ConfigError::new(&file, None, unreadable(&error, absent)))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::new(&file, Some(line), "the file is not UTF-8 text; save it as UTF-8")
    })
}

/// A variable of the environment, if it is set and text.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the configuration reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why a file cannot be read, and what to do.
pub fn unreadable(error: &io::Error, absent: &str) -> String {
    let kind = error.kind();
    let remedy = if kind == ErrorKind::NotFound {
        &format!("check the path, or {absent}")
    } else if kind == ErrorKind::PermissionDenied {
        "let the user that runs tcpvitals read the file and search its directories"
    } else if kind == ErrorKind::IsADirectory {
        "name a file in it"
    } else if kind == ErrorKind::FileTooLarge {
        "check that it is the file that is meant, or cut it"
    } else {
        "check that the path names a regular file"
    };
    format!("the file cannot be read: {error}; {remedy}")
}
