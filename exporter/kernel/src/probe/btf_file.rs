//! The file that has the kernel's type information (BTF), and how it is read: as its caller reads files that somebody names.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Where the kernel shows its own BTF and that of its modules.
pub(super) const BTF_DIRECTORY: &str = "/sys/kernel/btf";

/// Reads a whole file.
pub type Read = fn(&Path) -> io::Result<Vec<u8>>;

/// The file, and how to read it.
#[derive(Clone, Debug)]
pub struct BtfFile {
    path: PathBuf,
    is_given: bool,
    read: Read,
}

impl BtfFile {
    /// A file that somebody named, else the kernel's own.
    pub fn new(given: Option<&Path>, read: Read) -> Self {
        Self {
            path: given.map_or_else(own_path, Path::to_path_buf),
            is_given: given.is_some(),
            read,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether somebody named it: then numbers in it need not be those of the running kernel.
    pub(crate) const fn is_given(&self) -> bool {
        self.is_given
    }

    /// Its bytes.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        (self.read)(&self.path)
    }

    /// The bytes of the kernel's own, if it shows any.
    pub(crate) fn own(&self) -> Option<Vec<u8>> {
        (self.read)(&own_path()).ok()
    }

    /// The bytes of a module's type information.
    pub(crate) fn read_module(&self, path: &Path) -> io::Result<Vec<u8>> {
        (self.read)(path)
    }
}

fn own_path() -> PathBuf {
    Path::new(BTF_DIRECTORY).join("vmlinux")
}
