//! Cgroups of version 2 that a test makes, and threads and processes in them: a socket is of the cgroup of the thread that makes it.
//!
//! The hierarchy is one for the whole machine. Each test has a folder of its own at its top, seen through a mount that nobody else sees:
//! what is mounted elsewhere does not matter, and nothing stays mounted.

use std::fs::{File, create_dir, read_dir, read_to_string, remove_dir, write};
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use tempfile::tempdir;

use crate::machine::wait::until;
use crate::net::namespace::host;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Before the number of the process that made it.
const PREFIX: &str = "tcpvitals-";

/// Who can be in the cgroups of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Members {
    /// Single threads of the test: `cgroup.type` is `threaded`.
    Threads,
    /// Whole processes.
    Processes,
}

/// A folder of cgroups; removed on drop with all that is in it.
#[derive(Debug)]
pub struct Cgroups {
    /// Keeps the mount, which has no place in the tree of files any more.
    root: File,
    /// The folder at the top.
    name: String,
    members: Members,
}

impl Cgroups {
    /// Cgroups that threads of the test enter: all sockets stay the test's own, and tests do not move each other.
    pub fn of_threads() -> Result<Self> {
        let cgroups = Self::new(Members::Threads)?;
        cgroups.leave_for_root()?;
        Ok(cgroups)
    }

    /// Cgroups that processes begin in.
    pub fn of_processes() -> Result<Self> {
        Self::new(Members::Processes)
    }

    fn new(members: Members) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = tempdir()?;
        let path = folder.path().to_str().context("a path that is text")?;
        host(&format!("mount -t cgroup2 none {path}"))?;
        let root = File::open(path).with_context(|| format!("open {path}"));
        host(&format!("umount -l {path}"))?;
        let cgroups = Self {
            root: root?,
            name: format!("{PREFIX}{}-{number}", process::id()),
            members,
        };
        if number == 0 {
            sweep(&cgroups.root());
        }
        cgroups.folder("")?;
        Ok(cgroups)
    }

    /// Makes a cgroup, and those above it that are not there yet: `kubepods/burstable`.
    pub fn make(&self, path: &str) -> Result<Cgroup> {
        for (at, _) in path.match_indices('/') {
            self.folder(&path[..at])?;
        }
        Ok(Cgroup(self.folder(path)?))
    }

    /// One that was made.
    pub fn of(&self, path: &str) -> Cgroup {
        Cgroup(self.root().join(&self.name).join(path))
    }

    /// The folder at the top, which no other test has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Moves the calling thread out of all cgroups of tests.
    pub fn leave(&self) -> Result<()> {
        enter(&self.root())
    }

    fn root(&self) -> PathBuf {
        // A process that is started may ask for it too.
        PathBuf::from(format!("/proc/{}/fd/{}", process::id(), self.root.as_raw_fd()))
    }

    fn folder(&self, path: &str) -> Result<PathBuf> {
        let Cgroup(folder) = self.of(path);
        match create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(folder),
            made => made.with_context(|| format!("make the cgroup {path:?}"))?,
        }
        if self.members == Members::Threads {
            write(folder.join("cgroup.type"), "threaded").with_context(|| format!("give {path:?} to threads"))?;
        }
        Ok(folder)
    }

    /// A thread can enter only what is below the cgroup of its process. The root takes every process.
    fn leave_for_root(&self) -> Result<()> {
        let own = read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
        if !own.lines().any(|line| line == "0::/") {
            let file = self.root().join("cgroup.procs");
            write(file, process::id().to_string()).context("move to the root of all cgroups")?;
        }
        Ok(())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Whoever is still in one is on the way out. Otherwise the next run removes it.
        let Cgroup(folder) = self.of("");
        until("cgroups to be empty", || Ok(remove(&folder).is_ok().then_some(()))).ok();
    }
}

/// A cgroup.
#[derive(Clone, Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Runs `work` on a thread in it. Sockets that it makes stay the cgroup's wherever they are used; threads it starts begin there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                work()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Moves the calling thread into it.
    pub fn enter(&self) -> Result<()> {
        enter(&self.0)
    }

    /// A command before another one: it moves into the cgroup and becomes the other.
    pub fn wrapper(&self) -> Result<[String; 4]> {
        let file = self.0.join("cgroup.procs");
        let file = file.to_str().context("a path that is text")?;
        let script = format!("echo $$ >{file} && exec \"$@\"");
        Ok(["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()])
    }

    /// Removes it, once nobody is in it any more.
    pub fn remove(&self) -> Result<()> {
        until("a cgroup to be empty", || match remove_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(None),
            removed => removed
                .map(Some)
                .with_context(|| format!("remove {}", self.0.display())),
        })
    }
}

fn enter(folder: &Path) -> Result<()> {
    let file = folder.join("cgroup.threads");
    write(&file, "0").with_context(|| format!("write to {}", file.display()))
}

/// Removes a folder and those in it.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    remove_dir(folder)
}

/// Removes what is left of runs that were interrupted. Whatever cannot be removed is in nobody's way.
fn sweep(root: &Path) {
    for entry in read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let maker = maker.and_then(|maker| maker.parse::<u32>().ok());
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker.to_string()).exists()) {
            remove(&entry.path()).ok();
        }
    }
}
