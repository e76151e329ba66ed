//! Workloads: who tells whose traffic it is.

pub mod kubernetes;
