//! One file for each part of the configuration: what it may hold, and what that means.

pub(crate) mod connection_types;
pub(crate) mod devices;
pub(crate) mod drops;
pub(crate) mod findings;
pub(crate) mod labels;
pub(crate) mod limits;
pub(crate) mod listeners;
pub(crate) mod otlp;
pub(crate) mod protocols;
pub(crate) mod subnets;
pub(crate) mod views;
pub mod workloads;
