//! What maps hold beside flows and drops: the maps themselves, settings, sizes, losses, slots, tables of sockets.

pub mod capacity;
pub mod catalog;
pub mod detail;
pub mod lost;
pub mod settings;
pub mod shards;
pub mod slots;
pub mod table;
