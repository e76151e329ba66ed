//! Whose turn it is: most tests run beside each other, those that load the machine run alone.
//!
//! Holds among the tests of this process and, by a locked file, of others on this machine. Also the place that asks for root,
//! since every test passes here.

use std::fs::File;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Context as _, Result, ensure};

static PROCESS: RwLock<()> = RwLock::new(());

/// Root's, like all that the tests make.
const MACHINE: &str = "/run/tcpvitals-tests.lock";

/// A place among the tests that run beside each other.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
#[expect(dead_code, reason = "held, not read")]
pub struct Shared(File, RwLockReadGuard<'static, ()>);

/// The machine to oneself.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
#[expect(dead_code, reason = "held, not read")]
pub struct Alone(File, RwLockWriteGuard<'static, ()>);

/// Waits until no test runs that wants to be alone.
pub fn shared() -> Result<Shared> {
    require_root()?;
    // A test that failed says so itself; it has left nothing behind that the next one would share.
    let process = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    let machine = machine()?;
    machine.lock_shared()?;
    Ok(Shared(machine, process))
}

/// Waits until no other test runs.
pub fn alone() -> Result<Alone> {
    require_root()?;
    let process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    let machine = machine()?;
    machine.lock()?;
    Ok(Alone(machine, process))
}

/// The file whose lock is the machine's; the kernel unlocks it when it is closed, however its process ends.
fn machine() -> Result<File> {
    File::create(MACHINE).with_context(|| format!("open {MACHINE}"))
}

fn require_root() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this test makes network namespaces and loads kernel programs: run it as root (for example `sudo -E make test`)"
    );
    Ok(())
}
