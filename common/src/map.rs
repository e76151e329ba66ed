//! What maps hold beside flows and drops: settings, caches, sizes, losses.

pub mod capacity;
pub mod detail;
pub mod lost;
pub mod recent;
pub mod settings;
