//! How several programs at a time use one piece of memory: numbers that others change meanwhile, and caches that a run may interrupt.

pub mod recent;
pub mod shared;
