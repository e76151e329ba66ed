//! Proves the exporter against the programs that read it: real ones, made by others, each on a loopback address of its own.
//!
//! `tests/setup.sh e2e` brings them. What they received is compared with what the exporter shows and what the kernel counted.

mod demo;
mod fleet;
mod guarded;
mod incidents;
mod native;
mod page;
mod panels;
mod prometheus;
mod push;
mod rotel;
mod rules;
mod starts;
mod text;
mod top;
mod victoria_metrics;
mod vocabulary;
mod wireshark;
