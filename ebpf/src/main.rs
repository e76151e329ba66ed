//! The kernel programs of tcpvitals: probes read kernel structures, call `common`, and store into maps.
#![no_std]
#![no_main]
#![expect(
    internal_features,
    reason = "core::sync::atomic has no read-modify-write on the BPF target"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "words are taken apart on purpose; a checked conversion would leave a branch that the verifier refuses"
)]
#![feature(asm_experimental_arch, core_intrinsics)]

mod atomic;
mod drops;
mod flow;
mod kernel;
mod label;
mod maps;
mod nested;
mod probes;
mod shards;

/// The helpers that read kernel memory are for GPL-compatible programs only.
#[expect(unsafe_code, reason = "the kernel reads the license from a section of this name")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never reached: the verifier refuses a program that could get here.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
