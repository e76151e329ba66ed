//! What the host says of itself: its name and kernel, and the network namespace of this process.

use nix::sys::utsname::uname;
use std::{ffi::OsStr, fs, os::unix::fs::MetadataExt};

/// `uname`; every word is "" where the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Name of the host.
    pub name: String,
    /// Name of the operating system.
    pub system: String,
    /// Release of the kernel.
    pub release: String,
    pub machine: String,
}

impl Host {
    pub fn read() -> Self {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        uname().map_or_else(
            |_unknown| Self::default(),
            |uname| Self {
                name: text(uname.nodename()),
                system: text(uname.sysname()),
                release: text(uname.release()),
                machine: text(uname.machine()),
            },
        )
    }
}

/// The number of this process's network namespace; 0 when it cannot be told.
pub fn network_namespace() -> u32 {
    let inode = fs::metadata("/proc/self/ns/net").map(|namespace| namespace.ino());
    inode.ok().and_then(|inode| u32::try_from(inode).ok()).unwrap_or(0)
}
