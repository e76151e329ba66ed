//! Kernel functions that programs call (kfuncs). The object calls numbers that no kernel has; before it is loaded, the
//! exporter writes the running kernel's own in their place, or makes the calls empty where a kernel needs none of them.

/// Stands for `bpf_preempt_disable`.
pub const PREEMPT_DISABLE: i32 = 0x7eca_0001;
/// Stands for `bpf_preempt_enable`.
pub const PREEMPT_ENABLE: i32 = 0x7eca_0002;
