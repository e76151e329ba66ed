//! Those who read the exporter: Prometheus, browsers, terminals, and readers of our own.

pub mod browser;
pub mod curl;
pub mod dashboards;
pub mod openapi;
pub mod picture;
pub mod prometheus;
pub mod rotel;
pub mod rules;
pub mod tmux;
pub mod victoria_metrics;
