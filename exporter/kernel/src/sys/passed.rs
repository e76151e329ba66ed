//! The sockets that the service manager passes: sd_listen_fds(3).
#![expect(
    unsafe_code,
    reason = "descriptors that are there from the start of the process have no owner yet"
)]

use sd_notify::listen_fds;
use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
    sync::atomic::{AtomicBool, Ordering},
};

/// Takes over the descriptors that were passed to this process, each with CLOEXEC; none where they are for another one. The second time
/// there are none.
///
/// # Errors
/// When the variables are no numbers, or a descriptor is not open.
pub fn sockets() -> io::Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let numbers = listen_fds()?;
    // SAFETY: `listen_fds` has found each of them open, and only for the process that LISTEN_PID names, which the service manager has
    // given them to; nothing else knows their numbers, and they are taken once.
    Ok(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}
