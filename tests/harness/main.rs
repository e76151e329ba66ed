//! Proves every part of the harness against the kernel, without the exporter: what a test later takes for the truth.

mod cgroups;
mod network;
mod peer;
mod processes;
mod traffic;
