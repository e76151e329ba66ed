//! What people and editors read about the configuration, made of its mappings.

pub mod reference;
pub mod schema;
