//! What this kernel has: its types, hooks, reasons and symbols. Nothing is loaded for it.

pub mod btf;
pub mod btf_file;
pub mod casts;
pub mod features;
pub(crate) mod lockdown;
pub mod reasons;
pub mod symbols;
