//! What is kept of a run for whoever has to find out what differs.

use std::fs::{create_dir_all, write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A folder of the run.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        create_dir_all(path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn inside(&self, name: &str) -> Result<Self> {
        Self::new(&self.0.join(name))
    }

    pub(crate) fn keep(&self, name: &str, text: &str) -> Result<()> {
        let path = self.0.join(name);
        write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}
