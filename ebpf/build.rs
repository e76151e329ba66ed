//! Asks the linker for BPF's 32-bit arithmetic (part of instruction set v3, Linux 5.1): atomic exchange and fetch-and-add need it.

fn main() {
    println!("cargo:rustc-link-arg-bins=--cpu-features=+alu32");
    println!("cargo:rerun-if-changed=build.rs");
}
