//! The harness of the real-kernel tests: it makes networks and traffic, asks the kernel what it counted, runs the exporter
//! and reads what that exports.
//!
//! It never knows how the exporter works: only its command line, its configuration and its metrics. The tests compare
//! the two accounts, the kernel's and the exporter's, and expect them to be equal.
//!
//! The exporter sees the flows of all network namespaces, so every test takes addresses of its own ([`net::subnet`]) and reads
//! the series of its own subnets.

pub mod exporter;
pub mod incidents;
pub mod kernel;
pub mod kubernetes;
pub mod machine;
pub mod net;
pub mod readers;
