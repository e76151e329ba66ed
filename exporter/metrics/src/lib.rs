//! The metrics: a snapshot gets labels, becomes families, and these are encoded. Pure: no clock, socket, file, or runtime, and no kernel.
//!
//! - `colours`: of classes and severities; `coverage`, `snapshot`: what runs and what was collected, as values
//! - `labels`: names for it; `families`: the metric table applied; `encode`: expositions, OTLP, the page
//! - `findings`: what is wrong, judged from what a minute counted
//! - `host`: what devices, connection tracking and TCP's memory say, beside the kernel programs
//! - `recording`: what was read of a kernel, as a file, and its replay
//! - `rows`: drops and live flows one by one; `status`: the exporter's own state
//! - `workloads`: whose traffic it is, by paths of cgroups and metadata of pods
#![forbid(unsafe_code)]

pub mod colours;
pub mod coverage;
pub mod encode;
pub mod families;
pub mod findings;
pub mod host;
pub mod labels;
mod number;
pub mod recording;
pub mod rows;
pub mod snapshot;
pub mod status;
pub mod workloads;
