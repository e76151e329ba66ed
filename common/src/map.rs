//! What maps hold beside flows and drops: the maps themselves, settings, caches, sizes, losses, shared numbers.

pub mod capacity;
pub mod catalog;
pub mod detail;
pub mod lost;
pub mod recent;
pub mod settings;
pub mod shards;
pub mod shared;
pub mod slots;
pub mod table;
