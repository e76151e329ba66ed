//! The HTTP server around the routes: TLS, passwords, headers and limits by the web configuration file of the Prometheus
//! exporter-toolkit. It must never know what the routes answer; it decides who gets to them, and how.
//! Connections come from the listener that `run` opens; requests go to the router of `http`.

mod client_certs;
mod config;
mod current;
mod guard;
mod login;
mod server;
mod tls;

pub use config::WebConfig;
pub use current::Web;
pub use server::serve;
