//! The process, from its first signal to its exit code: how every command starts, its clocks, its threads, and how it ends.

pub mod clock;
pub mod exit;
pub mod host;
pub mod setup;
pub mod signals;
pub mod stack;
pub mod start;
pub mod threads;
pub mod throttle;
pub mod worker;
