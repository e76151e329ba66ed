//! Below HTTP: sockets and who is at their other end, TLS, and how a connection ends.

pub(crate) mod client_certs;
pub(crate) mod ending;
pub(crate) mod peer;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod wire;
