//! The running kernel: what it offers, what is loaded into it, and what is read from it.
//!
//! Only this crate knows aya, and only `sys` is unsafe. It names nothing for the user but kernel symbols and drop reasons; labels are
//! made later.

pub mod load;
pub mod plan;
pub mod probe;
pub mod read;
pub mod sys;

pub use load::{Kernel, LoadError};
