//! Whose turn it is: most tests run beside each other, those that load the machine run alone.
//!
//! Also the place that asks for root, since every test passes here.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Result, ensure};

static MACHINE: RwLock<()> = RwLock::new(());

/// A place among the tests that run beside each other.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub struct Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>);

/// The machine to oneself.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub struct Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'static, ()>);

/// Waits until no test runs that wants to be alone.
pub fn shared() -> Result<Shared> {
    require_root()?;
    // A test that failed says so itself; it has left nothing behind that the next one would share.
    Ok(Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)))
}

/// Waits until no other test runs.
pub fn alone() -> Result<Alone> {
    require_root()?;
    Ok(Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)))
}

fn require_root() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this test makes network namespaces and loads kernel programs: run it as root (for example `sudo -E make test`)"
    );
    Ok(())
}
