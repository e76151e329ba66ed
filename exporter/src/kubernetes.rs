//! Pods of the own node, as the API server knows them: their metadata alone, by list and watch.
//!
//! `in_cluster` says where to ask and as whom, `request` what, `objects` and `lines` what the answers say, `status` what is wrong with
//! one, `backoff` how long to wait then, `connection` asks once, and `watch` goes on for ever. A pod's UID is there before its cgroup is.

mod backoff;
mod connection;
pub mod in_cluster;
mod lines;
mod objects;
mod request;
pub mod status;
mod watch;

pub use in_cluster::{Api, Pace};
pub use status::{Fault, Kind, State};
pub use watch::{Told, watch};
