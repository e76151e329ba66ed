//! What a capture asks the host about itself: its clocks, its name, its network namespace.

use crate::commands::capture::file::pcapng::Origin;
use nix::{
    sys::utsname::uname,
    time::{ClockId, clock_gettime},
};
use std::{fs, os::unix::fs::MetadataExt, time::Duration};

/// The number of this process's network namespace; 0 when it cannot be told.
pub(super) fn own_namespace() -> u32 {
    let inode = fs::metadata("/proc/self/ns/net").map(|namespace| namespace.ino());
    inode.ok().and_then(|inode| u32::try_from(inode).ok()).unwrap_or(0)
}

/// Who captures.
pub(super) fn origin() -> Origin {
    let (hardware, os) = uname().map_or_else(
        |_unknown| (String::new(), "Linux".to_owned()),
        |system| {
            let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
            (
                text(system.machine()),
                format!("{} {}", text(system.sysname()), text(system.release())),
            )
        },
    );
    Origin {
        hardware,
        os,
        application: concat!("tcpvitals capture ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// The clock that packets are stamped with, in nanoseconds.
pub(super) fn monotonic() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// What makes it the time of day.
pub(super) fn clock() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME).wrapping_sub(monotonic())
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).map(Duration::from);
    time.ok()
        .and_then(|time| u64::try_from(time.as_nanos()).ok())
        .unwrap_or(0)
}
