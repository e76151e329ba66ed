//! The shape of a file, as messages of Protocol Buffers. A tag never changes its meaning.

use prost::Message;

/// What holds for the whole recording.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    /// Version of the exporter that recorded.
    #[prost(string, tag = "1")]
    pub(super) version: String,
    /// The configuration, in YAML.
    #[prost(string, tag = "2")]
    pub(super) configuration: String,
    #[prost(string, tag = "3")]
    pub(super) host: String,
    /// Release of the kernel.
    #[prost(string, tag = "4")]
    pub(super) kernel: String,
    /// When the programs were loaded, in nanoseconds since 1970.
    #[prost(uint64, tag = "5")]
    pub(super) started: u64,
    /// From one frame to the next, in nanoseconds.
    #[prost(uint64, tag = "6")]
    pub(super) interval: u64,
    /// Where people should begin to look, in nanoseconds after the first frame.
    #[prost(uint64, tag = "7")]
    pub(super) entry: u64,
    /// In nanoseconds.
    #[prost(uint64, tag = "8")]
    pub(super) jiffy: u64,
    #[prost(uint32, tag = "9")]
    pub(super) group_slots: u32,
    #[prost(uint32, tag = "10")]
    pub(super) drop_slots: u32,
    #[prost(message, repeated, tag = "11")]
    pub(super) programs: Vec<Program>,
    #[prost(message, repeated, tag = "12")]
    pub(super) missing_fields: Vec<Reason>,
    /// Parts of the host that are not read, by the words of this module's reader.
    #[prost(message, repeated, tag = "13")]
    pub(super) host_off: Vec<Reason>,
    /// The source of names of workloads; "" for none.
    #[prost(string, tag = "14")]
    pub(super) source_of_names: String,
    #[prost(message, repeated, tag = "15")]
    pub(super) tables: Vec<Table>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Program {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) hook: String,
    /// Why it did not run; none if it did.
    #[prost(string, optional, tag = "3")]
    pub(super) off: Option<String>,
}

/// What was not there, and why.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Reason {
    #[prost(string, tag = "1")]
    pub(super) what: String,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
}

/// A table, and what the numbers of its rows are called.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Table {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) fields: Vec<String>,
}

/// What changed from one moment to the next.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Frame {
    /// When it was collected, in nanoseconds since 1970.
    #[prost(uint64, tag = "1")]
    pub(super) at: u64,
    /// Names that were not there before: rows have their numbers, in the order in which they came.
    #[prost(string, repeated, tag = "2")]
    pub(super) names: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(super) changes: Vec<Changes>,
    /// The recording is over, and this is no frame.
    #[prost(bool, tag = "4")]
    pub(super) is_end: bool,
}

/// What changed in a table.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Changes {
    /// Its place in the header's list.
    #[prost(uint32, tag = "1")]
    pub(super) table: u32,
    #[prost(message, repeated, tag = "2")]
    pub(super) rows: Vec<Change>,
    /// Rows that are no more.
    #[prost(uint64, repeated, tag = "3")]
    pub(super) gone: Vec<u64>,
}

/// What changed in a row; a row that is new was 0 all over.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Change {
    #[prost(uint64, tag = "1")]
    pub(super) row: u64,
    /// How many numbers were left out before each that changed.
    #[prost(uint32, repeated, tag = "2")]
    pub(super) skipped: Vec<u32>,
    /// By how much each changed, wrapping.
    #[prost(sint64, repeated, tag = "3")]
    pub(super) by: Vec<i64>,
}
