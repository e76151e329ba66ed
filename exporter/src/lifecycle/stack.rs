//! The stack of the first thread, which a limit of the system bounds: with too little the process would be aborted in the middle of its
//! start. It must be asked before anything takes much of it. From `main`.

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};

/// Far more than arguments, files and the loading of programs take.
const NEEDED: u64 = 1 << 20;

/// What systems give.
const USUAL: u64 = 8 << 20;

/// The system gives too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stack may have only {kib} KiB, and {} are needed; raise the limit: LimitSTACK= of a unit, `ulimit -s`",
    NEEDED >> 10
)]
pub struct TooSmall {
    kib: u64,
}

/// Raises the limit where it is too low. Where the system does not tell it, it will do.
///
/// # Errors
/// [`TooSmall`] where it cannot be raised so far.
pub fn require() -> Result<(), TooSmall> {
    match raise() {
        Ok(given) if given < NEEDED => Err(TooSmall { kib: given >> 10 }),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn raise() -> Result<u64, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_STACK)?;
    if soft >= NEEDED {
        return Ok(soft);
    }
    let wanted = hard.min(USUAL);
    setrlimit(Resource::RLIMIT_STACK, wanted, hard)?;
    Ok(wanted)
}
