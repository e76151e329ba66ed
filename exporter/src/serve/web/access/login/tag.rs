//! Names and passwords, as they are told apart in memory.

/// A keyed digest of a name and a password, or of a name.
pub(crate) type Tag = [u8; 32];
