//! Reads whole files that somebody names: configurations, keys, certificates, type information.
//! It must never wait for a writer, nor take more memory than a file of its kind may need: whatever is not a regular file of
//! at most a given size is refused. From a path; to whoever parses the bytes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

/// Most bytes of a configuration.
pub const CONFIGURATION: u64 = 16 << 20;
/// Most bytes of a file of networks: some million.
pub const SUBNETS: u64 = 64 << 20;
/// Most bytes of a key, or of a file with certificates.
pub const PEM: u64 = 1 << 20;
/// Most bytes of a kernel's type information (BTF).
pub const BTF: u64 = 64 << 20;

/// Most files in a folder whose names are read: whoever writes there must not fill the memory.
pub const NAMES: usize = 100_000;

/// The bytes of the regular file at `path`.
///
/// # Errors
/// What the system says; [`ErrorKind::InvalidInput`] for what is not a regular file, [`ErrorKind::FileTooLarge`] for one with
/// more than `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = open(path)?.take(most.saturating_add(1));
    file.read_to_end(&mut bytes)?;
    // A file may grow while it is read.
    if bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(bytes)
}

/// The names of what lies in a folder, in order; those that are no text are left out.
///
/// # Errors
/// What the system says; [`ErrorKind::FileTooLarge`] for a folder with more than [`NAMES`].
pub fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        if names.len() == NAMES {
            let what = format!("it has more than {NAMES} files");
            return Err(io::Error::new(ErrorKind::FileTooLarge, what));
        }
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Opens a regular file: looks before it opens, as opening alone may do something to a device, and again at what it has opened.
///
/// # Errors
/// As for [`read`].
pub fn open(path: &Path) -> io::Result<File> {
    require_regular(&fs::metadata(path)?)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

fn require_regular(metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("it is {what}")))
}

fn too_large(most: u64) -> io::Error {
    let what = format!("it is larger than {} MiB", most >> 20);
    io::Error::new(ErrorKind::FileTooLarge, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::{fs::write, os::unix::net::UnixListener};

    #[test]
    fn only_regular_files_of_a_largest_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write(path("file"), "text").unwrap();
        assert_eq!(read(&path("file"), 4).unwrap(), b"text");
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();
        for (name, kind, what) in [
            ("file", ErrorKind::FileTooLarge, "larger than 0 MiB"),
            ("pipe", ErrorKind::InvalidInput, "a pipe"),
            ("link", ErrorKind::InvalidInput, "a pipe"),
            ("socket", ErrorKind::InvalidInput, "a socket"),
            ("/dev/zero", ErrorKind::InvalidInput, "a device"),
            (".", ErrorKind::IsADirectory, "directory"),
            ("absent", ErrorKind::NotFound, "No such file"),
        ] {
            let error = read(&path(name), 3).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}");
            assert!(error.to_string().contains(what), "{name}: {error}");
        }
    }
}
