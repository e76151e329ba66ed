//! What is known of the kernel: fields, functions, programs, tracepoints, and what its verifier wants.

pub mod fields;
pub mod kfuncs;
pub mod programs;
pub mod tracepoints;
pub mod verifier;
