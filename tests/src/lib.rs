//! The harness of the real-kernel tests: it makes networks and traffic, asks the kernel what it counted, runs the exporter
//! and reads what that exports.
//!
//! It never knows how the exporter works: only its command line, its configuration and its metrics. The tests compare
//! the two accounts, the kernel's and the exporter's, and expect them to be equal.
//!
//! The exporter sees the flows of all network namespaces, so every test takes addresses of its own ([`subnet`]) and reads
//! the series of its own subnets.

pub mod account;
pub mod browser;
pub mod btf;
pub mod capture;
pub mod cards;
pub mod certificates;
pub mod counters;
pub mod curl;
pub mod dashboards;
pub mod exporter;
pub mod exposition;
pub mod ftrace;
pub mod fuzz;
pub mod hostile;
pub mod kernel_facts;
pub mod live_flow;
pub mod namespace;
pub mod nft;
pub mod openapi;
pub mod openvswitch;
pub mod otlp;
pub mod packet;
pub mod pair;
pub mod peer;
pub mod processes;
pub mod program;
pub mod prometheus;
pub mod protobuf;
pub mod raw_ip;
pub mod rotel;
pub mod rules;
pub mod scrape;
pub mod settings;
pub mod skipped;
pub mod socket;
pub mod subnet;
mod syscalls;
pub mod tcp_info;
pub mod tmux;
pub mod trace;
pub mod tracing;
pub mod traffic;
pub mod turn;
pub mod victoria_metrics;
pub mod wait;
pub mod web_page;
pub mod xdp;
