//! Workloads: whose traffic it is.

pub mod pods;
