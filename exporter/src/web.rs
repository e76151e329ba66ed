//! The HTTP server around the routes: TLS, passwords, headers and limits by the web configuration file of the Prometheus
//! exporter-toolkit. It must never know what the routes answer; it decides who gets to them, and how.
//! Connections come from the listener that `run` opens; requests go to the router of `http`.

mod body;
mod client_certs;
mod compress;
mod config;
mod connections;
mod current;
mod guard;
mod login;
mod peer;
mod rate;
mod report;
mod server;
mod site;
mod tls;
mod wire;

pub use body::Body;
pub(crate) use compress::{accepts_gzip, compress, gzip};
pub use config::WebConfig;
pub use connections::Connections;
pub use current::Web;
pub(crate) use guard::own_pages_only;
pub use server::serve;
