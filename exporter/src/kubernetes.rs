//! An API server of Kubernetes: the metadata of the own node's pods, or nodes, by list and watch; and a ConfigMap that is written.
//!
//! `in_cluster` says where to ask and as whom, `resource` and `request` what, `objects` and `lines` what the answers say, `status` what
//! is wrong with one, `backoff` how long to wait then, `connection` asks once, `watch` goes on for ever, and `config_map` writes. A pod's
//! UID is there before its cgroup is.

pub(crate) mod backoff;
pub(crate) mod config_map;
pub(crate) mod connection;
pub mod in_cluster;
mod lines;
mod objects;
mod request;
pub(crate) mod resource;
pub mod status;
mod watch;

pub use config_map::ConfigMap;
pub use in_cluster::{Api, Pace};
pub use objects::{
    nodes::{Node, Nodes},
    pods::Pods,
};
pub use status::{Fault, Kind, State};
pub use watch::{Told, watch};
pub(crate) use watch::{list, watch_all};
