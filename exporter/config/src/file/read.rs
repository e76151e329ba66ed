//! A file's text, and variables: the only place of the configuration that touches the disk and the environment.
//! It must never look into a text beyond its encoding.
//! From a path of the command line, or a name; to whoever parses it.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::error::ConfigError;
use crate::file::files;

/// The text of the file at `path`; `absent` is what else to do where there is none.
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

/// Why a file cannot be read, and what to do; `absent` is what else where there is none.
pub fn unreadable(error: &io::Error, absent: &str) -> String {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        let or = if absent.is_empty() { "" } else { ", or " };
        return format!("there is no such file; check the path{or}{absent}");
    }
    let remedy = if kind == ErrorKind::PermissionDenied {
        "let the user that runs tcpvitals read the file and search its directories"
    } else if kind == ErrorKind::IsADirectory {
        "name a file in it"
    } else if kind == ErrorKind::FileTooLarge {
        "check that it is the file that is meant, or cut it"
    } else {
        "check that the path names a regular file"
    };
    let error = without_numbers(&error.to_string());
    format!("the file cannot be read: {error}; {remedy}")
}

/// Without the number that the standard library puts behind the kernel's words: `No space left on device (os error 28)`.
pub fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| match part.split_once(')') {
        Some((number, rest)) if number.parse::<i32>().is_ok() => said + rest,
        _ => said + " (os error " + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_errors_are_not_said() {
        for (text, expected) in [
            (
                "write a: No space left on device (os error 28); make room",
                "write a: No space left on device; make room",
            ),
            ("a (os error 1): b (os error 2)", "a: b"),
            ("a file called (os error x) stays", "a file called (os error x) stays"),
            ("cut off (os error 5", "cut off (os error 5"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(text), expected);
        }
    }
}
