//! Kinds of values: what may stand at a key, for the parser and for the schema.

pub(crate) mod described;
pub(crate) mod digits;
pub mod label;
pub(crate) mod ranges;
pub mod sets;
pub(crate) mod units;
pub(crate) mod values;
pub(crate) mod words;

pub(crate) use values::{
    ClassWord, ClassicBuckets, CompressionWord, ConnectionWord, ConnectionsPerPeer, DetailWord, Device, DropLabelWord,
    Endpoint, File, Folder, Glob, Headers, HistogramWord, Interval, Ipv4Bits, Ipv6Bits, MaxAge, Memory, MostWorkloads,
    Name, NamesWord, Network, Port, Prefixes, ProtocolWord, Series, SourceWord, SubnetFile, TcpLabelWord,
    TemporalityWord, Thresholds, Timeout, ViewName, ViewPath, certificate_with_key, gives_a_part, measures_something,
    mutes_something, name_or_auto,
};
