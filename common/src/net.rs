//! Addresses, devices and headers as the network stack has them.

pub mod address;
pub mod connection;
pub mod extension;
pub mod ports;
pub mod protocol;
