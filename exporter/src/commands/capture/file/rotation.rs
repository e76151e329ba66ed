//! When the next file begins, and how the files are called. Pure.

use crate::cli::capture::RotationArguments;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// When a file is full, and how many stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which the next file begins.
    pub size: Option<u64>,
    /// Time after which the next packet begins a file.
    pub duration: Option<Duration>,
    /// How many files stay; the oldest is deleted.
    pub files: Option<u64>,
}

impl Rotation {
    /// Whether there is more than one file.
    pub const fn is_on(&self) -> bool {
        self.size.is_some() || self.duration.is_some()
    }

    /// Whether a file of this size and age is full. Times are in nanoseconds.
    pub fn is_due(&self, size: u64, begun: u64, now: u64) -> bool {
        let is_old = |duration: Duration| u128::from(now.saturating_sub(begun)) >= duration.as_nanos();
        self.size.is_some_and(|most| size >= most) || self.duration.is_some_and(is_old)
    }

    /// The file whose time is over when the file `number` begins.
    pub fn expired(&self, number: u64) -> Option<u64> {
        number.checked_sub(self.files?).filter(|expired| *expired > 0)
    }
}

impl From<RotationArguments> for Rotation {
    fn from(arguments: RotationArguments) -> Self {
        let RotationArguments { size, duration, files } = arguments;
        Self { size, duration, files }
    }
}

/// The path of the file `number`, from 1 on: `drops.pcapng` becomes `drops-00001.pcapng`.
pub fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.file_stem().map_or_else(OsString::new, OsString::from);
    name.push(format!("-{number:05}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_before_their_extension() {
        for (path, first) in [
            ("drops.pcapng", "drops-00001.pcapng"),
            ("/var/tmp/a.b/drops", "/var/tmp/a.b/drops-00001"),
            ("x.tar.gz", "x.tar-00001.gz"),
        ] {
            assert_eq!(numbered(Path::new(path), 1), Path::new(first));
        }
    }

    #[test]
    fn a_file_is_full_by_size_or_age() {
        let rotation = Rotation {
            size: Some(100),
            duration: Some(Duration::from_secs(1)),
            files: Some(3),
        };
        assert!(rotation.is_on() && !Rotation::default().is_on());
        assert!(!rotation.is_due(99, 5, 1_000_000_004));
        assert!(rotation.is_due(100, 5, 5));
        assert!(rotation.is_due(0, 5, 1_000_000_005));
        assert!(!Rotation::default().is_due(u64::MAX, 0, u64::MAX));
    }

    #[test]
    fn the_oldest_file_goes_when_there_are_too_many() {
        let rotation = Rotation {
            files: Some(2),
            ..Rotation::default()
        };
        assert_eq!(
            [1, 2, 3, 4].map(|number| rotation.expired(number)),
            [None, None, Some(1), Some(2)]
        );
        assert_eq!(Rotation::default().expired(9), None);
    }
}
