//! The running kernel: what it offers, what is loaded into it, and what is read from it.
//!
//! Only this folder knows aya. It names nothing for the user but kernel symbols and drop reasons; labels are made later.

pub mod btf;
pub mod btf_file;
pub mod capabilities;
pub mod capacity;
pub mod capture;
pub mod events;
pub mod features;
pub mod kfuncs;
pub mod load;
pub mod lookups;
pub mod plan;
pub mod purpose;
pub mod read;
pub mod reasons;
pub mod symbols;

mod configure;
mod dump;
mod lockdown;
mod record;
mod rings;
mod syscall;

pub use load::{Kernel, LoadError};
