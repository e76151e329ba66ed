//! Why a trace cannot be read.

use super::{BYTE_ORDER, MAGIC, WITH_INSTANCES};
use std::io;

/// Why a trace cannot be read, or no further.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is nothing in it.
    #[error("the file is empty; read a file that `tcpvitals trace --output binary` wrote")]
    Empty,
    /// It is something else.
    #[error(
        "this is not a trace of tcpvitals: it begins with {found:02x?} instead of {MAGIC:02x?}; read a file that `tcpvitals trace --output binary` wrote"
    )]
    Magic {
        /// What it begins with.
        found: Vec<u8>,
    },
    /// A machine of the other byte order wrote it.
    #[error("byte 10: the byte order is {found:#06x} instead of {BYTE_ORDER:#06x}; the file is damaged")]
    ByteOrder { found: u16 },
    /// Written by a newer program.
    #[error(
        "byte 8: version {found} is not one that this tcpvitals reads (1 to {WITH_INSTANCES}); read it with a newer one"
    )]
    Version { found: u16 },
    /// The header contradicts itself.
    #[error("byte {at}: {what}; the file is damaged")]
    Header { at: u64, what: &'static str },
    /// The end is missing.
    #[error(
        "byte {at}: the file ends within the {part} that begins at byte {began}; what stands before it is complete"
    )]
    Truncated {
        at: u64,
        /// Where the part begins.
        began: u64,
        /// What is cut off.
        part: &'static str,
    },
    /// A record of no known kind.
    #[error("byte {at}: a record of kind {kind}, which version {version} does not have; the file is damaged")]
    Kind {
        /// Where the record begins.
        at: u64,
        kind: u32,
        version: u16,
    },
    /// A record of a name does not follow from those before it.
    #[error("byte {at}: {what}; the file is damaged")]
    Workload {
        /// Where the record begins.
        at: u64,
        what: &'static str,
    },
    /// The file cannot be read.
    #[error("byte {at}: {source}")]
    Read {
        /// How far it was read.
        at: u64,
        /// What the kernel said.
        source: io::Error,
    },
}
