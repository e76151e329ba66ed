//! What the kernel itself says: its counters, its types, its events.

pub mod account;
pub mod btf;
pub mod counters;
pub mod hook_account;
pub mod kernel_facts;
pub mod processes;
pub mod skipped;
pub(crate) mod syscalls;
pub mod tcp_info;
pub mod tracing;
