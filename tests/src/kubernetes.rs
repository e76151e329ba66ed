//! Kubernetes as far as the exporter asks it: an API server that is stricter than a real one, and its pods.

pub mod api;
mod events;
mod maps;
mod odd;
pub mod pods;
mod rules;
mod serve;
