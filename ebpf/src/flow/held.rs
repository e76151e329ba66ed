//! What sockets can hold, and the maps that keep it: a storage of the socket, or a table where the kernel lets nobody walk storage.

use aya_ebpf::btf_maps::{Array, HashMap, SkStorage};
use common::map::{
    catalog::NO_PREALLOC,
    table::{Kept, MOST_SOCKETS},
};

/// What a socket can hold. Other CPUs reach it at the same time, so all that changes in it is atomic (`Sync`).
pub(crate) trait Storage: Sync + Sized + 'static {
    /// The map that it is kept by.
    const MAP: &'static SkStorage<Self>;
    /// The table that it is kept in where the kernel lets nobody walk that map.
    const TABLE: &'static Table<Self>;
    /// What its entries are made from.
    const NOTHING: &'static Array<Kept<Self>, 1>;
}

/// Sockets by their cookies.
pub(crate) type Table<S> = HashMap<u64, Kept<S>, { MOST_SOCKETS }, { NO_PREALLOC }>;
