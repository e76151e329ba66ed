//! What the environment says of the machine that the tests run on. An emulated one is some ten times slower than a real one:
//! there waits may be longer and loads smaller. No setting changes what a test requires.

use std::env;
use std::sync::LazyLock;
use std::time::Duration;

/// Longest wait for something that a healthy system does at once, in seconds.
pub const PATIENCE: &str = "TCPVITALS_TEST_PATIENCE";
/// By what the size of tests that are only large is divided.
pub const DIVISOR: &str = "TCPVITALS_TEST_DIVISOR";

/// `all` where everything must run that the kernels of the matrix are known to have: a skip is then a failure.
pub const REQUIRE: &str = "TCPVITALS_TEST_REQUIRE";

/// Whether [`REQUIRE`] says so.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is told by its environment what must run"
)]
pub fn requires_all() -> bool {
    env::var(REQUIRE).is_ok_and(|value| value == "all")
}

/// A part of the names of the entries that the tests with tables shall run; without it all.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is told by its environment what to run"
)]
pub fn only() -> Option<String> {
    env::var("TCPVITALS_TEST_ONLY").ok().filter(|part| !part.is_empty())
}

/// [`PATIENCE`], or 20 s.
pub fn patience() -> Duration {
    static SECONDS: LazyLock<u64> = LazyLock::new(|| number(PATIENCE, 20));
    Duration::from_secs(*SECONDS)
}

/// A size divided by [`DIVISOR`].
pub fn scaled(size: u64) -> u64 {
    size / divisor()
}

/// Whether processors are emulated, on which nothing comes fast.
pub fn is_emulated() -> bool {
    divisor() > 1
}

/// How long a load that only has to go on rests between two steps: not at all on a real machine. An emulated processor would
/// have no time left for what is tested.
pub fn rest() -> Duration {
    Duration::from_millis(divisor() - 1)
}

fn divisor() -> u64 {
    static BY: LazyLock<u64> = LazyLock::new(|| number(DIVISOR, 1));
    *BY
}

/// A wrong value is as good as none: the tests then take their time, or fail by a wait that says how long it was.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is told by its environment how fast the machine is"
)]
fn number(name: &str, otherwise: u64) -> u64 {
    let value = env::var(name).ok().and_then(|value| value.parse().ok());
    value.filter(|value| *value > 0).unwrap_or(otherwise)
}
