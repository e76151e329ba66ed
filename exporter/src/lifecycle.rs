//! The process, from its first signal to its end: threads, the log, panics, and what is loaded with which setup.

pub mod panics;
pub mod setup;
pub mod signals;
pub mod threads;
pub mod throttle;
pub mod worker;
