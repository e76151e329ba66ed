//! Kernel functions that programs call (kfuncs). The object calls a number that no kernel has; before it is loaded, the
//! exporter writes the running kernel's own in its place, or makes the call empty where a kernel does not have it.

/// Stands for `bpf_rdonly_cast`.
pub const READ_ONLY_CAST: i32 = 0x7eca_0001;
/// Stands for the address of the per-CPU variable `__preempt_count`.
pub const PREEMPT_COUNT: u64 = 0x7eca_0002_7eca_0002;
