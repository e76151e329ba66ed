//! What a capture writes: packets and their sites as blocks, blocks as files, and when the next one begins.

pub mod link;
pub mod output;
pub mod pcapng;
pub mod rotation;
pub mod sites;
pub mod writer;
