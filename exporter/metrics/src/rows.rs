//! Rows of drops and of live flows, for people and programs that want more than metrics.

pub mod drops;
pub mod flows;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
