//! What the kernel programs and the exporter must agree on: record layouts, the transitions of a flow, histogram
//! buckets, classification of devices and packets, and the table of kernel fields.
//!
//! Nothing here reads a clock, a map or a file, and nothing depends on another crate but on what proves layouts: every decision that can
//! be made here is tested on the host.
#![no_std]
#![warn(missing_docs)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

mod closed;
pub mod drops;
pub mod histogram;
pub mod kernel;
pub mod map;
pub mod memory;
pub mod net;
pub mod tcp;
pub mod text;
pub mod workload;

#[cfg(test)]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!("tcpvitals reads little-endian kernels only");
