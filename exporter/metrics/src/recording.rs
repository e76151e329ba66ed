//! Recordings: what a collector read of a real kernel, moment after moment, as one small file, and its replay. `tcpvitals demo` serves it.
//!
//! - `moment`: what is recorded of one collection; `rows`, `host`, `fields`, `names`: the same as rows of numbers under names
//! - `write`: from moments to bytes; `read`: back, within bounds; `message`: the shape of the file
//! - `play`: which moment it is now, with times moved to now and counters that never fall
//!
//! A file is [`MAGIC`], then a zlib stream of messages of Protocol Buffers, each behind its length: a header, then frames. A frame has what
//! numbers have grown by since the frame before. Numbers have names in the header, so a file stays readable when counters come or go.

mod fields;
mod host;
mod message;
mod moment;
mod names;
mod play;
mod read;
mod rows;
mod write;

pub use moment::{About, Flow, Moment, Place};
pub use play::{Pace, Player};
pub use read::{Recording, Unreadable};
pub use write::Writer;

/// What a file begins with; the last byte is the version of the format.
pub const MAGIC: &[u8; 8] = b"TCPVREC\x01";

/// Most bytes of a file.
pub const MOST_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests;
