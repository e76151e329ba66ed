//! What a guest finds when it starts: busybox, programs and their libraries, modules, and the job. From files to one archive in
//! memory; nothing is written to disk here.

use std::collections::BTreeSet;
use std::fs::{read, read_link, symlink_metadata};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::modules::Module;
use crate::programs::text;
use crate::userland::Userland;

/// PID 1.
const INIT: &str = include_str!("init.sh");

/// What the tests call. They lie apart from busybox, which has a small `ip` of its own.
const PROGRAMS: &[&str] = &["ip", "ss", "tc", "devlink", "nft", "setpriv", "unshare", "install"];

/// Files of an archive in the kernel's format (`newc`).
pub(crate) struct Archive {
    userland: Userland,
    bytes: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    libraries: BTreeSet<String>,
    inode: u32,
}

/// Everything but the job.
pub(crate) fn base(userland: Userland, modules: &[Module]) -> Result<Archive> {
    let mut archive = Archive::new(userland);
    archive.add("init", 0o755, INIT.as_bytes())?;
    for folder in ["proc", "sys", "dev", "tmp", "run", "root"] {
        archive.folder(Path::new(folder))?;
    }
    let busybox = archive.userland.find("busybox")?;
    archive.program("bin/busybox", &busybox)?;
    // For its other names it must run, which it may do in the guest only.
    archive.link("bin/sh", "busybox")?;
    for program in PROGRAMS {
        let file = archive.userland.find(program)?;
        archive.program(&format!("usr/bin/{program}"), &file)?;
    }
    let users = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
    archive.add("etc/passwd", 0o644, users.as_bytes())?;
    archive.add("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
    for (number, module) in modules.iter().enumerate() {
        // A shell sorts what it finds by name.
        archive.add(
            &format!("modules/{number:03}-{}.ko", module.name),
            0o644,
            &module.content,
        )?;
    }
    Ok(archive)
}

impl Archive {
    fn new(userland: Userland) -> Self {
        Self {
            userland,
            bytes: Vec::new(),
            folders: BTreeSet::new(),
            libraries: BTreeSet::new(),
            inode: 0,
        }
    }

    /// A program with the libraries that it needs.
    pub(crate) fn program(&mut self, name: &str, file: &Path) -> Result<()> {
        let content = read(file).with_context(|| format!("read {}", file.display()))?;
        self.add(name, 0o755, &content)?;
        for (name, library) in self.userland.libraries(file)? {
            // Several programs need the same ones.
            if self.libraries.insert(name.clone()) {
                self.add(&name, 0o755, &read(&library)?)?;
            }
        }
        Ok(())
    }

    /// A file or folder of this machine, at the same place in the guest; programs with what they need.
    pub(crate) fn tree(&mut self, place: &Path) -> Result<()> {
        let name = text(place)?.trim_start_matches('/').to_owned();
        let kind = symlink_metadata(place).with_context(|| format!("read {}", place.display()))?;
        if kind.is_symlink() {
            return self.link(&name, text(&read_link(place)?)?);
        }
        if !kind.is_dir() {
            return self.program(&name, place);
        }
        for entry in place.read_dir()? {
            self.tree(&entry?.path())?;
        }
        Ok(())
    }

    /// A file.
    pub(crate) fn add(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entry(name, 0o100_000 | mode, content)
    }

    /// The archive as the kernel reads it.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        Ok(cpio::newc::trailer(self.bytes)?)
    }

    fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.entry(name, 0o120_777, target.as_bytes())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        if folder.as_os_str().is_empty() || !self.folders.insert(folder.to_owned()) {
            return Ok(());
        }
        self.entry(text(folder)?, 0o040_755, &[])
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        // The kernel makes no folder by itself.
        if let Some(parent) = Path::new(name).parent() {
            self.folder(parent)?;
        }
        self.inode += 1;
        let entry = cpio::newc::Builder::new(name).ino(self.inode).mode(mode).nlink(1);
        let mut writer = entry.write(&mut self.bytes, u32::try_from(content.len())?);
        std::io::Write::write_all(&mut writer, content)?;
        writer.finish()?;
        Ok(())
    }
}
