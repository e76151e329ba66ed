//! Connections below HTTP: who is let in, who goes when there are too many, TLS, and the socket.

pub(crate) mod client_certs;
pub(crate) mod connections;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod wire;
