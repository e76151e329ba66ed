//! Namespaces, cables, packets and peers: the traffic of tests.

pub mod devices;
pub mod link;
pub mod namespace;
pub mod nft;
pub mod packet;
pub mod pair;
pub mod path;
pub mod peer;
pub mod socket;
pub mod subnet;
pub mod traffic;
pub mod way;
