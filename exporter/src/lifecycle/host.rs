//! What the host says of itself: its name and kernel, and the network namespace of this process.
//! It must never need a privilege.

use nix::sys::utsname::uname;
use std::{ffi::OsStr, fs, os::unix::fs::MetadataExt, path::Path};

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

/// Why this process is not in the host's network namespace; `None` when it is. The kernel shows these settings of the whole host in its
/// first network namespace only (`net_core_table` of net/core/sysctl_net_core.c).
pub fn why_another_namespace() -> Option<&'static str> {
    let is_there = |name: &str| Path::new("/proc/sys/net/core").join(name).exists();
    if is_there("netdev_max_backlog") {
        None
    } else if is_there("somaxconn") {
        Some(
            "the exporter is in a network namespace of its own, and this is in the host's; run it there \
             (hostNetwork: true in the Helm chart)",
        )
    } else {
        Some("/proc/sys/net cannot be read, by which the host's network namespace is known; show it to the exporter")
    }
}
