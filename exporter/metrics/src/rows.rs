//! Rows of drops, of live flows and of what subnets and workloads do, and what an exposition costs, for people and programs that want
//! more than metrics.

pub mod cardinality;
pub mod drops;
pub mod filter;
pub mod flows;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod trace;
pub mod traffic;
