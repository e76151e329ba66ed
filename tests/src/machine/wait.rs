//! Waiting for what the kernel or the exporter does in its own time. The only clock of the harness.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::machine::settings::patience;

/// How often a condition is tried.
const STEP: Duration = Duration::from_millis(10);

/// A moment after which waiting is over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `after` from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests wait for the kernel; this is their one clock"
    )]
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// What is left of the wait; zero once it is over.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests wait for the kernel; this is their one clock"
    )]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the wait is over.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }
}

/// The moment of something that is recorded.
#[expect(
    clippy::disallowed_methods,
    reason = "tests wait for the kernel; this is their one clock"
)]
pub fn moment() -> Instant {
    Instant::now()
}

/// How long `work` takes, and what it gives.
#[expect(
    clippy::disallowed_methods,
    reason = "tests wait for the kernel; this is their one clock"
)]
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = work();
    (start.elapsed(), value)
}

/// Tries until `attempt` gives a value, for at most [`patience`]. `what` completes "waited for …".
pub fn until<T>(what: &str, attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(patience(), what, attempt)
}

/// The same, for at most `limit`.
pub fn until_within<T>(limit: Duration, what: &str, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(value) = attempt()? {
            return Ok(value);
        }
        if deadline.passed() {
            bail!("waited {limit:?} for {what} in vain");
        }
        sleep(STEP);
    }
}

/// Tries until a value has stayed the same for `quiet`, for at most [`patience`], and gives that value.
pub fn until_stable<T: PartialEq>(what: &str, quiet: Duration, mut read: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Deadline::after(patience());
    let mut last = read()?;
    let mut calm = Deadline::after(quiet);
    while !calm.passed() {
        if deadline.passed() {
            bail!("waited {:?} for {what} to come to rest in vain", patience());
        }
        sleep(STEP);
        let next = read()?;
        if next != last {
            last = next;
            calm = Deadline::after(quiet);
        }
    }
    Ok(last)
}
