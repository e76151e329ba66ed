//! The HTTP server around the routes: TLS, passwords, headers and limits by the web configuration file of the Prometheus
//! exporter-toolkit. It must never know what the routes answer; it decides who gets to them, and how.
//! Connections come from the listener that `serve` opens; requests go to the router of `http`.

mod access;
mod body;
mod compress;
mod config;
mod connections;
mod report;
pub mod served;
mod server;
mod transport;

pub use body::Body;
pub(crate) use body::{Turn, one_at_a_time};
pub(crate) use compress::{accepts_gzip, compress, gzip};
pub use config::WebConfig;
pub use connections::Connections;
pub(crate) use server::guard::own_pages_only;
pub use server::{current::Web, serve};
pub(crate) use transport::stream::Entrance;
pub use transport::stream::Listeners;
