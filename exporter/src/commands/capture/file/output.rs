//! Where captured packets go: a file, standard output or a pipe, and the next file when one is full.

use super::rotation::{Rotation, numbered};
use crate::lifecycle::signals::{
    self,
    stop::{Grace, Stop, Written},
};
use nix::errno::Errno;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{FileTypeExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// Why packets cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Packets are no text.
    #[error(
        "-w -: standard output is a terminal; write to a file, or pipe it to a reader: tcpvitals capture -w - | wireshark -k -i -"
    )]
    Terminal,
    /// More than one file has to have a name.
    #[error("-w -: standard output cannot be rotated; name a file")]
    NotAFile,
    /// There has to be a name for the files.
    #[error("-w {}: this is a folder; write for example -w {}", path.display(), path.join("drops.pcapng").display())]
    Folder { path: PathBuf },
    /// Nothing begins the next file.
    #[error("--rotate-files needs --rotate-size or --rotate-duration")]
    NeverRotated,
    /// A file cannot be made.
    #[error("-w {}: {source}; name a file in a folder where this user may write", path.display())]
    Open {
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file takes no more.
    #[error("write {name}: {source}")]
    Write {
        /// What it is called.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

#[derive(Debug)]
pub struct Output {
    file: File,
    /// Its path; `None` for standard output.
    path: Option<PathBuf>,
    may_wait: bool,
    rotation: Rotation,
    number: u64,
    size: u64,
    begun: u64,
}

impl Output {
    /// Opens what `-w` names, or the first of the files when it is rotated.
    ///
    /// # Errors
    /// [`OutputError`] when it cannot be written or makes no sense.
    pub fn open(path: &Path, rotation: Rotation) -> Result<Self, OutputError> {
        if rotation.files.is_some() && !rotation.is_on() {
            return Err(OutputError::NeverRotated);
        }
        let number = u64::from(rotation.is_on());
        if path == Path::new("-") {
            if rotation.is_on() {
                return Err(OutputError::NotAFile);
            }
            let stdout = io::stdout();
            if stdout.is_terminal() {
                return Err(OutputError::Terminal);
            }
            let file = stdout.as_fd().try_clone_to_owned();
            let file = file.map_err(|source| failed(path, source))?;
            return Ok(Self::of(file.into(), None, rotation, number));
        }
        if names_a_folder(path) {
            let path = path.to_owned();
            return Err(OutputError::Folder { path });
        }
        let file = create(&place(path, rotation, number))?;
        Ok(Self::of(file, Some(path.to_owned()), rotation, number))
    }

    fn of(file: File, path: Option<PathBuf>, rotation: Rotation, number: u64) -> Self {
        let kind = file.metadata().map(|metadata| metadata.file_type());
        Self {
            may_wait: !kind.is_ok_and(|kind| kind.is_file()),
            file,
            path,
            rotation,
            number,
            size: 0,
            begun: 0,
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match &self.path {
            Some(path) => place(path, self.rotation, self.number).display().to_string(),
            None => "standard output".to_owned(),
        }
    }

    /// To be waited for: a pipe whose reader goes says so.
    pub fn reader(&self) -> Option<BorrowedFd<'_>> {
        self.may_wait.then(|| self.file.as_fd())
    }

    /// Whether the next file should begin once `more` bytes are written, at this time in nanoseconds.
    pub fn is_full(&self, more: u64, now: u64) -> bool {
        self.path.is_some() && self.rotation.is_due(self.size + more, self.begun, now)
    }

    /// Notes when the present file began.
    pub const fn begin(&mut self, now: u64) {
        self.begun = now;
    }

    /// Goes on to the next file, and deletes the oldest if there are too many.
    ///
    /// # Errors
    /// [`OutputError::Open`] when it cannot be made.
    pub fn rotate(&mut self) -> Result<(), OutputError> {
        let Some(path) = &self.path else { return Ok(()) };
        let next = self.number + 1;
        self.file = create(&place(path, self.rotation, next))?;
        (self.number, self.size) = (next, 0);
        if let Some(expired) = self.rotation.expired(next)
            && let Err(error) = fs::remove_file(place(path, self.rotation, expired))
        {
            tracing::warn!(%error, number = expired, "the oldest file cannot be deleted");
        }
        Ok(())
    }

    /// Writes all of it. Whoever reads slowly is waited for, but for [`GRACE`] only after a signal.
    ///
    /// # Errors
    /// [`OutputError::Write`] when it takes no more for another reason than that nobody reads.
    pub fn write(&mut self, bytes: &[u8], stop: &mut Stop) -> Result<Written, OutputError> {
        let result = if self.may_wait {
            stop.write(&self.file, bytes)
        } else {
            self.file.write_all(bytes).map(|()| Written::All)
        };
        match result {
            Ok(written) => {
                self.size += bytes.len() as u64;
                Ok(written)
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::Closed),
            Err(source) => Err(OutputError::Write {
                name: self.name(),
                source,
            }),
        }
    }
}

/// How long a reader is waited for once the capture has been told to end.
pub const GRACE: Grace = Grace::InAll(Duration::from_secs(5));

/// Where the file `number` lies; 0 when there is only one.
fn place(path: &Path, rotation: Rotation, number: u64) -> PathBuf {
    if rotation.is_on() {
        numbered(path, number)
    } else {
        path.to_owned()
    }
}

/// A path that ends with a slash or dots names no file, whether there is such a folder or not.
fn names_a_folder(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    path.is_dir() || path.file_name().is_none() || bytes.ends_with(b"/") || bytes.ends_with(b"/.")
}

/// What was on the wire is for its owner.
fn create(path: &Path) -> Result<File, OutputError> {
    let mut options = OpenOptions::new();
    let is_pipe = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    options.write(true).mode(0o600);
    if !is_pipe {
        options.create(true).truncate(true);
        return options.open(path).map_err(|source| failed(path, source));
    }
    // That waits for a reader; until then nothing has to be ended in order.
    let held = |done: Result<(), Errno>| done.map_err(|error| failed(path, error.into()));
    held(signals::let_through())?;
    let opened = options.open(path).map_err(|source| failed(path, source));
    held(signals::hold_back())?;
    opened
}

fn failed(path: &Path, source: io::Error) -> OutputError {
    OutputError::Open {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated() -> Rotation {
        Rotation {
            size: Some(8),
            files: Some(2),
            ..Rotation::default()
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let files = Rotation {
            files: Some(3),
            ..Rotation::default()
        };
        assert!(matches!(
            Output::open(Path::new("x"), files),
            Err(OutputError::NeverRotated)
        ));
        assert!(matches!(
            Output::open(Path::new("-"), rotated()),
            Err(OutputError::NotAFile)
        ));
        let folder = tempfile::tempdir().unwrap();
        let slash = folder.path().join("absent/");
        for path in [
            folder.path(),
            Path::new("/"),
            Path::new(".."),
            Path::new("."),
            &slash,
            Path::new("x/."),
        ] {
            for rotation in [Rotation::default(), rotated()] {
                let opened = Output::open(path, rotation);
                assert!(matches!(opened, Err(OutputError::Folder { .. })), "{path:?}");
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let nowhere = Output::open(Path::new("/proc/nowhere/x"), Rotation::default());
        assert!(matches!(nowhere, Err(OutputError::Open { .. })));
    }

    #[test]
    fn full_files_are_followed_by_the_next_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drops.pcapng");
        let mut stop = Stop::new(None, GRACE).unwrap();
        let mut output = Output::open(&path, rotated()).unwrap();
        for _ in 0..3 {
            assert!(!output.is_full(0, 0));
            assert_eq!(output.write(b"eight...", &mut stop).unwrap(), Written::All);
            assert!(output.is_full(0, 0));
            output.rotate().unwrap();
        }
        let mut files: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, ["drops-00003.pcapng", "drops-00004.pcapng"]);
    }
}
