//! What the kernel programs and the exporter must agree on: record layouts, the transitions of a flow, histogram
//! buckets, classification of devices and packets, and the table of kernel fields.
//!
//! Nothing here reads a clock, a map or a file, and nothing depends on another crate: every decision that can be made
//! here is tested on the host.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(test)]
extern crate std;

pub mod address;
pub mod capacity;
pub mod capture;
pub mod connection;
pub mod detail;
pub mod drops;
pub mod event;
pub mod extension;
pub mod fields;
pub mod flow;
pub mod group;
pub mod histogram;
pub mod kfuncs;
pub mod listener;
pub mod lost;
pub mod programs;
pub mod recent;
pub mod record;
pub mod settings;
pub mod tcp;
pub mod text;
pub mod tracepoints;
pub mod verifier;

#[cfg(target_endian = "big")]
compile_error!("tcpvitals reads little-endian kernels only");
