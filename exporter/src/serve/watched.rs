//! Whether files have changed. What counts is what is in them, not when or how it came there.
//! It must never be asked where somebody waits for an answer: it reads every file whole that somebody may have written. From whoever
//! re-reads files.

use crate::lifecycle::clock::since_1970;
use ring::digest::{Context, SHA256};
use std::{
    fs,
    io::{self, ErrorKind, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tcpvitals_config::file::files;

/// Files as they were when somebody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched(Vec<Look>);

/// A file as it was.
#[derive(Clone, Debug)]
struct Look {
    path: PathBuf,
    /// Most bytes that are looked at.
    most: u64,
    /// What says that nobody has written since.
    stamp: Option<Stamp>,
    print: Print,
}

impl Look {
    fn at(path: PathBuf, most: u64) -> Self {
        // Before it is read: whoever writes meanwhile changes the next stamp.
        let stamp = Stamp::of(&path);
        let print = print(&path, most);
        Self {
            path,
            most,
            stamp,
            print,
        }
    }

    /// The same file now. It is read only if somebody may have written.
    fn again(&self) -> Self {
        if self.stamp.is_some() && self.stamp == Stamp::of(&self.path) {
            self.clone()
        } else {
            Self::at(self.path.clone(), self.most)
        }
    }
}

impl PartialEq for Look {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.print) == (&other.path, other.print)
    }
}

impl Eq for Look {}

/// What a write to a file changes in any case: device, inode, length and time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, (i64, i64));

impl Stamp {
    /// None of a file that was changed a moment ago: the next change may have the same time.
    fn of(path: &Path) -> Option<Self> {
        const MOMENT: Duration = Duration::from_secs(2);
        let metadata = fs::metadata(path).ok()?;
        let changed = Duration::from_secs(metadata.ctime().try_into().ok()?);
        let settled = since_1970().checked_sub(changed).is_some_and(|age| age > MOMENT);
        let time = (metadata.ctime(), metadata.ctime_nsec());
        settled.then_some(Self(metadata.dev(), metadata.ino(), metadata.len(), time))
    }
}

impl Watched {
    /// Files as they are now, each of at most so many bytes. Blocks.
    pub fn look(paths: impl IntoIterator<Item = PathBuf>, most: u64) -> Self {
        Self(paths.into_iter().map(|path| Look::at(path, most)).collect())
    }

    /// The same files as they are now. Blocks.
    pub fn look_again(&self) -> Self {
        Self(self.0.iter().map(Look::again).collect())
    }

    /// Whether they are others now, and nobody is writing any more. Blocks.
    pub fn have_changed(&self) -> bool {
        /// A file that is being written grows in less.
        const STILL: Duration = Duration::from_millis(100);
        let now = self.look_again();
        if now == *self {
            return false;
        }
        thread::sleep(STILL);
        // Whoever still writes is looked at again later.
        self.look_again() == now
    }

    /// Whether it is these files that it knows.
    pub fn are_of(&self, paths: &[PathBuf]) -> bool {
        self.0.iter().map(|look| &look.path).eq(paths)
    }

    /// These files and others.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What tells one content of a file from another. Two errors of one kind are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Print {
    /// The digest of its bytes.
    Of([u8; 32]),
    /// Why it cannot be read.
    Unreadable(ErrorKind),
}

/// The print of the file at `path`; what is beyond `most` bytes is not looked at.
fn print(path: &Path, most: u64) -> Print {
    digest(path, most).unwrap_or_else(|error| Print::Unreadable(error.kind()))
}

fn digest(path: &Path, most: u64) -> io::Result<Print> {
    let mut file = files::open(path)?.take(most);
    let mut context = Context::new(&SHA256);
    let mut part = vec![0; 16 << 10];
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => context.update(part.get(..read).unwrap_or_default()),
        }
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    Ok(Print::Of(print))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{remove_file, write};

    #[test]
    fn a_change_is_one_of_the_bytes_of_any_file_and_of_none_that_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["one", "two"].map(|name| folder.path().join(name));
        write(&paths[0], "1").unwrap();
        let watched = Watched::look(paths.clone(), 10);
        assert!(!watched.have_changed());
        write(&paths[0], "1").unwrap();
        assert!(!watched.have_changed());
        write(&paths[1], "2").unwrap();
        assert!(watched.have_changed());
        let watched = watched.look_again();
        assert!(!watched.have_changed());
        remove_file(&paths[0]).unwrap();
        assert!(watched.have_changed());
        let writer = thread::spawn({
            let path = paths[1].clone();
            move || {
                for more in 0..40 {
                    write(&path, more.to_string()).unwrap();
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        assert!(!watched.have_changed());
        writer.join().unwrap();
    }

    #[test]
    fn prints_differ_where_bytes_do_and_not_where_only_times_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let print_of = |text: &str| {
            write(file.path(), text).unwrap();
            print(file.path(), 100)
        };
        let first = print_of("one");
        assert_ne!(print_of("two"), first);
        assert_eq!(print_of("one"), first);
        assert_eq!(
            print(Path::new("/dev/zero"), 100),
            Print::Unreadable(ErrorKind::InvalidInput)
        );
    }
}
